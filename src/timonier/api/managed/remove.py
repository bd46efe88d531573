"""Taking fields out of a value, and a value apart by a set of fields."""

from __future__ import annotations

from typing import Any

from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import FieldSet, member
from timonier.api.managed.types import ListOf, MapOf, NoKey, Type


def remove(kind: Type, value: Any, fields: FieldSet) -> Any:
    """The value without these fields and all that lies in them; None where nothing of a map or list is left."""
    if not fields:
        return value
    if value.__class__ is dict and kind.map:
        return None if kind.map.atomic or not value else from_map(kind.map, value, fields)
    if value.__class__ is list and kind.list:
        return None if kind.list.atomic or not value else from_list(kind.list, value, fields)
    return value


def from_map(kind: MapOf, value: dict[str, Any], fields: FieldSet) -> dict[str, Any] | None:
    rest = {}
    for name, child in value.items():
        node = fields.get(FIELD + name)
        if node is None:
            rest[name] = child
        elif not member(node):
            below = kind.below(name)
            rest[name] = remove(below, child, node) if below else child
    return rest or None


def from_list(kind: ListOf, value: list[Any], fields: FieldSet) -> list[Any] | None:
    rest = []
    for item in value:
        try:
            node = fields.get(kind.element(item))
        except NoKey:
            node = None
        if node is None:
            rest.append(item)
        elif not member(node):
            rest.append(remove(kind.items, item, node))
    return rest or None
