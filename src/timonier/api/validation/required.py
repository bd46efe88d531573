"""What the schema itself demands: required fields are there. For the kinds that have no rules of their own."""

from __future__ import annotations

from typing import Any

from timonier.api.schema import Schema, definition, resolve
from timonier.api.validation.causes import Causes, Obj

SYSTEM = frozenset({"metadata", "status"})
"""Written by the API server and by controllers, not by whoever creates the object."""
MAY_BE_EMPTY = frozenset({"drivers", "group"})
"""Fields whose empty value says something: a node without drivers, the core group."""


def required_fields(obj: Obj, name: str, causes: Causes) -> None:
    """A cause for every required field of an object that is missing; empty strings and lists are as good as missing."""
    node = definition(name)
    walk({key: value for key, value in obj.items() if key not in SYSTEM}, node, "", causes)


def walk(value: Any, node: Schema, path: str, causes: Causes) -> None:
    node = resolve(node)
    if isinstance(value, list) and "items" in node:
        for index, child in enumerate(value):
            walk(child, node["items"], f"{path}[{index}]", causes)
    if not isinstance(value, dict):
        return
    properties = node.get("properties", {})
    for field in node.get("required", ()):
        missing = value.get(field) in ((None,) if field in MAY_BE_EMPTY else (None, "", []))
        if missing and field not in SYSTEM and not wide(resolve(properties[field])):
            causes.required(f"{path}.{field}" if path else field)
    for field, child in value.items():
        inner = properties.get(field) or node.get("additionalProperties")
        if inner:
            walk(child, inner, f"{path}.{field}" if path else field, causes)


def wide(node: Schema) -> bool:
    """Whether absence is itself a value: numbers and booleans."""
    return node.get("type") in ("integer", "number", "boolean") or not node.get("type")
