"""Moves bytes between two connections, both ways, at the pace of the slower one, until one of them ends.

A `Duplex` is what both a taken-over server connection (`kit.serve.Taken`) and a client's socket (`Link`) are. Nothing
is buffered here but the piece in hand; the rest waits in the two transports, whose buffers are bounded, and then in
the kernels of the two peers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from timonier.kit.clock import Seconds
from timonier.kit.taken import keep_alive

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
IDLE_SECONDS = 4 * 3600.0
"""Silence in both directions after which a tunnel is closed, as the kubelet's streamingConnectionIdleTimeout."""
LINGER_SECONDS = 10.0
"""How long a closed connection may take to send what was written to it."""


class Duplex(Protocol):
    """A connection that is read in pieces and written with back-pressure."""

    async def read(self) -> bytes:
        """The next bytes; empty when there will be no more."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written, or is gone."""

    def close(self) -> None:
        """Send what was written, then close."""

    def abort(self) -> None:
        """Close at once."""


class Link:
    """A socket's reader and writer as a Duplex; a lost connection reads as its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        keep_alive(writer.transport)

    async def read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            self.abort()

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()


Until = asyncio.Future[None] | None
"""A moment at which to stop although both sides go on, such as `Taken.ended`."""


async def relay(one: Duplex, other: Duplex, *, idle: Seconds = IDLE_SECONDS, until: Until = None) -> None:
    """Copy both ways until either side ends or nothing moved for `idle`; both are closed on return."""
    await both_ways(one, other, lambda data: Moved(to_other=data), lambda data: Moved(to_one=data), idle=idle,
                    until=until)


class Moved(NamedTuple):
    """What becomes of bytes that were received: what to send to each side, and whether that was all."""

    to_one: bytes = b""
    to_other: bytes = b""
    over: bool = False


Translate = Callable[[bytes], Moved]


async def both_ways(one: Duplex, other: Duplex, from_one: Translate, from_other: Translate, *,
                    idle: Seconds = IDLE_SECONDS, until: Until = None) -> None:
    """As `relay`, with a translation in between, so that each direction may also answer its own side.

    A translation gets empty bytes once its side has ended, and says its last words. There is no half-closing here:
    TLS knows none, and the protocols that are carried close their streams by halves themselves.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(idle) as limit:

            def moved() -> None:
                limit.reschedule(loop.time() + idle)

            pumps = {loop.create_task(pump(one, (one, other), from_one, moved), name="relay"),
                     loop.create_task(pump(other, (one, other), from_other, moved), name="relay")}
            try:
                signals: set[asyncio.Future[None]] = {*pumps, *((until,) if until else ())}
                done, _ = await asyncio.wait(signals, return_when=asyncio.FIRST_COMPLETED)
                for signal in done:
                    signal.result()
            finally:
                await cancel(pumps)
    except TimeoutError:
        log.info("idle stream closed", extra={"seconds": idle})
    finally:
        for connection in (one, other):
            close(connection)


async def pump(source: Duplex, targets: tuple[Duplex, Duplex], translate: Translate, moved: Callable[[], None]) -> None:
    """Copy until `source` ends or the translation says that all is over."""
    while True:
        data = await source.read()
        moved()
        answer = translate(data)
        for target, piece in zip(targets, (answer.to_one, answer.to_other), strict=True):
            if piece:
                target.write(piece)
                await target.drain()
        if answer.over or not data:
            return


def close(connection: Duplex) -> None:
    """Close politely, and after `LINGER_SECONDS` whether or not the peer has taken what was written."""
    connection.close()
    asyncio.get_running_loop().call_later(LINGER_SECONDS, connection.abort)


async def cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
