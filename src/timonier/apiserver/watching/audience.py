"""Those who watch the same: what a change means to them is found out once, and leaves for all of them in one piece.

Frames gather and leave once a turn of the event loop. A thousand clients that watch all pods in JSON cost one
selection, one encoding and one piece a turn, and then each a write. The writes are what takes time, ten milliseconds
for so many: an audience rests as long as its last round of them took, so that changes that come fast leave together,
and requests are answered in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
from time import perf_counter
from weakref import WeakValueDictionary

from timonier.api.errors import ApiError, Expired, InternalError
from timonier.api.kinds import Kind
from timonier.apiserver.cache import TRIGGERS, Cache, Delta
from timonier.apiserver.listing import Selection
from timonier.apiserver.messages import Messages
from timonier.apiserver.meters import Labels, Tally
from timonier.apiserver.negotiate import Accepted
from timonier.apiserver.views import Following, Views
from timonier.apiserver.watching.frames import Frames, frames
from timonier.apiserver.watching.packing import Packing
from timonier.apiserver.watching.watcher import Watcher
from timonier.kit.clock import Time

log = logging.getLogger(__name__)

LONGEST_REST = 0.05
"""Seconds for which a change waits at most for others to leave with."""


class Audience:
    """Everyone who watches one selection of a cache in one form, over one kind of connection."""

    def __init__(self, cache: Cache, selection: Selection, frames: Frames, packing: Packing, following: Following,
                 sent: Tally) -> None:
        self.cache, self.selection, self.frames, self.following = cache, selection, frames, following
        self.packing, self.sent = packing, sent
        self.members: set[Watcher] = set()
        self._pending: list[bytes] = []
        self._rested = 0.0
        """When the next frames may leave."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe: Callable[[], None] | None = None

    def join(self, watcher: Watcher) -> None:
        """Have a watcher sent what happens from now on."""
        self.flush()
        self.members.add(watcher)
        if self._unsubscribe is None:
            self._unsubscribe = self.following.begin(self.cache, trigger_of(self.selection), self)

    def leave(self, watcher: Watcher) -> None:
        """Send a watcher no more, after all that has happened."""
        self.flush()
        self.members.discard(watcher)
        if not self.members and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def take(self, delta: Delta | None) -> None:
        """What the cache has to tell."""
        if delta is None:
            for watcher in list(self.members):
                self.fail(watcher, Expired("too old resource version: the server lost its history"))
            return
        try:
            frame = self.frame(delta)
        except Exception:
            # Whatever is wrong with one object or its columns: it must not keep the cache from going on.
            log.exception("a change could not be shown", extra={"prefix": self.cache.prefix})
            for watcher in list(self.members):
                self.fail(watcher, InternalError("Internal error occurred: a change could not be shown"))
            return
        if frame is not None:
            if not self._pending:
                rest = self._rested - perf_counter()
                if rest > 0:
                    self._loop.call_later(rest, self.flush)
                else:
                    self._loop.call_soon(self.flush)
            self._pending.append(frame)

    @property
    def behind(self) -> bool:
        """Whether something has happened that nobody was sent yet, since it waits for a conversion."""
        return self.following.behind

    async def caught_up(self) -> None:
        """Return when that is no more so."""
        await self.following.caught_up()

    def end(self, error: ApiError | None = None) -> None:
        """End all watches, since the kind is another now or is gone, or cannot be shown."""
        for watcher in list(self.members):
            if error is not None:
                self.fail(watcher, error)
            else:
                self.flush()
                watcher.finish()

    def frame(self, change: Delta) -> bytes | None:
        """What a change means to this audience: what begins to match is ADDED, what ceases to is DELETED."""
        delta = self.following.shown(change)
        before, after = delta.before, delta.after
        selection = self.selection
        was = before is not None and selection.matches(before)
        if after is not None and selection.matches(after):
            event, item, revision = b"MODIFIED" if was else b"ADDED", after, after.revision
        elif was:
            assert before is not None
            event, item, revision = b"DELETED", before, delta.revision
        else:
            return None
        key = event, self.frames
        found = delta.frames.get(key)
        if found is None:
            found = delta.frames[key] = self.frames.event(event, item, revision)
        return found

    def flush(self) -> None:
        """Send everyone what gathered."""
        if self._pending:
            begun = perf_counter()
            piece = self.packing.pack(self._pending)
            self.sent.count += len(self._pending) * len(self.members)
            self._pending.clear()
            for watcher in list(self.members):
                watcher.send(piece)
            ended = perf_counter()
            self._rested = ended + min(ended - begun, LONGEST_REST)

    def tell(self, watcher: Watcher, frame: bytes) -> None:
        """Send one watcher something of its own, after all that has happened."""
        self.flush()
        watcher.send(self.packing.pack((frame,)))

    def fail(self, watcher: Watcher, error: ApiError) -> None:
        """Tell a watcher why there will be no more events, as the last of them."""
        self.tell(watcher, self.frames.error(error))
        watcher.finish()


class Audiences:
    """All audiences of a server, by what they watch and how. One that nobody is part of is forgotten."""

    def __init__(self, messages: Messages, now: Callable[[], Time], views: Views, sent: Mapping[Labels, Tally]) -> None:
        self.messages, self.now, self.views, self.sent = messages, now, views, sent
        self._frames: WeakValueDictionary[Hashable, Frames] = WeakValueDictionary()
        self._audiences: WeakValueDictionary[Hashable, Audience] = WeakValueDictionary()

    def of(self, cache: Cache, kind: Kind, form: Accepted, include: str, packing: Packing,
           selection: Selection) -> Audience:
        """The audience of a selection in a form; a kind that became another one has another audience."""
        shown = id(kind), form, include
        key = cache.prefix, shown, packing, selection.key
        found = self._audiences.get(key)
        if found is None:
            made = self._frames.get(shown)
            if made is None:
                made = self._frames[shown] = frames(kind, form, include, self.messages, self.now)
            found = self._audiences[key] = Audience(cache, selection, made, packing, Following(self.views, kind),
                                                    self.sent[kind.group, kind.version, kind.plural])
        return found


def trigger_of(selection: Selection) -> tuple[str, str] | None:
    """The field by which a selection is so narrow that the cache need not ask it about every change."""
    for field in TRIGGERS:
        value = selection.fields.required(field)
        if value is not None:
            return field, value
    return None
