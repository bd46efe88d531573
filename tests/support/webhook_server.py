"""A webhook over TLS on loopback, which answers as a test says and remembers what it was asked."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import SERVER, authority, make, name_of

from timonier.kit.serve import serve
from timonier.kit.tls import server_context

Decide = Callable[[Any], Any]
"""Makes the response (without its uid), or raw bytes, of the request that a review holds."""


@dataclass
class Webhook:
    """Where the webhook is, what it is asked, and by which CA it is believed."""

    port: int
    bundle: str
    decide: Decide
    asked: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    """Where set, answers wait for it."""
    status: int = 200
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, path: str = "/hook") -> dict[str, Any]:
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        review = orjson.loads(body)
        self.asked.append(review)
        self.paths.append(f"{scope['path']}?{scope['query_string'].decode()}")
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.decide(review["request"])
        if not isinstance(answer, bytes):
            answer = orjson.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview",
                                   "response": {"uid": review["request"]["uid"]} | answer})
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": answer})


def allow(request: Any) -> Any:
    return {"allowed": True}


def deny(message: str = "", **status: Any) -> Decide:
    return lambda request: {"allowed": False, "status": ({"message": message} if message else {}) | status}


def patching(*operations: Any) -> Decide:
    return lambda request: {"allowed": True, "patchType": "JSONPatch",
                            "patch": base64.b64encode(orjson.dumps(operations)).decode()}


def add(path: str, value: Any) -> Any:
    return {"op": "add", "path": path, "value": value}


@asynccontextmanager
async def webhook(folder: Path, decide: Decide = allow) -> AsyncIterator[Webhook]:
    """A webhook that listens until the block ends."""
    now = time.time()
    ca = authority(now)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")),
                                         x509.DNSName("web.default.svc")])
    own = make(now, name_of("hook"), ca, usages=(SERVER,), extra=((names, False),))
    certificate, key = own.save(folder)
    bundle = ca.certificate.public_bytes(Encoding.PEM)
    listening, started = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    found = Webhook(listening.getsockname()[1], base64.b64encode(bundle).decode(), decide)
    serving = asyncio.create_task(serve(found.app, [listening], server_context(certificate, key), started=started))
    await started.wait()
    try:
        yield found
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def configuration(name: str, *hooks: Any, validating: bool = False) -> dict[str, Any]:
    kind = "ValidatingWebhookConfiguration" if validating else "MutatingWebhookConfiguration"
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "webhooks": list(hooks)}


def hook(client: Any, name: str = "hook.example.com", *, resources: Any = ("configmaps",), groups: Any = ("",),
         versions: Any = ("v1",), operations: Any = ("CREATE", "UPDATE"), **rest: Any) -> dict[str, Any]:
    return {"name": name, "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [{"operations": list(operations), "apiGroups": list(groups), "apiVersions": list(versions),
                       "resources": list(resources)}]} | rest
