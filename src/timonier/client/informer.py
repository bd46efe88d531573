"""Informers: a mirror of one collection in memory, kept by list and watch, that tells what changed.

A mirror lags behind the server, but never shows anything that was not true once, and never goes back. It resumes from
where it was after an interruption and lists anew only where the server has forgotten that far. What is in a mirror is
shared by all of its readers: nobody may change it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

from timonier.api import errors, kinds
from timonier.client.client import Client
from timonier.client.wire import Object, kind_of
from timonier.kit.http import ConnectionFailed, HttpError

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Object)
Handler = Callable[[T | None, T | None], None]
"""Called with (old, new): (None, new) for an addition, (old, None) for a deletion."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
UNREACHABLE_PAUSE = 1.0
"""The longest pause while nobody listens: asking costs nothing then, and the server may be back any moment."""
HEALTHY_WATCH = 5.0
"""A watch that lasted so many seconds, or brought an event, ends a series of failures."""


def key_of(obj: Object) -> str:
    """`namespace/name`, or `name` for cluster-scoped objects."""
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name


class Informer(Generic[T]):
    """A mirror of the objects of one kind, of one namespace or all, that the selectors choose."""

    def __init__(self, client: Client, cls: type[T], namespace: str = "", *, labels: str = "", fields: str = "",
                 kind: kinds.Kind | None = None) -> None:
        self.cls, self.kind, self.namespace = cls, kind or kind_of(cls), namespace
        self.synced = asyncio.Event()
        """Set once the mirror has been filled."""
        self._client, self._labels, self._fields = client, labels, fields
        self._objects: dict[str, T] = {}
        self._handlers: list[Handler[T]] = []
        self._indexers: dict[str, Callable[[T], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, dict[str, T]]] = {}
        self._resourceVersion = ""
        self._forgotten = True
        self._failures = 0

    @property
    def resourceVersion(self) -> str:
        """Up to which change the collection is mirrored; empty before the first list."""
        return self._resourceVersion

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def list(self) -> list[T]:
        return [*self._objects.values()]

    def __len__(self) -> int:
        return len(self._objects)

    def by_index(self, name: str, value: str) -> Sequence[T]:
        """The objects for which the index's function gives `value`."""
        return [*self._indexes[name].get(value, {}).values()]

    def add_index(self, name: str, values: Callable[[T], Iterable[str]]) -> None:
        """Keep objects findable by what `values` says of them; an index that exists already stays."""
        if name in self._indexers:
            return
        self._indexers[name], self._indexes[name] = values, {}
        for key, obj in self._objects.items():
            self._index(name, key, None, obj)

    def on_change(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` on every change, beginning with what is there; it must not block."""
        self._handlers.append(handler)
        for obj in self._objects.values():
            handler(None, obj)

    async def run(self) -> None:
        """Keep the mirror, for ever. Whatever the server does, it is asked again, at growing intervals."""
        while True:
            started, longest = self._client.clock.monotonic(), LONGEST_PAUSE
            try:
                if self._forgotten:
                    await self._relist()
                await self._follow()
                if self._client.clock.monotonic() - started < HEALTHY_WATCH:
                    self._failures += 1
            except (errors.Expired, errors.Gone):
                self._forgotten = True
            except (errors.ApiError, HttpError) as error:
                self._failures += 1
                longest = UNREACHABLE_PAUSE if isinstance(error, ConnectionFailed) else LONGEST_PAUSE
                level = logging.WARNING if self._failures in (3, 10) or self._failures % 100 == 0 else logging.DEBUG
                log.log(level, "cannot follow collection", extra={
                    "collection": self.kind.resource, "error": str(error), "failures": self._failures})
            if self._client.clock.monotonic() - started >= HEALTHY_WATCH:
                self._failures = 0
            if self._failures:
                pause = min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 16), longest)
                await self._client.clock.sleep(pause * random.uniform(0.5, 1.0))

    async def _relist(self) -> None:
        listed = await self._client.list(self.cls, self.namespace, labels=self._labels, fields=self._fields,
                                         kind=self.kind)
        fresh = {key_of(obj): obj for obj in listed.items}
        for key in [key for key in self._objects if key not in fresh]:
            self._replace(key, None)
        for key, obj in fresh.items():
            self._replace(key, obj)
        self._resourceVersion, self._forgotten = listed.metadata.resourceVersion, False
        self.synced.set()

    async def _follow(self) -> None:
        events = self._client.watch(self.cls, self.namespace, resourceVersion=self._resourceVersion,
                                    labels=self._labels, fields=self._fields, kind=self.kind)
        async for event in events:
            self._failures = 0
            if event.type != "BOOKMARK":
                self._replace(key_of(event.object), None if event.type == "DELETED" else event.object)
            self._resourceVersion = event.object.metadata.resourceVersion

    def _replace(self, key: str, new: T | None) -> None:
        """Put what is now at a key into the mirror and its indexes, and tell the handlers."""
        old = self._objects.get(key)
        if new is None:
            if self._objects.pop(key, None) is None:
                return
        else:
            if old is not None and old.metadata.resourceVersion == new.metadata.resourceVersion:
                return
            new.metadata.managedFields.clear()  # a third of a mirror's memory, and no reader's business
            self._objects[key] = new
        for name in self._indexers:
            self._index(name, key, old, new)
        for handler in self._handlers:
            handler(old, new)

    def _index(self, name: str, key: str, old: T | None, new: T | None) -> None:
        values, index = self._indexers[name], self._indexes[name]
        for value in values(old) if old is not None else ():
            found = index.get(value, {})
            found.pop(key, None)
            if not found:
                index.pop(value, None)
        for value in values(new) if new is not None else ():
            index.setdefault(value, {})[key] = new  # type: ignore[assignment]


class SharedInformers:
    """The informers of one process: whoever asks for the same collection gets the same mirror.

    `run` keeps them all; one that is asked for later starts at once.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._informers: dict[tuple[str, type, str, str, str], Informer[Any]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def informer(self, cls: type[T], namespace: str = "", *, labels: str = "", fields: str = "",
                 kind: kinds.Kind | None = None) -> Informer[T]:
        key = ((kind or kind_of(cls)).id, cls, namespace, labels, fields)
        if key not in self._informers:
            self._informers[key] = Informer(self.client, cls, namespace, labels=labels, fields=fields, kind=kind)
            self._start(self._informers[key])
        return cast(Informer[T], self._informers[key])

    def complete(self, kind: kinds.Kind) -> Informer[Any] | None:
        """A mirror of all objects of a kind, of whatever type, if there is one already."""
        return next((each for (id_, _, namespace, labels, fields), each in self._informers.items()
                     if id_ == kind.id and not (namespace or labels or fields)), None)

    def drop(self, informer: Informer[Any]) -> None:
        """Stop keeping a mirror whose kind is no longer served."""
        for key in [key for key, each in self._informers.items() if each is informer]:
            del self._informers[key]
        if task := self._tasks.pop(id(informer), None):
            task.cancel()

    async def synced(self) -> None:
        """Return once every mirror asked for until now is filled."""
        for informer in [*self._informers.values()]:
            await informer.synced.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            for informer in self._informers.values():
                self._start(informer)
            await asyncio.Event().wait()

    def _start(self, informer: Informer[Any]) -> None:
        if self._group is not None:
            name = f"informer {informer.kind.resource}"
            self._tasks[id(informer)] = self._group.create_task(informer.run(), name=name)
