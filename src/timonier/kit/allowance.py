"""The same time for each of many tasks, which hardly any of them uses up.

One timer waits for whoever began first; to begin and to end in time costs no timer, and an eighth of what
`asyncio.timeout` costs.
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def timeout(self) -> Allowed:
        """What `asyncio.timeout(seconds)` is, but for a plain `with`: TimeoutError ends what takes longer."""
        return Allowed(self)

    def begin(self, one: Allowed) -> None:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
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
            one.end()


class Allowed:
    """The time of one task, which is cancelled when it is over; whoever else cancels it meanwhile is heeded."""

    __slots__ = ("allowance", "before", "over", "task")

    def __init__(self, allowance: Allowance) -> None:
        self.allowance, self.over = allowance, False

    def end(self) -> None:
        self.over = True
        self.task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.before = task, task.cancelling()
        self.allowance.begin(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.allowance.running.pop(self, None)
        if self.over and self.task.uncancel() <= self.before and kind is asyncio.CancelledError:
            raise TimeoutError from error
