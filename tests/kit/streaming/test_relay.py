"""Relaying: bytes pass at the slower side's pace, and both sides are closed whichever way it ends."""

from __future__ import annotations

import asyncio

import pytest

from timonier.kit.streaming.chunked import ChunkedAnswer
from timonier.kit.streaming.relay import Moved, both_ways, relay
from timonier.kit.streaming.switching import switching


class Side:
    """A connection in memory. `feed` is what its peer sends; `blocked` holds up whoever writes to it."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.written = b""
        self.reads = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.closed = False

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.incoming.put_nowait(piece)

    async def read(self) -> bytes:
        piece = await self.incoming.get()
        self.reads += 1
        return piece

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        await self.flowing.wait()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


@pytest.fixture
async def sides():
    return Side(), Side()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_bytes_pass_both_ways_until_one_side_ends(sides):
    one, other = sides
    one.feed(b"a", b"b")
    other.feed(b"c")
    relaying = asyncio.create_task(relay(one, other))
    await settle()
    one.feed(b"")
    await asyncio.wait_for(relaying, 5)
    assert (other.written, one.written) == (b"ab", b"c")
    assert one.closed
    assert other.closed


async def test_a_side_that_does_not_take_holds_up_the_other(sides):
    one, other = sides
    other.flowing.clear()
    one.feed(*[b"x"] * 100)
    relaying = asyncio.create_task(relay(one, other))
    await settle()
    assert one.reads == 1
    other.feed(b"the other way still flows")
    await settle()
    assert one.written == b"the other way still flows"
    other.flowing.set()
    await settle()
    one.feed(b"")
    await asyncio.wait_for(relaying, 5)
    assert other.written == b"x" * 100


async def test_silence_ends_it(sides):
    await asyncio.wait_for(relay(*sides, idle=0.01), 5)
    assert all(side.closed for side in sides)


async def test_a_signal_ends_it(sides):
    until = asyncio.get_running_loop().create_future()
    relaying = asyncio.create_task(relay(*sides, until=until))
    await settle()
    until.set_result(None)
    await asyncio.wait_for(relaying, 5)
    assert all(side.closed for side in sides)


async def test_cancelling_closes_both(sides):
    relaying = asyncio.create_task(relay(*sides))
    await settle()
    relaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await relaying
    assert all(side.closed for side in sides)


async def test_a_translation_that_fails_closes_both_and_says_so(sides):
    def broken(data: bytes) -> Moved:
        raise ValueError("no")

    sides[0].feed(b"a")
    with pytest.raises(ValueError, match="no"):
        await both_ways(*sides, broken, broken)
    assert all(side.closed for side in sides)


async def test_a_translation_may_answer_its_own_side_and_end_it_all(sides):
    one, other = sides
    one.feed(b"a")
    await both_ways(one, other, lambda data: Moved(b"bye", b"also bye", over=True), lambda data: Moved())
    assert (one.written, other.written) == (b"bye", b"also bye")


async def test_a_chunked_answer_is_framed():
    side = Side()
    answer = ChunkedAnswer(side)
    await answer.begin(200, {"Content-Type": "text/plain"})
    await answer.write(b"hello")
    await answer.write(b"")
    answer.end()
    head, _, body = side.written.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nContent-Type: text/plain"
    assert body == b"5\r\nhello\r\n0\r\n\r\n"
    assert side.closed


def test_switching_keeps_what_the_protocol_needs_and_drops_what_belongs_to_the_other_connection():
    assert switching({"upgrade": "SPDY/3.1", "connection": "Upgrade", "date": "x", "x-stream-protocol-version": "v4"}) \
        == (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            b"X-Stream-Protocol-Version: v4\r\n\r\n")
