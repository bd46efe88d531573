"""Snapshots: what a plan may read. The mirrors of the kinds that a controller watches, and nothing else.

A plan is made without awaiting, so that mirrors stand still while it reads them. Objects are shared: to change one,
`clone` it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from timonier.client.informer import key_of
from timonier.client.wire import Object, decoder

T = TypeVar("T", bound=Object)

BY_NAMESPACE, BY_CONTROLLER = "namespace", "controller"
"""Indexes that every mirror has: the object's namespace; the uid of the owner that controls it."""


class Mirror(Protocol[T]):
    """The part of an informer that plans read."""

    def get(self, key: str) -> T | None: ...
    def list(self) -> list[T]: ...
    def by_index(self, name: str, value: str) -> Iterable[T]: ...


class Snapshot:
    """Mirrors by type."""

    def __init__(self, mirrors: Mapping[Any, Mirror[Any]]) -> None:
        self._mirrors = mirrors

    def get(self, cls: type[T], key: str) -> T | None:
        return cast("T | None", self._mirrors[cls].get(key))

    def list(self, cls: type[T]) -> list[T]:
        return cast("list[T]", self._mirrors[cls].list())

    def within(self, cls: type[T], namespace: str) -> Sequence[T]:
        """The objects of a namespace."""
        return [*self._mirrors[cls].by_index(BY_NAMESPACE, namespace)]

    def controlled(self, cls: type[T], uid: str) -> Sequence[T]:
        """The objects whose controller has this uid."""
        return [*self._mirrors[cls].by_index(BY_CONTROLLER, uid)]

    def by_index(self, cls: type[T], index: str, value: str) -> Sequence[T]:
        return [*self._mirrors[cls].by_index(index, value)]


@dataclass(frozen=True)
class Watch(Generic[T]):
    """A kind that a controller depends on; `keys` says which of the controller's keys an object concerns.

    It is asked about an object as it was and as it is. `namespace` and `fields` keep the mirror small.
    """

    cls: type[T]
    keys: Callable[[T, Snapshot], Iterable[str]]
    indexes: Mapping[str, Callable[[T], Iterable[str]]] = field(default_factory=dict)
    namespace: str = ""
    fields: str = ""


def itself(obj: Object, _: Snapshot) -> Iterable[str]:
    """For the kind that the controller is about: its own key."""
    return (key_of(obj),)


def controller_of(kind: str) -> Callable[[Object, Snapshot], Iterable[str]]:
    """For a kind that the controller makes: the key of the controlling owner, if it is of this kind."""
    def keys(obj: Object, _: Snapshot) -> Iterable[str]:
        owner = controlling(obj)
        return (f"{obj.metadata.namespace}/{owner.name}",) if owner is not None and owner.kind == kind else ()
    return keys


def controlling(obj: Object) -> Any:
    """The owner reference of the controller of an object, or None."""
    return next((owner for owner in obj.metadata.ownerReferences if owner.controller), None)


STANDARD_INDEXES: Mapping[str, Callable[[Any], Iterable[str]]] = {
    BY_NAMESPACE: lambda obj: (obj.metadata.namespace,),
    BY_CONTROLLER: lambda obj: (owner.uid,) if (owner := controlling(obj)) is not None else (),
}


def clone(obj: T) -> T:
    """A copy that may be changed."""
    copy: T = decoder(type(obj)).decode(msgspec.json.encode(obj))
    return copy


class Memory(Generic[T]):
    """A mirror over given objects, for tests and simulations; indexes are computed when asked for."""

    def __init__(self, objects: Iterable[T] = (),
                 indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None) -> None:
        self.objects = {key_of(obj): obj for obj in objects}
        self._indexes = {**STANDARD_INDEXES, **(indexes or {})}

    def get(self, key: str) -> T | None:
        return self.objects.get(key)

    def list(self) -> list[T]:
        return [*self.objects.values()]

    def by_index(self, name: str, value: str) -> Iterable[T]:
        return [obj for obj in self.objects.values() if value in self._indexes[name](obj)]
