"""The watch hub: hands each committed change to every watcher whose prefix it has.

A watcher's buffer is bounded. Where it overflows, the watcher is not cut off: it drains what it has and then reads the
log again from there, as it did when it began. Only a watcher so slow that compaction overtook it gets Expired.

Belongs to one event loop. Does not know how an engine keeps its log: that is the `replay` it is given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from timonier.store.contract import Event, Revision

BUFFER = 8192
"""Events that wait for one watcher in memory; beyond that it reads them from the log."""

Replay = Callable[[str, Revision, Revision], AsyncIterator[Event]]
"""(prefix, after, until): the events of the log with after < revision <= until; raises Expired."""


class Watcher:
    """One watcher's buffer. `lost` means that the buffer does not go on to the present: read the log."""

    __slots__ = ("_wake", "buffer", "lost", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.buffer: deque[Event] = deque()
        self.lost = True
        self._wake = asyncio.Event()

    def offer(self, event: Event, room: int) -> None:
        if self.lost:
            return
        if len(self.buffer) >= room:
            self.lost = True
        else:
            self.buffer.append(event)
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    async def wait(self) -> None:
        """Return once there may be something to do."""
        self._wake.clear()
        await self._wake.wait()


class Hub:
    """Every watcher of a store, and the revision up to which they have been told."""

    def __init__(self, replay: Replay, published: Revision, buffer: int = BUFFER) -> None:
        self.published = published
        self._replay, self._room = replay, buffer
        self._watchers: set[Watcher] = set()
        self._closed = False

    def publish(self, events: Sequence[Event]) -> None:
        """Tell the watchers; `events` go on where the last call ended."""
        for event in events:
            key = event.key
            for watcher in self._watchers:
                if key.startswith(watcher.prefix):
                    watcher.offer(event, self._room)
            self.published = event.revision

    async def follow(self, prefix: str, after: Revision) -> AsyncIterator[Event]:
        """Every event after a revision, for ever: first from the log, then as they are published."""
        watcher, position = Watcher(prefix), after
        self._watchers.add(watcher)
        try:
            while not self._closed:
                if watcher.lost:
                    watcher.lost, until = False, self.published
                    async for event in self._replay(prefix, position, until):
                        yield event
                    position = max(position, until)
                while watcher.buffer:
                    event = watcher.buffer.popleft()
                    if event.revision > position:
                        position = event.revision
                        yield event
                if not watcher.lost and not self._closed:
                    await watcher.wait()
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End every watch once it has handed out what it has."""
        self._closed = True
        for watcher in self._watchers:
            watcher.wake()
