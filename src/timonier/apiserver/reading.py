"""Objects as dicts, by kind, read from the watch cache: as it is, or once it has caught up with the store."""

from __future__ import annotations

from timonier.api import errors
from timonier.api.kinds import Kind
from timonier.api.selectors import Fields, Labels
from timonier.apiserver.cache import Cache, Item
from timonier.apiserver.conversion import from_storage
from timonier.apiserver.feed import Feed
from timonier.apiserver.news import News
from timonier.apiserver.request import Object
from timonier.apiserver.views import Views


class Reading:
    """All objects of a cluster, for who does not change them."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.views = Views()

    # Without waiting.

    def cache(self, kind: Kind) -> Cache:
        return self.feed.cache(kind)

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object as the cache has it. Shared: never change it."""
        item = self.cache(kind).items.get(kind.key(namespace, name))
        return None if item is None else from_storage(kind, self._peeked(kind, item).shared)

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """All objects of a kind, or of a namespace, as the cache has them. Shared: never change them."""
        cache = self.cache(kind)
        return [from_storage(kind, self._peeked(kind, item).shared)
                for item in cache.within(namespace)] if cache.items else []

    def _peeked(self, kind: Kind, item: Item) -> Item:
        """What can be shown of an item without waiting: as it was stored, where a webhook would have to convert it."""
        return item if kind.custom is None else self.views.now(kind, item) or item

    @property
    def revision(self) -> int:
        """Up to which revision of the store the caches are right."""
        return self.feed.revision

    def changes(self, kind: Kind) -> int:
        """A number that grows with every change of the kind."""
        return self.cache(kind).version

    def news(self, kind: Kind, after: int | None) -> News:
        """What changed of a kind after a revision, or everything where that is not known. Shared: never change it."""
        cache, revision = self.cache(kind), self.feed.revision
        if after is None or after < cache.oldest:
            return News(revision, True, ((item.namespace, item.name, from_storage(kind, item.decode()))
                                         for item in cache.within()))
        last = {(item.namespace, item.name): delta.after for delta in cache.since(after)
                if (item := delta.after or delta.before) is not None}
        return News(revision, False, ((*key, None if item is None else from_storage(kind, item.decode()))
                                      for key, item in last.items()))

    # What is true now.

    async def item(self, kind: Kind, namespace: str, name: str) -> Item:
        """An object's item in the cache, not older than the call. Raises NotFound."""
        await self.feed.current()
        item = self.cache(kind).items.get(kind.key(namespace, name))
        if item is None:
            raise errors.not_found(kind.group, kind.plural, name)
        return item if kind.custom is None else await self.views.one(kind, item)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object as it is now. Raises NotFound."""
        return from_storage(kind, (await self.item(kind, namespace, name)).fresh())

    async def list(self, kind: Kind, namespace: str = "", labels: Labels | None = None,
                   fields: Fields | None = None) -> list[Object]:
        """The objects as they are now, in key order."""
        await self.feed.current()
        items = await self.views.of(kind, list(self.cache(kind).within(namespace)))
        return [from_storage(kind, item.fresh()) for item in items
                if (labels is None or labels.matches(item.labels)) and (fields is None or fields.matches(item.field))]
