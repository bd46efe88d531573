"""The same time for each of many tasks, which hardly any of them uses up.

One timer waits for whoever began first; to begin and to end in time costs no timer.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from timonier.kit.clock import Seconds, Time


class Allowance:
    """As many seconds for everybody who enters its `timeout`. Of one event loop."""

    def __init__(self, seconds: Seconds) -> None:
        self.seconds = seconds
        self.running: dict[Allowed, Time] = {}
        """When who is inside has to be done, in that order."""
        self._timer: asyncio.TimerHandle | None = None

    def timeout(self) -> Allowed:
        """What `asyncio.timeout(seconds)` is."""
        return Allowed(self)

    def begin(self, one: Allowed) -> None:
        loop = asyncio.get_running_loop()
        due = self.running[one] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """End those whose time is over, and wait for the next."""
        self._timer, now = None, loop.time()
        while self.running:
            one, due = next(iter(self.running.items()))
            if due > now:
                self._timer = loop.call_at(due, self._expire, loop)
                return
            del self.running[one]
            one.limit.reschedule(now)


class Allowed:
    """The time of one task."""

    __slots__ = ("allowance", "limit")

    def __init__(self, allowance: Allowance) -> None:
        self.allowance, self.limit = allowance, asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self.limit.__aenter__()
        self.allowance.begin(self)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.allowance.running.pop(self, None)
        await self.limit.__aexit__(kind, error, trace)
