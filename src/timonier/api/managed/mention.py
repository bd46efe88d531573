"""The fields that a value mentions: what somebody who applies it asks for, and so manages."""

from __future__ import annotations

from typing import Any

from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import SELF, FieldSet, marked
from timonier.api.managed.types import ListOf, MapOf, NoKey, Type


def mentioned(kind: Type, value: Any) -> FieldSet:
    """Every leaf and every item of a list or map in a value of this type, and no structs."""
    return below(kind, value) or {}


def below(kind: Type, value: Any) -> FieldSet | None:
    """The node of a value; None where it mentions nothing, which an empty struct or list of items does not."""
    if value.__class__ is dict and kind.map:
        return {} if kind.map.atomic else in_map(kind.map, value)
    if value.__class__ is list and kind.list:
        return {} if kind.list.atomic else in_list(kind.list, value)
    if value is None and not kind.scalar:
        whole = kind.map.atomic if kind.map else kind.list is not None and kind.list.atomic
        return {} if whole else None
    return {}


def in_map(kind: MapOf, value: dict[str, Any]) -> FieldSet | None:
    fields: FieldSet = {}
    for name, child in value.items():
        known = kind.steps.get(name)
        step, child_kind = known or (FIELD + name, kind.values)
        node = below(child_kind, child) if child_kind else {}
        if not known or child is None or child == {}:
            node = marked(node) if node else {}
        if node is not None:
            fields[step] = node
    return fields or None


def in_list(kind: ListOf, value: list[Any]) -> FieldSet | None:
    """Items by their keys; those that are there several times are mentioned together, and not what lies in them."""
    fields: FieldSet = {}
    for item in value:
        try:
            step = kind.element(item)
        except NoKey:
            continue
        if step in fields:
            fields[step] = {}
        else:
            node = below(kind.items, item)
            fields[step] = {SELF: {}, **node} if node else {}
    return fields or None
