"""Walking the schema: which definitions a node mentions, and how to reach the objects that lie within a field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from timonier.api.schema import Schema, definition, definitions

Visit = Callable[[Any], None]
"""Takes an object, or whatever a field holds."""


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


def below(name: str, visitor: Callable[[str], Visit], among: Collection[str]) -> list[tuple[str, Visit]]:
    """The fields of a definition in which objects of the definitions `among` lie, each with what visits those.

    `visitor` gives what visits an object of a definition. It is asked at once, so it has to know its answer for a
    definition that it has not finished with: definitions contain themselves.
    """
    fields = definition(name).get("properties", {})
    return [(field, visit) for field, node in fields.items() if (visit := reach(node, visitor, among))]


def reach(node: Schema, visitor: Callable[[str], Visit], among: Collection[str]) -> Visit | None:
    """What visits the objects in a field's value: the object itself, or those in its list or map. None for none."""
    if "$ref" in node:
        return visitor(node["$ref"]) if node["$ref"] in among else None
    inner = node.get("items") or node.get("additionalProperties")
    visit = reach(inner, visitor, among) if inner else None
    if not visit:
        return None

    def elements(values: Any) -> None:
        for value in values:
            visit(value)

    def members(values: Any) -> None:
        for value in values.values():
            visit(value)
    return elements if "items" in node else members
