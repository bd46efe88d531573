"""How the HTTP side of a cluster's parts reads requests and answers them: plain ASGI, errors as plain text.

Source: the kubelet writes its errors as bare text; the API server turns them into a Status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from timonier.kit.serve import Taken

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Refused(Exception):
    """The request is answered with a status other than success and a sentence."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Header names are lower-case; repeated headers are joined by a comma."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    peer_certificate: bytes | None
    send: Send
    take_over: Callable[[], Taken]

    @classmethod
    def of(cls, scope: Mapping[str, Any], send: Send) -> Call:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        extension = scope["extensions"]["timonier"]
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="utf-8")
        return cls(scope["method"], scope["path"], query, headers, extension.peer_certificate, send,
                   extension.take_over)

    def parameter(self, name: str) -> str:
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """Whether a parameter is set as the kubelet's own parameters are: `1` or `true`."""
        return self.parameter(name).lower() in ("1", "true")

    @property
    def upgrade(self) -> str:
        """The protocol to which the client wants to switch, in lower case; empty for none."""
        tokens = [token.strip().lower() for token in self.headers.get("connection", "").split(",")]
        return self.headers.get("upgrade", "").lower() if "upgrade" in tokens else ""

    async def answer(self, status: int, body: bytes, content_type: str = TEXT,
                     headers: Mapping[str, str] | None = None) -> None:
        named = {"content-type": content_type, "x-content-type-options": "nosniff", **(headers or {})}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def text(self, text: str, status: int = 200) -> None:
        await self.answer(status, text.encode())

    async def json(self, value: object) -> None:
        await self.answer(200, msgspec.json.encode(value), JSON)
