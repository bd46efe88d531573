"""An answer of unknown length on a taken-over connection: headers, then chunks at the client's pace, then its end.

For streams that last (a followed log), where the answer has to stop when the client is gone though nothing is being
written: `Taken.ended` says so, which ASGI does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from http import HTTPStatus

from timonier.kit.streaming.relay import Duplex
from timonier.kit.taken import Taken

PHRASES = {status.value: status.phrase for status in HTTPStatus}


class ChunkedAnswer:
    """One HTTP/1.1 answer in chunks. The connection is closed after it."""

    def __init__(self, connection: Duplex) -> None:
        self._connection = connection
        self._begun = False

    @property
    def begun(self) -> bool:
        return self._begun

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and headers."""
        self._begun = True
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}", "Transfer-Encoding: chunked", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._connection.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await self._connection.drain()

    async def write(self, data: bytes) -> None:
        """Send a piece and wait until the client keeps up."""
        if data:
            self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))
            await self._connection.drain()

    def end(self) -> None:
        """The answer is complete; without this, the client sees it broken off."""
        self._connection.write(b"0\r\n\r\n")
        self._connection.close()


async def send(taken: Taken, pieces: AsyncIterable[bytes], headers: Mapping[str, str], status: int = 200) -> None:
    """Send the pieces as they come, until they end or the client goes away. What the pieces raise is raised."""

    async def copy() -> None:
        answer = ChunkedAnswer(taken)
        await answer.begin(status, headers)
        async for piece in pieces:
            await answer.write(piece)
        answer.end()

    copying = asyncio.ensure_future(copy())
    try:
        await asyncio.wait({copying, taken.ended}, return_when=asyncio.FIRST_COMPLETED)
        if copying.done():
            copying.result()
    finally:
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
