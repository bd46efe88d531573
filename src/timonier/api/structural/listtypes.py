"""Lists that are sets or maps: no two elements that are equal, or have equal keys.

Source: Kubernetes documentation, "Merge strategy" (`x-kubernetes-list-type`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from timonier.api.structural.nodes import LIST_KEYS, LIST_TYPE, Schema, additional, items, properties
from timonier.api.validation.causes import Causes

Check = Callable[[Any, str, Causes], None]


def identity(value: Any) -> bytes:
    """A text that equal JSON values share, and no others: `1` is not `true`."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def key_of(element: Any, keys: Sequence[str]) -> dict[str, Any]:
    """The fields by which an element of a map is known."""
    return {key: element[key] for key in keys if key in element} if isinstance(element, dict) else {}


def by_key(elements: list[Any], keys: Sequence[str]) -> Callable[[Any, Any], Any]:
    """Finds, among the elements of a map, the one with the key of another."""
    known: dict[bytes, Any] = {}
    for element in elements:
        known.setdefault(identity(key_of(element, keys)), element)
    return lambda element, default: known.get(identity(key_of(element, keys)), default)


def compiled(schema: Schema) -> Check | None:
    """The check of a value's sets and maps; None where there are none in it."""
    named = {name: below for name, child in properties(schema).items() if (below := compiled(child))}
    inner, element = additional(schema), items(schema)
    values = compiled(inner) if inner is not None else None
    each = compiled(element) if element is not None else None
    unique = uniqueness(schema)
    if not (named or values or each or unique):
        return None

    def check(value: Any, path: str, causes: Causes) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                if values:
                    values(child, f"{path}[{key}]", causes)
                if key in named:
                    named[key](child, f"{path}.{key}" if path else key, causes)
        elif isinstance(value, list):
            if unique:
                unique(value, path, causes)
            if each:
                for index, child in enumerate(value):
                    each(child, f"{path}[{index}]", causes)
    return check


def uniqueness(schema: Schema) -> Check | None:
    match schema.get(LIST_TYPE):
        case "set":
            return as_set
        case "map":
            keys = schema.get(LIST_KEYS) or ()
            return lambda value, path, causes: as_map(value, keys, path, causes)
    return None


def as_set(elements: Any, path: str, causes: Causes) -> None:
    for index in repeated(elements):
        causes.duplicate(f"{path}[{index}]", elements[index])


def as_map(elements: Any, keys: Sequence[str], path: str, causes: Causes) -> None:
    for index, element in enumerate(elements):
        if element is not None and not isinstance(element, dict):
            causes.invalid(f"{path}[{index}]", element, "must be an object for an array of list-type map")
            return
    found = [key_of(element, keys) for element in elements]
    for index in repeated(found):
        causes.duplicate(f"{path}[{index}]", found[index])


def repeated(elements: Sequence[Any]) -> list[int]:
    """Where a value occurs for the second time."""
    times: dict[bytes, int] = {}
    places: list[int] = []
    if len(elements) < 2:
        return places
    for index, element in enumerate(elements):
        key = identity(element)
        times[key] = times.get(key, 0) + 1
        if times[key] == 2:
            places.append(index)
    return places
