"""One HTTP/1.1 connection and the exchanges on it: bytes in, ASGI in the middle, bytes out.

A `Connection` is the asyncio protocol; each request on it is an `Exchange`, which is also what an application sees as
the extension of its scope. An exchange may be taken over: then the connection is its own (`Taken`) until it closes.
Every connection has a deadline by which it must make progress; the server sweeps those that are past theirs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
App = Callable[[dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
               Awaitable[None]]
"""A raw ASGI application. It gets no lifespan events."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take, so that no client can take everything."""

    header_bytes: int = 256 * 1024
    """Request line and headers together."""
    header_seconds: float = 32.0
    """From connecting, or from the first byte of a request, to the end of its headers."""
    body_seconds: float = 60.0
    """From the headers to the last byte of the body."""
    idle_seconds: float = 90.0
    """Between two requests on one connection."""
    body_buffer: int = 256 * 1024
    """Received and not yet asked for by the application; more waits in the kernel."""
    discarded_bytes: int = 16 * 1024 * 1024
    """Read and thrown away of a body whose answer has already gone out, before the connection is closed."""
    pipelined: int = 32
    """Requests that wait on a connection for the answer to an earlier one."""
    grace_seconds: float = 5.0
    """From the beginning of the end of the server to the last answer."""


NEVER = float("inf")
WRITE_PIECE = 1024 * 1024
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
BODYLESS = frozenset({204, 304})
BAD_REQUEST = b"400 Bad Request"
HEADERS_TOO_LARGE = b"431 Request Header Fields Too Large"


class Hub:
    """What the connections of one server share."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.app, self.loop, self.limits = app, loop, limits
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.closing = False
        self._date, self._second = b"", 0

    def date(self) -> bytes:
        """The Date header, made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self._date

    def sweep(self, now: float) -> None:
        """Close connections that did not make progress in time."""
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.transport.close()

    def wind_down(self) -> None:
        self.closing = True
        for connection in list(self.connections):
            if connection.taken is not None:
                connection.taken.end()
            elif connection.current is None:
                connection.transport.close()

    def start(self, exchange: Exchange) -> None:
        task = self.loop.create_task(exchange.run(), name="request")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Connection(asyncio.Protocol):
    """The protocol of one client connection: parses, queues exchanges, passes flow control on."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.current: Exchange | None = None
        self.incoming: Exchange | None = None
        self.waiting: deque[Exchange] = deque()
        self.taken: Taken | None = None
        self.upgrading = False
        self.beyond: list[bytes] = []
        self.deadline = hub.loop.time() + hub.limits.header_seconds
        self.header_bytes = 0
        self.reading = self.open = True
        self.writable: asyncio.Future[None] | None = None
        self.certificate: bytes | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        secure = transport.get_extra_info("ssl_object")
        self.scheme = "https" if secure else "http"
        if secure:
            self.certificate = secure.getpeercert(True)
        self.client = transport.get_extra_info("peername")
        self.server = transport.get_extra_info("sockname")
        self.hub.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.taken is not None:
            self.taken.feed(data)
        elif self.upgrading:
            self.beyond.append(data)
            if sum(map(len, self.beyond)) > self.hub.limits.body_buffer:
                self.pause()
        else:
            self.parse(data)

    def eof_received(self) -> bool:
        if self.taken is not None:
            self.taken.feed_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self.hub.connections.discard(self)
        self.resume_writing()
        for exchange in (self.current, self.incoming):
            if exchange is not None:
                exchange.wake()
        if self.taken is not None:
            self.taken.lost()

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = self.hub.loop.create_future()

    def resume_writing(self) -> None:
        if self.writable is not None:
            self.writable.set_result(None)
            self.writable = None
            if self.taken is not None and self.taken.when_writable is not None:
                self.taken.when_writable()

    # What httptools calls.

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.continues = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect":
            self.continues = value.lower() == b"100-continue"
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        self.header_bytes = 0
        self.deadline = self.hub.loop.time() + self.hub.limits.body_seconds
        self.incoming = Exchange(self, self.parser.get_method().decode("ascii"), self.url, self.headers, version,
                                 self.parser.should_keep_alive() and version != "1.0", self.continues)
        if self.current is None:
            self.current = self.incoming
            self.hub.start(self.incoming)
        elif len(self.waiting) < self.hub.limits.pipelined:
            self.waiting.append(self.incoming)
            self.pause()
        else:
            self.refuse(400, BAD_REQUEST)

    def on_body(self, body: bytes) -> None:
        if self.incoming is not None:
            self.incoming.feed(body)

    def on_message_complete(self) -> None:
        if self.incoming is None:
            return
        exchange, self.incoming = self.incoming, None
        self.deadline = NEVER
        exchange.whole = True
        exchange.wake()
        if exchange.answered:
            self.next()

    # The rest.

    def parse(self, data: bytes) -> None:
        if self.incoming is None:
            if not self.header_bytes and self.current is None:
                self.deadline = self.hub.loop.time() + self.hub.limits.header_seconds
            self.header_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgrading = True
            if rest := data[upgrade.args[0]:]:
                self.beyond.append(rest)
        except httptools.HttpParserError:
            self.refuse(400, BAD_REQUEST)
        else:
            if self.incoming is not None or self.current is not None:
                self.header_bytes = 0
            elif self.header_bytes > self.hub.limits.header_bytes:
                self.refuse(431, HEADERS_TOO_LARGE)

    def refuse(self, status: int, text: bytes) -> None:
        """Answer what is not HTTP, or too much of it, as Go's server does, and hang up."""
        if self.open and self.current is None:
            self.transport.write(STATUS_LINES[status] + b"content-type: text/plain; charset=utf-8\r\n"
                                 b"connection: close\r\n\r\n" + text)
        self.transport.close()

    def next(self) -> None:
        """The current exchange is over, answer and body: begin the next, or wait for one."""
        keep = self.current is not None and self.current.keep_alive and not self.upgrading and not self.hub.closing
        self.current = None
        if not keep or self.transport.is_closing():
            self.transport.close()
        elif self.waiting:
            self.current = self.waiting.popleft()
            self.hub.start(self.current)
        else:
            self.deadline = self.hub.loop.time() + self.hub.limits.idle_seconds
        if not self.waiting:
            self.resume()

    def pause(self) -> None:
        if self.reading and self.open:
            self.reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.reading and self.open and not self.transport.is_closing():
            self.reading = True
            self.transport.resume_reading()

    async def drain(self) -> None:
        """Return once the client has taken most of what was written, or is gone."""
        if self.writable is not None:
            await asyncio.shield(self.writable)


