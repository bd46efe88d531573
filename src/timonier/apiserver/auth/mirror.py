"""What authentication and authorisation read of the cluster: the watch cache, without waiting.

`Mirror` keeps something derived from one kind (an index, a graph) up to date with it: on each use it takes in only what
changed since. It keeps none of the objects, so that a graph of ten thousand pods is not ten thousand pods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from timonier.api.kinds import Kind
from timonier.apiserver.news import News
from timonier.apiserver.request import Object


class Cache(Protocol):
    """The part of the registry that is read here. What it gives is shared: never change it."""

    @property
    def revision(self) -> int:
        """Up to which revision of the store it is right."""

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]: ...

    def changes(self, kind: Kind) -> int: ...

    def news(self, kind: Kind, after: int | None) -> News:
        """What changed after a revision; everything for None."""


@dataclass
class Mirror:
    """Feeds the objects of a kind to `put`, once a version, and what vanished to `remove`."""

    cache: Cache
    kind: Kind
    put: Callable[[Object], None]
    remove: Callable[[str, str], None]
    known: set[tuple[str, str]] = field(default_factory=set)
    revision: int | None = None
    seen: int | None = None

    def refresh(self) -> None:
        """Take in what changed since the last call; nearly free where nothing did."""
        changes = self.cache.changes(self.kind)
        if changes == self.seen:
            return
        news = self.cache.news(self.kind, self.revision)
        gone = set(self.known) if news.whole else set()
        for namespace, name, obj in news.changes:
            key = namespace, name
            if obj is not None:
                self.known.add(key)
                gone.discard(key)
                self.put(obj)
            elif key in self.known:
                gone.add(key)
        for key in gone:
            self.known.discard(key)
            self.remove(*key)
        self.revision, self.seen = news.revision, changes
