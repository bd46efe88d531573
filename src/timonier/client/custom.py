"""Kinds of one's own: a type for a custom resource, with which the client works as with the generated ones.

    class Basket(CustomObject):
        apiVersion, kind, plural = "example.com/v1", "Basket", "baskets"
        spec: BasketSpec = field(default_factory=BasketSpec)

Fields that the type does not name are ignored when read, so such an object is changed by patches or by server-side
apply, not by replacing it whole.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from msgspec import Struct, field

from timonier.api import kinds
from timonier.api.types import meta_v1


class CustomObject(Struct, kw_only=True, omit_defaults=True):
    """The base of such types. A cluster-scoped one says `namespaced = False`."""

    apiVersion: ClassVar[str]
    kind: ClassVar[str]
    plural: ClassVar[str]
    namespaced: ClassVar[bool] = True
    metadata: meta_v1.ObjectMeta = field(default_factory=meta_v1.ObjectMeta)


@cache
def row(cls: type[CustomObject]) -> kinds.Kind:
    """The kind of such a type, as the table of kinds would have it. Raises TypeError where the type does not say."""
    missing = [name for name in ("apiVersion", "kind", "plural") if not getattr(cls, name, "")]
    if missing:
        raise TypeError(f"{cls.__name__} does not say its {', '.join(missing)}")
    group, _, version = cls.apiVersion.rpartition("/")
    return kinds.Kind(group, version, cls.kind, cls.plural, namespaced=cls.namespaced, storage=cls.apiVersion)
