"""A Plan: what a controller wants written, as data.

Its parts are carried out in the order of the fields. Every write to something that exists is guarded, by uid or by
resourceVersion, so a plan made from an old snapshot fails instead of doing harm. `then` is asked for a second plan once
it is known how the writes went, for statuses and events that depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.client.client import BACKGROUND, MERGE_PATCH
from timonier.client.wire import Object
from timonier.kit.clock import Seconds

NORMAL, WARNING = "Normal", "Warning"


@dataclass(frozen=True, slots=True)
class Note:
    """An event about an object; core v1 `Event` in the making."""

    about: Object
    reason: str
    message: str
    type: str = NORMAL


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to part of an object. A guard in `patch["metadata"]` (uid, resourceVersion) is up to its maker."""

    cls: type[Object]
    name: str
    namespace: str
    patch: Any
    media_type: str = MERGE_PATCH
    subresource: str = ""
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A deletion; `uid` makes sure that it hits the object that was meant, not its successor of the same name."""

    cls: type[Object]
    name: str
    namespace: str
    uid: str
    resourceVersion: str = ""
    propagation: str = BACKGROUND
    grace: int | None = None
    kind: Kind | None = None

    @classmethod
    def of(cls, obj: Object, *, propagation: str = BACKGROUND, grace: int | None = None) -> Delete:
        meta = obj.metadata
        return cls(type(obj), meta.name, meta.namespace, meta.uid, propagation=propagation, grace=grace)


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that is named rather than held; `uid` may be empty where any namesake is meant."""

    kind: Kind
    name: str
    namespace: str
    uid: str


@dataclass(slots=True)
class Outcome:
    """How the writes of a plan went. `failed` pairs what was asked with the error."""

    created: list[Object] = field(default_factory=list)
    updated: list[Object] = field(default_factory=list)
    deleted: list[Delete] = field(default_factory=list)
    failed: list[tuple[Object | Delete | Patch, ApiError]] = field(default_factory=list)

    @property
    def errors(self) -> list[ApiError]:
        return [error for _, error in self.failed]


@dataclass(slots=True)
class Plan:
    """What to write. An empty plan means that everything is as it should be."""

    absent: Sequence[Reference] = ()
    """The plan holds only if the API server confirms, now, that these do not exist."""
    create: Sequence[Object] = ()
    update: Sequence[Object] = ()
    """Replaced whole; the resourceVersion that they carry must still be current."""
    patch: Sequence[Patch] = ()
    apply: Sequence[Object] = ()
    """Server-side apply under the controller's name: what is set here is had so, whoever else wants it otherwise."""
    delete: Sequence[Delete] = ()
    then: Callable[[Outcome], Plan] | None = None
    status: Object | None = None
    """Its status is written; a Conflict means that a newer plan will follow."""
    finalize: Object | None = None
    """Written to the `finalize` subresource, which only namespaces have."""
    events: Sequence[Note] = ()
    again: Seconds | None = None
    """Plan this key anew after so many seconds, whatever happens."""

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.patch or self.apply or self.delete or self.status
                    or self.finalize)
