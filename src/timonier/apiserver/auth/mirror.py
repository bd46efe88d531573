"""What authentication and authorisation read of the cluster: the watch cache, without waiting.

`Mirror` keeps something derived from one kind (an index, a graph) up to date with it: it looks at the cache's change
counter on each use, and takes in only the objects that are new or changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from timonier.api.kinds import Kind
from timonier.apiserver.request import Object


class Cache(Protocol):
    """The part of the registry that is read here. What it gives is shared: never change it."""

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]: ...

    def changes(self, kind: Kind) -> int: ...


@dataclass
class Mirror:
    """Feeds the objects of a kind to `put`, once a version, and what vanished to `remove`."""

    cache: Cache
    kind: Kind
    put: Callable[[Object], None]
    remove: Callable[[str, str], None]
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: int | None = None

    def refresh(self) -> None:
        """Take in what changed since the last call; nearly free where nothing did."""
        changes = self.cache.changes(self.kind)
        if changes == self.seen:
            return
        gone = dict(self.versions)
        for obj in self.cache.peek_all(self.kind):
            metadata = obj["metadata"]
            key, version = (metadata.get("namespace", ""), metadata["name"]), metadata.get("resourceVersion", "")
            if gone.pop(key, None) != version or not version:
                self.put(obj)
                self.versions[key] = version
        for key in gone:
            del self.versions[key]
            self.remove(*key)
        self.seen = changes
