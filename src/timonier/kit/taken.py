"""A connection that left HTTP: what a stream such as a watch, exec or a tunnel gets instead of a response."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timonier.kit.connection import Connection


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


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel find out within two minutes that a silent peer is gone: streams may be silent for hours."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 6)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
