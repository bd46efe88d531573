"""Mirrors of the kinds of which quotas count objects, beside those that are measured: any kind there is.

Those kinds are known by discovery. Their mirrors hold metadata alone, and are the garbage collector's, as far as it has
them already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.client.informer import Informer, SharedInformers
from timonier.client.wire import Object, Partial
from timonier.controllers.shared.discovered import Discovered
from timonier.kit.http import HttpError
from timonier.reconcile.snapshot import BY_NAMESPACE, STANDARD_INDEXES

log = logging.getLogger(__name__)

NEEDED = frozenset({"list", "watch"})
Place = tuple[str, str]
"""Group and plural name of a resource."""


class Counted:
    """How many objects of each kind a namespace has. `changed` is told the namespace in which one came or went."""

    def __init__(self, informers: SharedInformers, discovered: Discovered) -> None:
        self.changed: Callable[[str], object] = lambda namespace: None
        self._informers, self._discovered = informers, discovered
        self._mirrors: dict[Place, Informer[Any]] = {}
        self._own: set[Place] = set()

    async def count(self, places: Iterable[Place], namespace: str) -> Mapping[Place, int]:
        """The objects of these resources in a namespace; a resource is left out where there is no such kind.

        Raises NotYet while a mirror fills, and ApiError and HttpError where discovery fails.
        """
        wanted = set(places)
        if not wanted:
            return {}
        served = {(kind.group, kind.plural): kind for kind in await self._discovered.kinds()
                  if kind.namespaced and set(kind.verbs) >= NEEDED}
        for place in self._own - served.keys():
            self._own.discard(place)
            self._informers.drop(self._mirrors.pop(place))
        return {place: self._within(place, served[place], namespace) for place in wanted & served.keys()}

    def _within(self, place: Place, kind: Kind, namespace: str) -> int:
        mirror = self._informers.complete(kind)
        if mirror is None:
            mirror = self._informers.informer(Partial, kind=kind)
            self._own.add(place)
        if self._mirrors.get(place) is not mirror:
            self._mirrors[place] = mirror
            mirror.add_index(BY_NAMESPACE, STANDARD_INDEXES[BY_NAMESPACE])
            mirror.on_change(self._handle)
        if not mirror.synced.is_set():
            raise NotYet
        return len(mirror.by_index(BY_NAMESPACE, namespace))

    def _handle(self, old: Object | None, new: Object | None) -> None:
        if (obj := old or new) is not None and (old is None or new is None):
            self.changed(obj.metadata.namespace)


class NotYet(Exception):
    """A mirror is not filled yet."""


UNANSWERED = (NotYet, ApiError, HttpError)
"""Why a count cannot be had now."""
