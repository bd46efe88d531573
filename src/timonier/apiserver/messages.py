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
    """The messages of items, `limit` bytes at most; those that were made longest ago leave first."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._kept: dict[tuple[str, str], tuple[int, bytes]] = {}

    def of(self, kind: Kind, item: Item) -> bytes:
        """An item's message as a kind shows it, its resourceVersion included."""
        key = kind.id, item.key
        found = self._kept.get(key)
        if found is not None and found[0] == item.revision:
            return found[1]
        made = envelope.body(from_storage(kind, item.decode()), kind.apiVersion, kind.kind)
        if found is None or found[0] < item.revision:
            self._keep(key, item.revision, made)
        return made

    def _keep(self, key: tuple[str, str], revision: int, made: bytes) -> None:
        before = self._kept.pop(key, None)
        self.size += len(made) - (len(before[1]) if before else 0)
        self._kept[key] = revision, made
        while self.size > self.limit:
            self.size -= len(self._kept.pop(next(iter(self._kept)))[1])
