"""A stand-in for the client's connections: answers from a script, and keeps what was asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from timonier.client.client import Client
from timonier.kit.clock import Clock, FakeClock
from timonier.kit.http import Response
from timonier.kit.kubeconfig import ClientConfig


class Asked:
    """One request."""

    def __init__(self, method: str, url: str, headers: Any, body: bytes | None) -> None:
        target = urlsplit(url)
        self.method, self.path, self.headers = method, target.path, headers
        self.query = {key: values[0] for key, values in parse_qs(target.query).items()}
        self.body = json.loads(body) if body else None


class FakeConnections:
    """`answer` gets each request and gives (code, value), a value that is raised, or chunks for a stream."""

    def __init__(self, answer: Callable[[Asked], Any]) -> None:
        self.answer, self.asked = answer, []

    async def request(self, method: str, url: str, headers: Any = None, body: bytes | None = None,
                      **_: Any) -> Response:
        asked = Asked(method, url, headers, body)
        self.asked.append(asked)
        result = self.answer(asked)
        if isinstance(result, Exception):
            raise result
        code, value, *more = result
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return Response(code, more[0] if more else {}, body)

    @contextlib.asynccontextmanager
    async def stream(self, method: str, url: str, headers: Any = None, **_: Any) -> AsyncIterator[Any]:
        asked = Asked(method, url, headers, None)
        self.asked.append(asked)
        result = self.answer(asked)
        if isinstance(result, Exception):
            raise result
        yield FakeStream(*result)

    async def close(self) -> None:
        pass


class FakeStream:
    def __init__(self, status: int, chunks: Any) -> None:
        self.status, self.headers, self._chunks = status, {}, chunks

    async def read(self) -> bytes:
        return json.dumps(self._chunks).encode()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if callable(chunk):
                await chunk()
            else:
                yield chunk


def client(answer: Callable[[Asked], Any], clock: Clock | None = None, **config: Any) -> tuple[Client, FakeConnections]:
    made = Client(ClientConfig(server="http://api", **config), clock=clock or FakeClock())
    connections = FakeConnections(answer)
    made._connections = connections  # type: ignore[assignment]
    return made, connections


def event(type_: str, obj: Any) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"