class Exchange:
    """A request and its answer; `receive` and `send` are ASGI's. Applications see it as the scope's extension."""

    def __init__(self, connection: Connection, method: str, url: bytes, headers: list[tuple[bytes, bytes]],
                 version: str, keep_alive: bool, continues: bool) -> None:
        self.connection, self.method, self.url, self.headers = connection, method, url, headers
        self.version, self.keep_alive, self.continues = version, keep_alive, continues
        self.body: list[bytes] = []
        self.buffered = self.discarded = 0
        self.whole = self.answered = self.chunked = False
        self.start: Message | None = None
        self.begun = False
        self.waiter: asyncio.Future[None] | None = None

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's certificate (DER), verified by TLS; None where it has none."""
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
        if connection.taken is not None:
            connection.taken.close()
        elif not self.answered:
            connection.transport.close()

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


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel find out within two minutes that a silent peer is gone: streams may be silent for hours."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 6)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Taken:
    """A connection that left HTTP: written to directly, read as a stream of bytes, closed by who took it."""

    READ_AHEAD = 256 * 1024

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._over = False
        self._wake: asyncio.Future[None] | None = None
        self.ended = connection.hub.loop.create_future()
        """Done when the client is gone or the server ends, whichever is first: time to say goodbye."""
        self.when_writable: Callable[[], None] | None = None
        """Called when a client that was behind has caught up, for those who do not wait in `drain`."""

    @property
    def open(self) -> bool:
        return self._connection.open and not self._connection.transport.is_closing()

    @property
    def pending(self) -> int:
        """Bytes written and not yet accepted by the kernel."""
        return self._connection.transport.get_write_buffer_size()

    @property
    def writable(self) -> bool:
        """False while the client is behind; `drain` waits for it."""
        return self._connection.writable is None

    def write(self, data: bytes) -> None:
        if self.open:
            self._connection.transport.write(data)

    async def drain(self) -> None:
        await self._connection.drain()

    async def read(self) -> bytes:
        """The next bytes from the client; empty when there will be no more."""
        while not self._pieces and not self._over:
            self._wake = self._connection.hub.loop.create_future()
            await self._wake
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._size <= self.READ_AHEAD:
            self._connection.resume()
        return piece

    def close(self) -> None:
        """Send what was written, then close."""
        self._connection.transport.close()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._connection.transport.abort()

    # What the connection and the server call.

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self.READ_AHEAD:
            self._connection.pause()
        self._rouse()

    def feed_end(self) -> None:
        self._over = True
        self._rouse()

    def lost(self) -> None:
        self.feed_end()
        self.end()

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
