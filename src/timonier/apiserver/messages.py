"""Cached objects as protobuf messages: each made once, whoever asks for it, and kept while there is room.

Lists, watches and reads of one object all take an item's message from here, so that a thousand watchers and a list cost
one encoding. What the newest versions of objects are is the cache's business; of older ones nothing is kept.
"""

from __future__ import annotations

from timonier.api.kinds import Kind
from timonier.api.protobuf import envelope
from timonier.apiserver.cache import Item
from timonier.apiserver.conversion import from_storage


class Messages:
    """The messages of items, `limit` bytes at most; those of objects that were asked for longest ago leave first."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._kept: dict[str, dict[str, tuple[int, bytes]]] = {}
        """By an object's key: by the kind as which it is shown, its revision and its message."""

    def of(self, kind: Kind, item: Item) -> bytes:
        """An item's message as a kind shows it, its resourceVersion included."""
        found = self._kept.get(item.key, NONE).get(kind.id)
        if found is not None and found[0] == item.revision:
            return found[1]
        made = envelope.body(from_storage(kind, item.decode()), kind.apiVersion, kind.kind)
        if found is None or found[0] < item.revision:
            self._keep(item.key, kind.id, item.revision, made)
        return made

    def forget(self, key: str) -> None:
        """Let go of an object that is deleted."""
        self.size -= sum(len(made) for _, made in self._kept.pop(key, NONE).values())

    def _keep(self, key: str, kind: str, revision: int, made: bytes) -> None:
        shown = self._kept.pop(key, {})
        self.size += len(made) - (len(shown[kind][1]) if kind in shown else 0)
        shown[kind] = revision, made
        self._kept[key] = shown
        while self.size > self.limit:
            self.forget(next(iter(self._kept)))


NONE: dict[str, tuple[int, bytes]] = {}
