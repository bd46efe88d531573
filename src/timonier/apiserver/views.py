"""Views: objects of custom kinds as the version of whoever asks shows them.

An object lies in the store in the version that was its definition's storage version when it was written, pruned and
defaulted by the schema of that day. A view of it is in the version that is asked for, by the schema of today. Most
objects are their own view. A view is made once for each version and kept with the object; a definition that changes
makes new shapes, and so new views.

Where converting means calling a webhook, views are made beside the event loop's other work, and in the order in which
they were asked for; whoever follows changes waits for them (`Following`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from timonier.api.errors import ApiError, InternalError
from timonier.api.kinds import Kind
from timonier.apiserver.cache import Cache, Delta, Item
from timonier.apiserver.objects import Object, encode

ROUND = 100
"""Views made before others get their turn."""


class Converter(Protocol):
    """Converts objects of one kind between its versions."""

    @property
    def immediate(self) -> bool:
        """Whether converting needs no waiting."""

    def at_once(self, obj: Object, apiVersion: str) -> Object:
        """An object in another version, where that is immediate."""

    async def convert(self, objects: Sequence[Object], apiVersion: str) -> list[Object]:
        """Objects in another version, which none of them has yet. Raises ApiError."""


class View(Item):
    """An item that is not what the store holds; `origin` is."""

    __slots__ = ("origin",)

    def __init__(self, origin: Item, obj: Object) -> None:
        super().__init__(origin.key, encode(obj), origin.revision)
        self.origin = origin


class Views:
    """The views of all custom kinds. `converters` are kept up to date by who serves definitions."""

    def __init__(self) -> None:
        self.converters: dict[str, Converter] = {}
        """By `Kind.resource`, as is who follows them."""
        self.followings: dict[str, set[Following]] = {}

    def stop(self, resource: str) -> None:
        """Have all who follow a kind begin anew, since it is another, or none any more."""
        for following in list(self.followings.get(resource, ())):
            following.stop()

    def all_now(self, kind: Kind, items: Iterable[Item]) -> Iterable[Item]:
        """The views of some items, all of which are there."""
        return items if kind.custom is None else [view for item in items if (view := self.now(kind, item)) is not None]

    def now(self, kind: Kind, item: Item) -> Item | None:
        """An item's view, where that needs no waiting."""
        if kind.custom is None:
            return item
        kept = item.views.get(kind.version)
        if kept is not None and kept[0] is kind.custom:
            return kept[1]
        obj = item.fresh()
        if obj["apiVersion"] != kind.apiVersion:
            converter = self.converters.get(kind.resource)
            if converter is None or not converter.immediate:
                return None
            obj = converter.at_once(obj, kind.apiVersion)
        return self._keep(kind, item, obj)

    async def of(self, kind: Kind, items: Sequence[Item]) -> list[Item]:
        """The views of some items. Raises ApiError where they cannot be converted."""
        if kind.custom is None:
            return list(items)
        found: list[Item | None] = []
        for count, item in enumerate(items):
            if count % ROUND == ROUND - 1:
                await asyncio.sleep(0)
            found.append(self.now(kind, item))
        missing = [index for index, view in enumerate(found) if view is None]
        if missing:
            converted = await self._converter(kind).convert([items[index].fresh() for index in missing],
                                                            kind.apiVersion)
            for index, obj in zip(missing, converted, strict=True):
                found[index] = self._keep(kind, items[index], obj)
        return [view for view in found if view is not None]

    async def one(self, kind: Kind, item: Item) -> Item:
        """The view of an item. Raises ApiError."""
        return self.now(kind, item) or (await self.of(kind, [item]))[0]

    async def stored(self, kind: Kind, obj: Object) -> Object:
        """An object as it is to lie in the store. Raises ApiError."""
        return await self.converted(kind, obj, kind.storage)

    async def converted(self, kind: Kind, obj: Object, apiVersion: str) -> Object:
        """An object of a custom kind in another version; any other as it is. Raises ApiError."""
        if kind.custom is None or obj["apiVersion"] == apiVersion:
            return obj
        converter = self._converter(kind)
        if converter.immediate:
            return converter.at_once(obj, apiVersion)
        return (await converter.convert([obj], apiVersion))[0]

    async def unmoved(self, kind: Kind, item: Item, obj: Object) -> bool:
        """Whether the store holds an object already as it is to lie there, of which `item` is the view."""
        if kind.custom is None:
            return True
        origin = item.origin if isinstance(item, View) else item
        return await self.stored(kind, obj) == origin.decode()

    def _converter(self, kind: Kind) -> Converter:
        found = self.converters.get(kind.resource)
        if found is None:
            raise InternalError(f"the server could not properly serve the resource {kind.resource}")
        return found

    def _keep(self, kind: Kind, item: Item, obj: Object) -> Item:
        assert kind.custom is not None
        kind.custom.read(obj)
        view = item if obj == item.decode() else View(item, obj)
        item.views[kind.version] = kind.custom, view
        return view


