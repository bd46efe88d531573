"""Who begins in this turn of the event loop: a few requests of each user in turn, however many one of them sends.

Seats bound how many requests are under way. Most are answered without waiting for anything, though, within one turn of
the loop, and hold their seats for no longer: a user with hundreds of connections would have hundreds of answers made
before anybody else's request is as much as read. So whoever comes late in a turn waits for a later one, behind those
of the same flow and beside all others.
"""

from __future__ import annotations

import asyncio
from collections import deque

Flow = tuple[str, str]
"""A FlowSchema, and what tells flows apart by it: a user, or a namespace."""

STEP = 8
"""Requests that begin in a turn."""


class Turns:
    """Of one event loop."""

    def __init__(self, step: int = STEP) -> None:
        self.step = step
        self._left = step
        self._waiting: dict[Flow, deque[asyncio.Future[None]]] = {}

    def take(self, flow: Flow) -> asyncio.Future[None] | None:
        """What a request of that flow has to wait for before it begins; None where it may begin at once."""
        left = self._left
        if left == self.step:
            asyncio.get_running_loop().call_soon(self._next)
        if left:
            self._left = left - 1
            return None
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(flow, deque()).append(turn)
        return turn

    def _next(self) -> None:
        """Begin a turn: with those who wait, the first of each flow, then the second, and so on."""
        self._left = self.step
        while self._left and self._waiting:
            flow, queue = next(iter(self._waiting.items()))
            del self._waiting[flow]
            turn = queue.popleft()
            if queue:
                self._waiting[flow] = queue  # behind all others
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < self.step:
            asyncio.get_running_loop().call_soon(self._next)
