"""Who begins in this turn of the event loop: a few requests of each user in turn, however many one of them sends.

Seats bound how many requests are under way. Most are answered without waiting for anything, though, within one turn of
the loop, and hold their seats for no longer: a user with hundreds of connections would have hundreds of answers made
before anybody else's request is as much as read. So whoever comes late in a turn waits for a later one, behind those
of the same flow and beside all others.

A turn may last several rounds of the loop. Requests that give way between the stages of their work then go through
each stage together. A stage is so much code that it is half as slow again for the first request as for those that find
its instructions and data at hand.
"""

from __future__ import annotations

import asyncio
from collections import deque

Flow = tuple[str, str]
"""A FlowSchema, and what tells flows apart by it: a user, or a namespace."""

STEP = 8
"""Requests that begin in a turn."""


class Turns:
    """Of one event loop. A turn lasts so many rounds of it, and whoever comes after its first round is late."""

    def __init__(self, step: int = STEP, rounds: int = 1) -> None:
        self.step, self.rounds = step, rounds
        self._left = step
        self._round = 0
        """The round of the turn under way, from 1; 0 where there is none."""
        self._waiting: dict[Flow, deque[asyncio.Future[None]]] = {}

    def take(self, flow: Flow) -> asyncio.Future[None] | None:
        """What a request of that flow has to wait for before it begins; None where it may begin at once."""
        if not self._round:
            self._begin()
        if self._left and self._round == 1:
            self._left -= 1
            return None
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(flow, deque()).append(turn)
        return turn

    def _begin(self) -> None:
        self._round, self._left = 1, self.step
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Go on to the next round, or turn: with those who wait, the first of each flow, then the second, and so on."""
        if self._round < self.rounds:
            self._round += 1
            asyncio.get_running_loop().call_soon(self._next)
            return
        self._round = 0
        if not self._waiting:
            return
        self._begin()
        while self._left and self._waiting:
            flow, queue = next(iter(self._waiting.items()))
            del self._waiting[flow]
            turn = queue.popleft()
            if queue:
                self._waiting[flow] = queue  # behind all others
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
