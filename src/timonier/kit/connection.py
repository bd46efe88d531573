"""One HTTP/1.1 connection: parses what arrives, queues exchanges, passes flow control on, and has to make progress.

Every connection has a deadline by which it must have got further; the server sweeps those that are past theirs. What
happens between a request and its answer stands in `kit.exchange`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate

import httptools

from timonier.kit.exchange import NEVER, STATUS_LINES, App, Exchange
from timonier.kit.taken import Taken

BAD_REQUEST = b"400 Bad Request"
HEADERS_TOO_LARGE = b"431 Request Header Fields Too Large"


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
    spread_seconds: float = 0.0
    """Over which streams are told to end, at the end of the server."""
    grace_seconds: float = 5.0
    """From the beginning of the end of the server to the last answer."""


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
        streams = [connection.taken for connection in self.connections if connection.taken is not None]
        for place, taken in enumerate(streams):
            if self.limits.spread_seconds:
                self.loop.call_later(self.limits.spread_seconds * place / len(streams), taken.end)
            else:
                taken.end()
        for connection in list(self.connections):
            if connection.taken is None and connection.current is None:
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
        del self.parser  # it refers to this, which is so freed at once, and not only when the collector comes by
        self.hub.connections.discard(self)
        self.resume_writing()
        for exchange in (self.current, self.incoming):
            if exchange is not None:
                exchange.wake()
        if self.taken is not None:
            self.taken.lost()
        if self.current is None or self.current.over:
            self.forget()

    def forget(self) -> None:
        """Let go of what refers to this connection, which is lost, and of which nobody makes anything any more."""
        if self.taken is not None:
            self.taken.when_writable = None
        self.taken = self.current = self.incoming = None
        self.waiting.clear()

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
