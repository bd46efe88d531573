"""Time as an argument: the clock that loops are given, the real one and one that tests advance by hand.

A moment is a float of Unix seconds (UTC); a duration is a float of seconds. How a moment is written on the wire is the
business of `timonier.api.times`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol

Time = float
Seconds = float


class Clock(Protocol):
    """What loops ask instead of the operating system."""

    def now(self) -> Time:
        """Wall-clock time in Unix seconds; may jump."""

    def monotonic(self) -> Seconds:
        """Seconds since an arbitrary point; never goes back. For measuring and for deadlines."""

    async def sleep(self, seconds: Seconds) -> None:
        """Return after `seconds` of this clock; where they are not positive, after other tasks had a turn."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> Time:
        return time.time()

    def monotonic(self) -> Seconds:
        return time.monotonic()

    async def sleep(self, seconds: Seconds) -> None:
        await asyncio.sleep(max(0.0, seconds))


async def sleep_unless(clock: Clock, seconds: Seconds, woken: asyncio.Event) -> None:
    """Return after `seconds` of a clock, or once an event is set."""
    ends = asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(woken.wait())
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()


class FakeClock:
    """A clock that stands still until `advance` is called; sleepers wake in the order of their deadlines."""

    TURNS = 20
    """How many times other tasks get the loop after each wake-up, so that what they started settles."""

    def __init__(self, start: Time = 1_700_000_000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[Time, int, asyncio.Future[None]]] = []

    def now(self) -> Time:
        return self._now

    def monotonic(self) -> Seconds:
        return self._now

    async def sleep(self, seconds: Seconds) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: Seconds) -> None:
        """Move time on, waking each sleeper at its own moment and letting it run before the next."""
        end = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)
                await self.settle()
        self._now = end
        await self.settle()

    async def settle(self) -> None:
        """Let every task that is ready run until it waits."""
        for _ in range(self.TURNS):
            await asyncio.sleep(0)
