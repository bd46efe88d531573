"""Events on their way to where they go, gathered into batches, so that no request waits for a slow backend.

What comes when too much waits already is lost, and said to be.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timonier.kit.clock import Clock, Seconds, Time, sleep_unless

if TYPE_CHECKING:
    from timonier.apiserver.audit.auditor import Sink

log = logging.getLogger(__name__)

PARTING_SECONDS: Seconds = 10.0
"""How long the last events may take after the server ended."""


@dataclass(slots=True)
class Pace:
    """A token bucket: `rate` a second on average, `burst` at once. Pure."""

    rate: float
    burst: int
    _tokens: float = -1.0
    _since: Time = 0.0

    def wait(self, now: Time) -> Seconds:
        """Take a token; how long to wait until it is there."""
        if self._tokens < 0 and not self._since:
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + (now - self._since) * self.rate)
        self._since = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)


class Batches:
    """A sink that returns at once. Runs for the length of an `async with` block."""

    def __init__(self, sink: Sink, name: str, clock: Clock, buffer: int = 10_000, size: int = 1, wait: Seconds = 0.0,
                 pace: Pace | None = None) -> None:
        self.sink, self.name, self.clock = sink, name, clock
        self.buffer, self.size, self.wait, self.pace = buffer, size, wait, pace
        self.lost = 0
        self._waiting: deque[bytes] = deque()
        self._some, self._full, self._over = asyncio.Event(), asyncio.Event(), False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Batches:
        self._task = asyncio.create_task(self._run(), name=f"audit-{self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        self._some.set()
        self._full.set()
        assert self._task is not None
        await asyncio.wait({self._task}, timeout=PARTING_SECONDS)
        self._task.cancel()
        if self._waiting:
            log.warning("audit events lost at the end", extra={"backend": self.name, "count": len(self._waiting)})

    async def deliver(self, events: Sequence[bytes]) -> None:
        """Take events. Raises OSError where too many wait already."""
        for event in events:
            if len(self._waiting) >= self.buffer:
                self.lost += 1
                raise OSError(f"audit buffer queue blocked: {self.buffer} events wait already")
            self._waiting.append(event)
        self._some.set()
        if len(self._waiting) >= self.size:
            self._full.set()

    async def _run(self) -> None:
        while self._waiting or not self._over:
            await self._some.wait()
            if self.wait and not self._over and len(self._waiting) < self.size:
                await self._gather()
            batch = [self._waiting.popleft() for _ in range(min(self.size, len(self._waiting)))]
            if not self._waiting and not self._over:
                self._some.clear()
            if len(self._waiting) < self.size and not self._over:
                self._full.clear()
            if not batch:
                continue
            if self.pace is not None and not self._over:
                await self.clock.sleep(self.pace.wait(self.clock.monotonic()))
            try:
                await self.sink.deliver(batch)
            except OSError as error:
                self.lost += len(batch)
                log.warning("audit events lost", extra={"backend": self.name, "count": len(batch), "error": str(error)})

    async def _gather(self) -> None:
        """Wait for a whole batch, or for as long as an event may wait."""
        await sleep_unless(self.clock, self.wait, self._full)
