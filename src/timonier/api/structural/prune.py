"""What a schema does not name goes, and is reported; so do nulls that it does not allow and has no default for.

Source: Kubernetes documentation, "Field pruning", "Defaulting and Nullable".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.check import Where, field_path
from timonier.api.structural.nodes import (
    EMBEDDED,
    META,
    PRESERVE,
    Lazily,
    Schema,
    additional,
    is_map,
    items,
    properties,
)

Step = Callable[[Any, Where, list[str]], None]
"""Takes a value, how it was reached, and the paths of what was unknown so far; changes the value in place."""


def compiled(schema: Schema, *, root: bool = False) -> Step:
    """What prunes values of a schema. At the root, as in embedded resources, the fields of every resource stay."""
    fields = properties(schema)
    named = Lazily(fields, compiled)
    inner = additional(schema)
    values = (compiled(inner) if inner is not None else nothing_known) if is_map(schema) else None
    element = items(schema)
    preserves, kept = bool(schema.get(PRESERVE)), META if root or schema.get(EMBEDDED) else frozenset()
    each: Step | None
    if element is None:
        each = None if preserves else nothing_known
    else:  # what is preserved is preserved in the elements of its lists, too
        each = compiled(element | {PRESERVE: True} if preserves else element)
    gone_as_null = {name for name, child in fields.items() if no_null(child)}
    null_values_go = inner is not None and no_null(inner)
    step_of: Callable[[str], Step | None] = named.__getitem__

    def step(value: Any, where: Where, unknown: list[str]) -> None:
        if value.__class__ is dict:
            gone: list[str] = []
            for key, child in value.items():
                if key in kept:
                    continue
                below = step_of(key) or values
                if below is None:
                    if not preserves:
                        unknown.append(field_path((where, key)))
                        gone.append(key)
                elif child is None and (key in gone_as_null or (null_values_go and key not in fields)):
                    gone.append(key)
                elif child.__class__ is dict or child.__class__ is list:
                    below(child, (where, key), unknown)
            for key in gone:
                del value[key]
        elif each is not None and value.__class__ is list:
            for index, child in enumerate(value):
                each(child, (where, index), unknown)
    return step


def no_null(schema: Schema) -> bool:
    """Whether a null goes, rather than staying, or giving way to a default."""
    return not schema.get("nullable") and schema.get("default") is None


def nothing_known(value: Any, where: Where, unknown: list[str]) -> None:
    """The pruning of what there is no schema for."""
    if isinstance(value, dict):
        unknown.extend(field_path((where, key)) for key in value)
        value.clear()
    elif isinstance(value, list):
        for index, child in enumerate(value):
            nothing_known(child, (where, index), unknown)
