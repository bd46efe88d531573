"""Simple JSON paths (`.spec.replicas`), by which a definition names fields of its objects."""

from __future__ import annotations

from typing import Any

from timonier.api.structural.words import go_number

Object = dict[str, Any]


def steps_of(path: str) -> list[str]:
    """The fields of a simple JSON path: `.spec.replicas`."""
    return path.removeprefix(".").split(".")


GO_NAMES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64",
            float: "float64", type(None): "<nil>"}


def read(obj: Object, path: str, wanted: type) -> tuple[Any, str]:
    """The value at a simple JSON path, None where there is none, and why it is none of the wanted type."""
    value: Any = obj
    fields = steps_of(path)
    for index, field in enumerate(fields):
        if value is None:
            return None, ""
        if not isinstance(value, dict):
            place = "." + ".".join(fields[:index])
            return None, f"{place} accessor error: {shown_go(value)} is of the type {GO_NAMES[value.__class__]}, " \
                         "expected map[string]interface{}"
        if field not in value:
            return None, ""
        value = value[field]
    if value.__class__ is not wanted:
        name = {str: "string", int: "int64"}[wanted]
        return None, f".{'.'.join(fields)} accessor error: {shown_go(value)} is of the type " \
                     f"{GO_NAMES[value.__class__]}, expected {name}"
    return value, ""


def shown_go(value: Any) -> str:
    """A value as Go prints it with %v, near enough."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return str(value).lower()
        case dict():
            return f"map[{' '.join(f'{key}:{shown_go(child)}' for key, child in sorted(value.items()))}]"
        case list():
            return f"[{' '.join(map(shown_go, value))}]"
        case float():
            return go_number(value)
    return str(value)
