"""Answers of somebody else, kept for as long as they may be believed, so that nobody is asked the same in a row."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from timonier.kit.clock import Clock, Seconds, Time

T = TypeVar("T")


class Kept(Generic[T]):
    """Answers by the hash of the question. Who asks what is being asked already waits for that answer."""

    def __init__(self, clock: Clock, limit: int = 8192) -> None:
        self.clock, self.limit = clock, limit
        self.answers: OrderedDict[bytes, tuple[Time, T]] = OrderedDict()
        self.asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def of(self, question: bytes, ask: Callable[[], Awaitable[T]], seconds: Callable[[T], Seconds]) -> T:
        """The answer: a kept one, or that of `ask`, which is kept for so many seconds. Raises what `ask` raises."""
        key = hashlib.sha256(question).digest()
        found = self.known(key)
        if found is not None:
            return found[0]
        lock = self.asking.get(key)
        if lock is None:
            lock = self.asking[key] = asyncio.Lock()
        async with lock:
            found = self.known(key)
            if found is not None:
                return found[0]
            answer = await ask()
            if (holds := seconds(answer)) > 0:
                self.answers[key] = self.clock.now() + holds, answer
                while len(self.answers) > self.limit:
                    self.answers.popitem(last=False)
            return answer

    def known(self, key: bytes) -> tuple[T] | None:
        found = self.answers.get(key)
        if found is None:
            return None
        ends, answer = found
        if self.clock.now() >= ends:
            del self.answers[key]
            return None
        self.answers.move_to_end(key)
        return (answer,)
