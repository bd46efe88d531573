"""A request and its answer on a connection: bytes in, ASGI in the middle, bytes out.

An `Exchange` is also what an application sees as the extension of its scope. It may be taken over: then the connection
is its own (`kit.taken`) until it closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from timonier.kit.taken import Taken, keep_alive

if TYPE_CHECKING:
    from timonier.kit.connection import Connection

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
App = Callable[[dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
               Awaitable[None]]
"""A raw ASGI application. It gets no lifespan events."""

NEVER = float("inf")
WRITE_PIECE = 1024 * 1024
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
BODYLESS = frozenset({204, 304})


class Exchange:
    """A request and its answer; `receive` and `send` are ASGI's. Applications see it as the scope's extension."""

    def __init__(self, connection: Connection, method: str, url: bytes, headers: list[tuple[bytes, bytes]],
                 version: str, keep_alive: bool, continues: bool) -> None:
        self.connection, self.method, self.url, self.headers = connection, method, url, headers
        self.version, self.keep_alive, self.continues = version, keep_alive, continues
        self.body: list[bytes] = []
        self.buffered = self.discarded = 0
        self.whole = self.answered = self.chunked = self.over = False
        self.start: Message | None = None
        self.begun = False
        self.waiter: asyncio.Future[None] | None = None

    @property
    def peer_certificate(self) -> bytes | None:
        """The certificate (DER) of which the client has the key; nobody has verified it. None where it sent none."""
        return self.connection.certificate

    def take_over(self) -> Taken:
        """Leave HTTP: the caller writes the rest of the answer, headers included, and closes the connection."""
        connection = self.connection
        connection.taken = Taken(connection)
        connection.deadline = NEVER
        keep_alive(connection.transport)
        for piece in (*self.body, *connection.beyond):
            connection.taken.feed(piece)
        self.body, connection.beyond = [], []
        connection.resume()
        if not connection.open:
            connection.taken.lost()
        return connection.taken

    def scope(self) -> dict[str, Any]:
        path, _, query = self.url.partition(b"?")
        if not path.startswith(b"/") and b"://" in path:
            path = b"/" + path.split(b"://", 1)[1].partition(b"/")[2]
        text = path.decode("latin-1")
        connection = self.connection
        return {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": self.version,
                "method": self.method, "path": unquote(text) if "%" in text else text, "raw_path": path,
                "query_string": query, "headers": self.headers, "scheme": connection.scheme, "root_path": "",
                "client": connection.client, "server": connection.server, "extensions": {"timonier": self}}

    async def run(self) -> None:
        connection = self.connection
        try:
            await connection.hub.app(self.scope(), self.receive, self.send)
        except asyncio.CancelledError:
            connection.transport.close()
            raise
        except Exception:
            log.exception("request failed", extra={"method": self.method, "url": self.url.decode("latin-1")})
            await self.fail()
        finally:
            self.over = True
            if connection.taken is not None or not self.answered:
                connection.transport.close()
            if not connection.open:
                connection.forget()

    async def fail(self) -> None:
        if self.begun or self.connection.taken is not None:
            self.connection.transport.close()
            return
        self.keep_alive = False
        await self.send({"type": "http.response.start", "status": 500, "headers": []})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    def feed(self, body: bytes) -> None:
        limits = self.connection.hub.limits
        if self.answered:
            self.discarded += len(body)
            if self.discarded > limits.discarded_bytes:
                self.connection.transport.close()
            return
        self.body.append(body)
        self.buffered += len(body)
        if self.buffered > limits.body_buffer:
            self.connection.pause()
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def receive(self) -> Message:
        connection = self.connection
        if self.continues and not self.begun:
            self.continues = False
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.body and not self.whole and connection.open:
            if not connection.waiting:
                connection.resume()
            self.waiter = connection.hub.loop.create_future()
            await self.waiter
        if not connection.open or self.answered:
            return {"type": "http.disconnect"}
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body, self.buffered = [], 0
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, message: Message) -> None:
        connection = self.connection
        if message["type"] == "http.response.start":
            self.start = message
            return
        if not connection.open or self.start is None or self.answered:
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if not self.begun:
            self.begun = True
            head = self.head(self.start, None if more else len(body))
            if self.method == "HEAD" or self.start["status"] in BODYLESS:
                body, self.chunked = b"", False
        else:
            head = b""
        if self.chunked and body:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        if self.chunked and not more:
            body += b"0\r\n\r\n"
        await self.write(head, body)
        if not more:
            self.finish()

    async def write(self, head: bytes, body: bytes) -> None:
        """Small answers leave in one piece; large ones in pieces, at the client's pace."""
        connection = self.connection
        if len(body) <= WRITE_PIECE:
            connection.transport.write(head + body if head else body)
        else:
            connection.transport.write(head)
            view = memoryview(body)
            for start in range(0, len(body), WRITE_PIECE):
                connection.transport.write(view[start:start + WRITE_PIECE])
                await connection.drain()
                if not connection.open:
                    return
        if connection.writable is not None:
            await connection.drain()

    def head(self, start: Message, length: int | None) -> bytes:
        lines = [STATUS_LINES.get(start["status"]) or b"HTTP/1.1 %d \r\n" % start["status"]]
        measured = False
        for name, value in start.get("headers", ()):
            lines += (name, b": ", value.translate(None, b"\r\n"), b"\r\n")
            measured = measured or name == b"content-length"
        if not measured and start["status"] not in BODYLESS:
            if length is not None:
                lines.append(b"content-length: %d\r\n" % length)
            elif self.version == "1.0":
                self.keep_alive = False
            else:
                self.chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        if self.continues or self.connection.hub.closing:
            # A client that still waits for 100 Continue may or may not send its body: only a new connection is safe.
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (self.connection.hub.date(), b"\r\n")
        return b"".join(lines)

    def finish(self) -> None:
        self.answered = True
        connection = self.connection
        if self.whole:
            connection.next()
        elif not self.keep_alive:
            connection.transport.close()
        else:
            connection.resume()
