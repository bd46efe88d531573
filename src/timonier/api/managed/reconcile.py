"""Sets of fields that were written when the schema said otherwise.

Where a list or map has become atomic, whoever owned something in it owns all of it now. The other way round there is
nothing to do. Source: KEP-555, "Topology changes".
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import SELF, FieldSet
from timonier.api.managed.types import DEDUCED, Type

MOST_SETTLED = 512
"""Sets that are remembered to fit a type. Objects of a kind are mostly made by the same few programs."""


def settled(kind: Type, fields: FieldSet) -> FieldSet:
    """The set as it is for values of this type; the same set where it fits already."""
    try:
        text = orjson.dumps(fields)
    except TypeError:  # names with halves of characters
        return fitted(kind, fields)
    known = kind.settled.get(text)
    if known is None:
        result = fitted(kind, fields)
        if len(kind.settled) >= MOST_SETTLED:
            kind.settled.clear()
        known = kind.settled[text] = FITS if result == fields else orjson.dumps(result)
    return fields if known == FITS else orjson.loads(known)


FITS = b""
"""Stands for a set that is as it should be."""


def fitted(kind: Type, node: FieldSet) -> FieldSet:
    """A node with something below it, as it is for values of this type."""
    if kind.map:
        if kind.map.values is DEDUCED and not kind.map.fields:
            return node
        return {} if kind.map.atomic else each(node, lambda step: field_type(kind, step))
    if kind.scalar or not kind.list:
        return node
    items = kind.list.items
    return {} if kind.list.atomic else each(node, lambda step: items)


def field_type(kind: Type, step: str) -> Type | None:
    assert kind.map is not None
    return kind.map.below(step.removeprefix(FIELD))


def each(node: FieldSet, type_of_step: Callable[[str], Type | None]) -> FieldSet:
    result = {}
    for step, child in node.items():
        below = type_of_step(step) if child and step != SELF else None
        result[step] = fitted(below, child) if below else child
    return result
