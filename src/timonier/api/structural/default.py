"""What a schema says of absent fields, written out: on the way in, and for objects that were stored before it said so.

Source: Kubernetes documentation, "Defaulting".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.patches.clone import clone
from timonier.api.structural.nodes import Schema, additional, items, properties

Step = Callable[[Any], None]


def compiled(schema: Schema) -> Step | None:
    """What writes the defaults into a value, in place; None where the schema has none."""
    below = {name: inner for name, child in properties(schema).items() if (inner := compiled(child))}
    given = [(name, child["default"], not child.get("nullable")) for name, child in properties(schema).items()
             if child.get("default") is not None]
    values, element = replacing(additional(schema)), replacing(items(schema))
    if not (below or given or values or element):
        return None
    named, step_of = frozenset(properties(schema)), below.get

    def step(value: Any) -> None:
        if value.__class__ is dict:
            for name, default, unless_null in given:
                if name not in value or (unless_null and value[name] is None):
                    value[name] = clone(default)
            for name, child in value.items():
                if name in named:
                    if deeper := step_of(name):
                        deeper(child)
                elif values:
                    value[name] = values(child)
        elif value.__class__ is list and element:
            value[:] = [element(child) for child in value]
    return step


def replacing(schema: Schema | None) -> Callable[[Any], Any] | None:
    """What gives the value to put in the place of an element of a list or a value of a map."""
    if schema is None:
        return None
    below, default, nullable = compiled(schema), schema.get("default"), bool(schema.get("nullable"))
    if below is None and default is None:
        return None

    def replace(value: Any) -> Any:
        if value is None and not nullable:
            value = clone(default)
        if below:
            below(value)
        return value
    return replace
