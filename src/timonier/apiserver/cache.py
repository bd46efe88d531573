"""The watch cache: every object as bytes, fed by one watch of the store, serving get, list and watch from memory.

One `Feed` follows the whole log and hands each change to the `Cache` of its kind; since it sees every revision, one
number, `Feed.revision`, says up to where all caches are right. A reader that must not see the past waits for it.

A cache keeps its latest changes in a ring, from which watches resume. Who watches, and how bytes get to it, is the
business of `verbs.watch`: a cache only calls its subscribers, in order, once for each change that may concern them.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from timonier.apiserver import fields
from timonier.apiserver.objects import METADATA, decode, splice
from timonier.store.contract import Change, Entry, Event, Revision

Object = dict[str, Any]
BEHIND_ALL = "\U0010ffff"
TRIGGERS = ("metadata.name", "spec.nodeName")
"""Fields by which subscribers are indexed: a thousand kubelets each want the pods of one node."""


class Item:
    """One object at one revision: its bytes, ready to send, and what selectors ask of it, parsed when first asked."""

    __slots__ = ("_fields", "_labels", "_obj", "_views", "key", "name", "namespace", "revision", "value")

    def __init__(self, key: str, value: bytes, revision: Revision) -> None:
        self.key, self.revision = key, revision
        self.value = splice(value, revision)
        _, _, *scope, name = key.split("/")
        self.name = unquote(name) if "%" in name else name
        self.namespace = scope[0] if scope else ""
        self._labels: dict[str, str] | None = None
        self._fields: dict[str, str] = {}
        self._obj: Object | None = None
        self._views: dict[str, tuple[Any, Item]] | None = None

    @classmethod
    def of(cls, entry: Entry) -> Item:
        """An entry of the store as an item."""
        return cls(entry.key, entry.value, entry.revision)

    @property
    def views(self) -> dict[str, tuple[Any, Item]]:
        """What `apiserver.views` keeps here: by version, the shape by which a view was made, and the view."""
        if self._views is None:
            self._views = {}
        return self._views

    @property
    def labels(self) -> dict[str, str]:
        if self._labels is None:
            self._labels = self.decode()["metadata"].get("labels") or {}
        return self._labels

    def field(self, name: str) -> str:
        if name == "metadata.name":
            return self.name
        if name == "metadata.namespace":
            return self.namespace
        found = self._fields.get(name)
        if found is None:
            found = self._fields[name] = fields.read(self.decode(), name)
        return found

    def decode(self) -> Object:
        """The object, for the caller alone unless `shared` was used before; then never to be changed."""
        return self._obj if self._obj is not None else decode(self.value)

    def fresh(self) -> Object:
        """The object, for the caller to change."""
        return decode(self.value)

    @property
    def shared(self) -> Object:
        """The object, decoded once and kept: for many readers, none of whom may change it."""
        if self._obj is None:
            self._obj = decode(self.value)
        return self._obj

    def at(self, revision: Revision) -> bytes:
        """The same content under another resourceVersion, as a watcher gets what it no longer selects."""
        begin = self.value.index(METADATA) + len(METADATA)
        end = self.value.index(b",", begin)
        return b'%b"resourceVersion":"%d"%b' % (self.value[:begin], revision, self.value[end:])


class Delta:
    """A change as watchers see it: the item before and after; `after` is None for a deletion.

    `frames` keeps what was already encoded for some watcher, so that a thousand of them cost one encoding.
    """

    __slots__ = ("_views", "after", "before", "frames", "revision")

    def __init__(self, before: Item | None, after: Item | None, revision: Revision) -> None:
        self.before, self.after, self.revision = before, after, revision
        self.frames: dict[Any, bytes] = {}
        self._views: dict[str, tuple[Any, Delta]] | None = None

    @property
    def size(self) -> int:
        """Bytes of the object that the change brought, or of the one that it took away."""
        item = self.after or self.before
        return 0 if item is None else len(item.value)

    @property
    def views(self) -> dict[str, tuple[Any, Delta]]:
        """What `apiserver.views` keeps here, as with items."""
        if self._views is None:
            self._views = {}
        return self._views


Subscriber = Callable[[Delta | None], None]
"""Takes each change in order; None says that history was lost and the subscriber has to begin anew."""


class Cache:
    """All objects of one storage prefix, `size` bytes together.

    `oldest` is the revision after which every change is in the ring.
    """

    def __init__(self, prefix: str, history: int) -> None:
        self.prefix = prefix
        self.items: dict[str, Item] = {}
        self.keys: list[str] = []
        self.ring: deque[Delta] = deque(maxlen=history)
        self.oldest: Revision = 0
        self.version = self.size = 0
        self._subscribers: set[Subscriber] = set()
        self._triggered: dict[str, dict[str, set[Subscriber]]] = {field: {} for field in TRIGGERS}

    def load(self, items: Iterable[Item], revision: Revision) -> None:
        """Begin anew with the state as of a revision; whoever subscribed has to do so again."""
        self.items = {item.key: item for item in items}
        self.keys = sorted(self.items)
        self.size = sum(len(item.value) for item in self.items.values())
        self.ring.clear()
        self.oldest = revision
        self.version += 1
        for subscriber in self.subscribers():
            subscriber(None)

    def within(self, namespace: str = "") -> Iterator[Item]:
        """Items in key order, all or those of a namespace."""
        if not namespace:
            return map(self.items.__getitem__, self.keys)
        start = f"{self.prefix}{namespace}/"
        return map(self.items.__getitem__,
                   self.keys[bisect_left(self.keys, start):bisect_left(self.keys, start + BEHIND_ALL)])

    def apply(self, event: Event) -> Delta:
        """Take in the store's next change and tell who subscribed."""
        before = self.items.get(event.key)
        if event.change is Change.PUT:
            after: Item | None = Item(event.key, event.value, event.revision)
            assert after is not None
            if before is None:
                insort(self.keys, event.key)
            self.items[event.key] = after
            self.size += len(after.value)
        else:
            after = None
            if before is not None:
                del self.items[event.key]
                del self.keys[bisect_left(self.keys, event.key)]
        if before is not None:
            self.size -= len(before.value)
        self.version += 1
        change = Delta(before, after, event.revision)
        if len(self.ring) == self.ring.maxlen:
            self.forget()
        self.ring.append(change)
        for subscriber in self.concerned(change):
            subscriber(change)
        return change

    def forget(self) -> None:
        """Let go of the oldest change: no watch resumes from before it any more."""
        self.oldest = self.ring.popleft().revision

    def since(self, revision: Revision) -> list[Delta]:
        """The changes after a revision that is not older than `oldest`."""
        if not self.ring or self.ring[-1].revision <= revision:
            return []
        start = bisect_right(self.ring, revision, key=lambda change: change.revision)
        return list(itertools.islice(self.ring, start, None))

    def subscribe(self, subscriber: Subscriber, trigger: tuple[str, str] | None = None) -> Callable[[], None]:
        """Have a subscriber called for changes; with a trigger, only where a field has or had a value.

        Returns what ends the subscription.
        """
        if trigger is None:
            self._subscribers.add(subscriber)
            return lambda: self._subscribers.discard(subscriber)
        field, value = trigger
        table = self._triggered[field]
        table.setdefault(value, set()).add(subscriber)

        def end() -> None:
            table[value].discard(subscriber)
            if not table[value]:
                del table[value]
        return end

    def concerned(self, change: Delta) -> list[Subscriber]:
        found = list(self._subscribers)
        for field, table in self._triggered.items():
            if table:
                values = {item.field(field) for item in (change.before, change.after) if item is not None}
                found += [subscriber for value in values for subscriber in table.get(value, ())]
        return found

    def subscribers(self) -> list[Subscriber]:
        return [*self._subscribers,
                *(one for table in self._triggered.values() for group in table.values() for one in group)]
