"""Servers on loopback that the API server calls: webhooks that answer reviews, and an issuer of tokens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from timonier.cluster.certificates import Authority, Identity
from timonier.kit.jws import Key, Keyring
from timonier.kit.serve import serve
from timonier.kit.tls import server_context

Answer = Callable[[str, Any], Any]
"""What is answered to a path and the JSON that was sent: JSON or bytes with 200, or a status alone."""


@dataclass
class Callee:
    """A server, what it was asked, and what it answers."""

    port: int
    answer: Answer
    asked: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        sent = orjson.loads(body) if body else None
        self.asked.append(sent)
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        found = self.answer(scope["path"], sent)
        status, content = (found, b"") if isinstance(found, int) else (
            200, found if isinstance(found, bytes) else orjson.dumps(found))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type",
                                                                                 b"application/json")]})
        await send({"type": "http.response.body", "body": content})

    def kubeconfig(self, folder: Path, path: str = "/ask") -> Path:
        """The file by which it is called."""
        file = folder / f"webhook-{self.port}.yaml"
        file.write_text(yaml.safe_dump({
            "clusters": [{"name": "w", "cluster": {"server": f"http://127.0.0.1:{self.port}{path}"}}],
            "users": [{"name": "w", "user": {"token": "secret"}}],
            "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}], "current-context": "w"}))
        return file


@contextlib.asynccontextmanager
async def called(answer: Answer, ssl: Any = None) -> AsyncIterator[Callee]:
    listening = socket.create_server(("127.0.0.1", 0))
    made = Callee(listening.getsockname()[1], answer)
    task = asyncio.create_task(serve(made.app, [listening], ssl))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Issuer:
    """An OpenID Connect issuer; its keys may be changed while it runs."""

    callee: Callee
    authority: str
    ring: Keyring

    @property
    def url(self) -> str:
        return f"https://localhost:{self.callee.port}"

    def token(self, now: float, **claims: Any) -> str:
        return self.ring.sign({"iss": self.url, "aud": "timonier", "sub": "ann", "exp": int(now + 600),
                               "iat": int(now)} | claims)


def new_keys() -> Keyring:
    return Keyring.of([Key.of(ec.generate_private_key(ec.SECP256R1()))])


@contextlib.asynccontextmanager
async def issuer(folder: Path) -> AsyncIterator[Issuer]:
    authority = Authority(folder / "issuer")
    pair = authority.issue("issuer", Identity("issuer", hosts=("localhost",)))
    made: Issuer

    def answer(path: str, sent: Any) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": made.url, "jwks_uri": f"{made.url}/keys"}
        return made.ring.jwks() if path == "/keys" else 404

    async with called(answer, server_context(pair.certificate, pair.key)) as callee:
        made = Issuer(callee, authority.pair.certificate.read_text(), new_keys())
        yield made
