"""Shapes: what objects of a kind must be like, behind one face for built-in and for custom kinds.

Whoever handles objects without caring for their kind (bodies, patches, the registry) asks `kind.shape`. The shape of a
built-in kind leads to the modules about the published schema, that of a custom one to its definition's own schema. A
shape is pure: it changes objects in place or says what is wrong with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from timonier.api import check, defaults, validation
from timonier.api.errors import Cause
from timonier.api.fill import fill
from timonier.api.kinds import Kind
from timonier.api.schema import Schema, definition

Object = dict[str, Any]


class Shape(Protocol):
    """How objects of one kind in one version are made and judged."""

    @property
    def schema(self) -> Schema:
        """The node (see `api.schema`) that describes the whole object."""

    def check(self, obj: Object) -> check.Checked:
        """The object with the structure of the schema, in place. Raises Unreadable."""

    def default(self, obj: Object) -> None:
        """Write what a manifest leaves unsaid, in place."""

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
        """Everything that is wrong with an object that is to be created, or to take the place of `old`."""

    def fill(self, obj: Object) -> None:
        """Write out what such an object is never without, in place."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The shape of a kind that the published schema defines."""

    kind: Kind

    @property
    def schema(self) -> Schema:
        return definition(self.kind.definition)

    def check(self, obj: Object) -> check.Checked:
        return check.check(obj, self.kind.definition)

    def default(self, obj: Object) -> None:
        defaults.default(self.kind, obj)

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
        return validation.validate(self.kind, obj, old, subresource)

    def fill(self, obj: Object) -> None:
        fill(obj, self.kind.definition)
