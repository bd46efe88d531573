"""The work queue: keys to look at, each at most once at a time, some of them later, failing ones ever later.

A key that is added while it waits is not added twice; one that is added while it is being worked on waits until that
is done. Source: client-go, package workqueue, whose promises and figures these are.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque

from timonier.kit.clock import Clock, Seconds, Time, sleep_unless

FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.005, 1000.0


class WorkQueue:
    """Keys in the order in which they became due. `run` must be running for anything that is added for later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[str] = deque()
        self._waiting: dict[str, None] = {}
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._due: dict[str, Time] = {}
        self._later: list[tuple[Time, str]] = []
        self._arrived = asyncio.Event()
        self._sooner = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        if key in self._waiting:
            return
        self._waiting[key] = None
        if key not in self._working:
            self._ready.append(key)
            self._arrived.set()

    def add_after(self, key: str, seconds: Seconds) -> None:
        """Add the key so many seconds from now; of several such moments the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        if self._later[0] == (due, key):
            self._sooner.set()

    def back_off(self, key: str) -> Seconds:
        """Add the key after a pause that doubles with each failure; the pause is returned."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(FIRST_BACK_OFF * 2.0 ** min(failures - 1, 32), LONGEST_BACK_OFF)
        self.add_after(key, pause)
        return pause

    def failures(self, key: str) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: str) -> None:
        """The key's work succeeded: its next failure is a first one."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key, which is being worked on until `done` is called with it."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        self._working.discard(key)
        if key in self._waiting:
            self._ready.append(key)
            self._arrived.set()

    async def run(self) -> None:
        """Move keys that were added for later to the queue when they are due."""
        while True:
            self._sooner.clear()
            while self._later and self._later[0][0] <= self._clock.monotonic():
                due, key = heapq.heappop(self._later)
                if self._due.get(key) == due:  # otherwise an earlier moment has replaced this one
                    del self._due[key]
                    self.add(key)
            await self._until_next()

    async def _until_next(self) -> None:
        """Sleep until the earliest moment, or until an earlier one is added."""
        if not self._later:
            await self._sooner.wait()
            return
        await sleep_unless(self._clock, self._later[0][0] - self._clock.monotonic(), self._sooner)