class Follower(Protocol):
    """Who is told of changes."""

    def take(self, delta: Delta | None) -> None: ...

    def end(self, error: ApiError | None = None) -> None: ...


class Following:
    """Changes of a kind on their way from the cache to a follower: in order, and as views.

    As long as views are there at once, changes are handed on at once; where one has to be waited for, all that comes
    after it waits with it.
    """

    def __init__(self, views: Views, kind: Kind) -> None:
        self.views, self.kind = views, kind
        self._follower: Follower | None = None
        self._waiting: deque[Delta | None] = deque()
        self._task: asyncio.Task[None] | None = None

    def begin(self, cache: Cache, trigger: tuple[str, str] | None, follower: Follower) -> Callable[[], None]:
        """Tell a follower of what happens from now on. Returns what ends that."""
        if self.kind.custom is None:
            return cache.subscribe(follower.take, trigger)
        self._follower = follower
        followings = self.views.followings.setdefault(self.kind.resource, set())
        followings.add(self)
        unsubscribe = cache.subscribe(self._take, trigger)

        def end() -> None:
            unsubscribe()
            followings.discard(self)
            self._waiting.clear()
            if self._task is not None:
                self._task.cancel()
        return end

    @property
    def behind(self) -> bool:
        """Whether something has happened that was not handed on."""
        return bool(self._waiting)

    async def caught_up(self) -> None:
        """Return when nothing waits."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def stop(self) -> None:
        """Have the follower begin anew, since the kind is another, or gone."""
        if self._follower is not None:
            self._follower.end()

    def shown(self, delta: Delta) -> Delta:
        """A change as views, all of which are there."""
        if self.kind.custom is None:
            return delta
        found = delta.views.get(self.kind.version)
        if found is not None and found[0] is self.kind.custom:
            return found[1]
        before, after = (None if item is None else self.views.now(self.kind, item)
                         for item in (delta.before, delta.after))
        made = delta if before is delta.before and after is delta.after else Delta(before, after, delta.revision)
        delta.views[self.kind.version] = self.kind.custom, made
        return made

    def _take(self, delta: Delta | None) -> None:
        assert self._follower is not None
        if not self._waiting and (delta is None or self._at_once(delta)):
            self._follower.take(delta)
            return
        self._waiting.append(delta)
        if self._task is None:
            self._task = asyncio.ensure_future(self._catch_up(self._follower))

    def _at_once(self, delta: Delta) -> bool:
        return all(item is None or self.views.now(self.kind, item) is not None for item in (delta.before, delta.after))

    async def _catch_up(self, follower: Follower) -> None:
        try:
            while self._waiting:
                delta = self._waiting[0]
                if delta is not None:
                    await self.views.of(self.kind, [item for item in (delta.before, delta.after) if item is not None])
                follower.take(delta)
                self._waiting.popleft()
        except ApiError as error:
            self._waiting.clear()
            follower.end(error)
        finally:
            self._task = None
