"""GET of a collection with ?watch: its changes as they happen, written straight to the connection.

A request joins those who watch the same (`watching`), after it was sent what it has missed or what there is; from then
on nothing runs for it but bookmarks and its end. Once it has been let in, whatever goes wrong is told by an event.

Source: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks", "Streaming lists".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from timonier.api.errors import ApiError, Expired
from timonier.api.kinds import Kind
from timonier.apiserver.answers import included
from timonier.apiserver.cache import Item
from timonier.apiserver.listing import ListOptions, options_of
from timonier.apiserver.request import Request
from timonier.apiserver.watching import packing
from timonier.apiserver.watching.audience import Audience
from timonier.apiserver.watching.packing import CHUNKS, Packing, listen
from timonier.apiserver.watching.watcher import Watcher
from timonier.kit.taken import Taken

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

INITIAL_END = "k8s.io/initial-events-end"
LAST_WORD = 2.0
"""Seconds before its end at which a watch gets a bookmark, so that its client resumes from now."""


async def serve(server: ApiServer, request: Request, kind: Kind) -> None:
    """Stream until the client leaves, the time is up, or the server ends. Raises ApiErrors before the first byte."""
    options, include, packed = options_of(request, kind), included(request), packing.of_request(request)
    head = packed.head(request)
    if options.revision is None:
        await server.feed.current()
    else:
        await server.feed.ready.wait()
    assert request.take_over is not None
    taken: Taken = request.take_over()
    taken.write(head)
    with server.metrics.long_running(request):
        await Watch(server, request, kind, options, include, packed, taken).run()


class Watch:
    """One watch, from its beginning to its end."""

    def __init__(self, server: ApiServer, request: Request, kind: Kind, options: ListOptions, include: str,
                 packed: Packing, taken: Taken) -> None:
        self.feed, self.settings, self.request, self.options = server.feed, server.settings, request, options
        self.cache, self.kind, self.views = server.feed.cache(kind), kind, server.registry.views
        self.audience: Audience = server.audiences.of(self.cache, kind, request.form, include, packed,
                                                     options.selection)
        self.packing, self.watcher = packed, Watcher(taken, server.settings.watch_buffer, packed.last)
        seconds = options.timeout or server.settings.min_request_timeout * random.uniform(1, 2)
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.told = options.revision or 0
        """The revision up to which the client knows that it has missed nothing."""

    async def run(self) -> None:
        listening = asyncio.ensure_future(self.listen())
        try:
            if await self.reached():
                await self.seen()
                self.begin()
                self.request.begun()
                await self.last()
        except ApiError as error:
            self.audience.fail(self.watcher, error)
        finally:
            listening.cancel()
            self.audience.leave(self.watcher)
            self.watcher.finish()

    async def listen(self) -> None:
        """End the watch when the client of a WebSocket says so; that of an HTTP answer can only hang up."""
        if self.packing is not CHUNKS:
            await listen(self.watcher.taken)
            self.watcher.finish()

    async def reached(self) -> bool:
        """Whether the cache has reached the client's revision before the watch ended.

        Raises Timeout where the client wants to see the state of a time that has not come.
        """
        revision = self.options.revision
        if not revision or self.feed.revision >= revision:
            return True
        if self.options.initial_events:
            await self.feed.at_least(revision)
            return True
        self.request.begun()
        left = self.deadline - asyncio.get_running_loop().time()
        waiting = asyncio.ensure_future(self.feed.wait(revision, left))
        await asyncio.wait({waiting, self.watcher.taken.ended, self.watcher.cut}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            return False
        return waiting.result()

    async def seen(self) -> None:
        """Return when all that a watch of a custom kind begins with can be shown at once. Raises ApiError."""
        while self.kind.custom is not None:
            missing = [item for item in self.beginning() if self.views.now(self.kind, item) is None]
            if missing:
                await self.views.of(self.kind, missing)
            elif self.audience.behind:
                await self.audience.caught_up()
            else:
                return

    def beginning(self) -> Iterable[Item]:
        """The items that a watch begins with."""
        if self.options.initial_events:
            return self.cache.within(self.options.selection.namespace)
        deltas = self.cache.since(self.options.revision) if self.options.revision else ()
        return [item for delta in deltas for item in (delta.before, delta.after) if item is not None]

    def begin(self) -> None:
        """Send what happened since the client's revision, or what there is, and join those who watch the same.

        Runs without waiting, so that nothing can happen in between. Raises Expired.
        """
        options, audience, frames = self.options, self.audience, self.audience.frames
        first: list[bytes] = []
        if options.initial_events:
            first += [frames.event(b"ADDED", item, item.revision)
                      for item in self.views.all_now(self.kind, self.cache.within(options.selection.namespace))
                      if options.selection.matches(item)]
            if options.bookmarks:
                self.told = self.feed.revision
                first.append(frames.bookmark(self.told, {INITIAL_END: "true"}))
        elif options.revision:
            if options.revision < self.cache.oldest:
                raise Expired(f"too old resource version: {options.revision} ({self.cache.oldest})")
            first += [frame for delta in self.cache.since(options.revision) if (frame := audience.frame(delta))]
        audience.join(self.watcher)
        if first:
            audience.sent.count += len(first)
            self.watcher.send(self.packing.pack(first))

    async def last(self) -> None:
        """Return when the watch is over; until then, send bookmarks to who asked for them."""
        loop, ends = asyncio.get_running_loop(), {self.watcher.taken.ended, self.watcher.cut}
        while not self.watcher.over:
            left = self.deadline - loop.time()
            if left <= 0:
                return
            pause = left
            if self.options.bookmarks:
                pause = min(left - LAST_WORD if left > LAST_WORD else left, self.settings.watch_bookmark_seconds)
            done, _ = await asyncio.wait(ends, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            if self.options.bookmarks and self.feed.revision > self.told and not self.audience.behind:
                # Everything up to the feed's revision has been handed to the audience: it has missed nothing before it.
                self.told = self.feed.revision
                self.audience.tell(self.watcher, self.audience.frames.bookmark(self.told))
