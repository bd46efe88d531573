"""The feed: the API server's one watch of the store, which keeps the caches of all kinds up to date.

It sees every revision in order, so `revision` says up to where every cache is right, and waiting for a revision is
waiting for that number. Losing the store's watch is not the end: the feed begins anew and readers wait meanwhile.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from timonier.api.errors import ServiceUnavailable, Timeout
from timonier.api.kinds import Kind
from timonier.apiserver.cache import Cache, Delta, Item
from timonier.apiserver.objects import PRIVATE
from timonier.store.contract import Expired, Page, Revision, Store, StoreError, Unavailable

log = logging.getLogger(__name__)

REPLAYED = 2_000
"""Changes that are read back at start, so that watches that were cut by a restart resume."""
READ_SECONDS = 10.0
"""How long a read waits for the cache to catch up with the store."""
AHEAD_SECONDS = 3.0
"""How long a read waits for a revision that its client has seen and this server has not."""
RETRY_SECONDS = (0.1, 5.0)
"""First and longest pause before the store is asked again after it failed."""


class Feed:
    """The caches of all kinds, by storage prefix, and the task that feeds them.

    A cache is made when its kind is first asked for or written; it is as old as the last time that all began anew.
    """

    def __init__(self, store: Store, history: int = 10_000, history_bytes: int = 64 * 2**20) -> None:
        self.store, self.history, self.history_bytes = store, history, history_bytes
        self.caches: dict[str, Cache] = {}
        self.revision: Revision = 0
        self.loaded: Revision = 0
        """The state from which the caches began; every change since is known."""
        self.replays = REPLAYED
        self.ready = asyncio.Event()
        self.on_delete: list[Callable[[str], None]] = []
        """Told of the key of each object that is gone."""
        self._waiters: list[tuple[Revision, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._kept: deque[tuple[Cache, Delta]] = deque()
        self._kept_bytes = 0

    def cache(self, kind: Kind) -> Cache:
        return self.caches.get(kind.prefix) or self.cache_at(kind.prefix)

    def cache_at(self, prefix: str) -> Cache:
        found = self.caches.get(prefix)
        if found is None:
            found = self.caches[prefix] = Cache(prefix, self.history)
            found.oldest = self.loaded
        return found

    async def run(self) -> None:
        """Follow the store until cancelled."""
        pause, longest = RETRY_SECONDS
        while True:
            try:
                if not self.ready.is_set():
                    await self.load()
                    pause = RETRY_SECONDS[0]
                await self.follow()
            except Expired:
                log.warning("the cache fell behind the store's history and begins anew")
                self.replays = 0
                self.ready.clear()
            except Unavailable as error:
                log.warning("the store cannot be watched", extra={"error": str(error)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    async def load(self) -> None:
        """Fill the caches with the state a little while ago; following the log from there fills their rings."""
        page = await self.recent()
        by_prefix: dict[str, list[Item]] = defaultdict(list)
        for entry in page.entries:
            if (prefix := prefix_of(entry.key)) != PRIVATE:
                by_prefix[prefix].append(Item.of(entry))
        self.loaded = page.revision
        self._kept.clear()
        self._kept_bytes = 0
        for prefix in self.caches.keys() | by_prefix.keys():
            self.cache_at(prefix).load(by_prefix.get(prefix, ()), page.revision)
        self.advance(page.revision)
        self.ready.set()

    async def recent(self) -> Page:
        latest = await self.store.revision()
        try:
            return await self.store.list("/", at=max(1, latest - self.replays))
        except Expired as error:
            return await self.store.list("/", at=max(error.oldest, 1))

    async def follow(self) -> None:
        async for event in self.store.watch("/", after=self.revision):
            if (prefix := prefix_of(event.key)) != PRIVATE:
                cache = self.cache_at(prefix)
                change = cache.apply(event)
                self.keep(cache, change)
                if change.after is None:
                    for told in self.on_delete:
                        told(event.key)
            self.advance(event.revision)
        raise Unavailable("the store's watch ended")

    def keep(self, cache: Cache, change: Delta) -> None:
        """Remember a change for watches that resume, and forget the oldest of all kinds where it is too much."""
        self._kept.append((cache, change))
        self._kept_bytes += change.size
        while self._kept_bytes > self.history_bytes:
            self._forget_oldest()

    def forget(self, until: Revision) -> None:
        """Let go of the changes up to a revision: no watch resumes from before it any more."""
        while self._kept and self._kept[0][1].revision <= until:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        cache, change = self._kept.popleft()
        self._kept_bytes -= change.size
        if cache.ring and cache.ring[0] is change:  # else it was one too many of its kind
            cache.forget()

    def advance(self, revision: Revision) -> None:
        self.revision = revision
        while self._waiters and self._waiters[0][0] <= revision:
            _, _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                waiter.set_result(None)

    async def current(self) -> Revision:
        """Return when the caches hold all that was written before the call (linearizable); their revision.

        Raises ServiceUnavailable where the store fails, Timeout where the cache does not catch up.
        """
        try:
            latest = await self.store.revision()
        except StoreError as error:
            raise ServiceUnavailable(f"the store is not available: {error}", retry_after=1) from error
        if self.revision < latest:
            await asyncio.sleep(0)  # mostly it is on its way already
        if self.revision < latest and not await self.wait(latest, READ_SECONDS):
            raise Timeout("the server's cache did not catch up with the store in time", retry_after=1)
        return self.revision

    async def at_least(self, revision: Revision) -> Revision:
        """Return when the caches are at a revision or beyond. Raises Timeout where it has not happened in time."""
        if self.revision < revision and not await self.wait(revision, AHEAD_SECONDS):
            raise too_large(revision, self.revision)
        return self.revision

    async def wait(self, revision: Revision, seconds: float) -> bool:
        """Whether the caches reached a revision within some seconds."""
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._order), waiter))
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return False
        return True

    def count(self) -> Iterable[tuple[str, int]]:
        """Objects stored, by resource."""
        return ((prefix.strip("/"), len(cache.items)) for prefix, cache in self.caches.items())


def too_large(asked: Revision, current: Revision) -> Timeout:
    """The answer to who asks for a revision that has not happened."""
    from timonier.api.errors import Cause

    return Timeout(f"Too large resource version: {asked}, current: {current}", retry_after=1,
                   causes=[Cause("ResourceVersionTooLarge", "", "Too large resource version")])


def prefix_of(key: str) -> str:
    """`/pods/` of `/pods/default/web`."""
    return key[:key.find("/", 1) + 1]
