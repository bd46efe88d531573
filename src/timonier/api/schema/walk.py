"""Walking the schema: which definitions a node mentions, and how to reach the objects that lie within a field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from timonier.api.schema import Schema, definitions

Visit = Callable[[Any, str], None]
"""Takes an object, and the name of its definition."""


def references(node: Schema) -> Iterator[str]:
    """Every definition that a node mentions, directly."""
    if "$ref" in node:
        yield node["$ref"]
    for child in node.get("properties", {}).values():
        yield from references(child)
    for part in ("items", "additionalProperties"):
        if part in node:
            yield from references(node[part])


def holders(names: Iterable[str]) -> frozenset[str]:
    """These definitions and all that hold one, however deep: a fixed point, since definitions contain themselves."""
    found = set(names)
    uses = {name: set(references(node)) for name, node in definitions().items()}
    while more := {name for name, used in uses.items() if name not in found and used & found}:
        found |= more
    return frozenset(found)


def reach(node: Schema, visit: Visit, among: Collection[str]) -> Callable[[Any], None] | None:
    """What visits each object of the definitions `among` in a field's value: the object itself, or those in its list
    or map. None where the field can hold none.
    """
    if "$ref" in node:
        name = node["$ref"]
        return (lambda value: visit(value, name)) if name in among else None
    inner = node.get("items") or node.get("additionalProperties")
    below = reach(inner, visit, among) if inner else None
    if not below:
        return None

    def each(values: Any) -> None:
        for value in values if isinstance(values, list) else values.values():
            below(value)
    return each
