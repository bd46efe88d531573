"""Reading schemas: what the other modules ask of a node, in one spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import orjson

Schema = dict[str, Any]
T = TypeVar("T")

META = frozenset({"apiVersion", "kind", "metadata"})
"""Fields that every resource has, whatever its schema says."""
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"
JUNCTORS = ("allOf", "anyOf", "oneOf")
BY_NAME = ("properties", "patternProperties", "definitions")
SINGLE = ("additionalProperties", "additionalItems", "items", "not")
HOLDING = frozenset({*BY_NAME, *SINGLE, *JUNCTORS, "dependencies"})
"""What has schemas in it."""


def properties(schema: Schema) -> dict[str, Schema]:
    return schema.get("properties") or {}


def additional(schema: Schema) -> Schema | None:
    """The schema of the values of a map, where there is one; `additionalProperties: true` gives none."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def items(schema: Schema) -> Schema | None:
    found = schema.get("items")
    return found if isinstance(found, dict) else None


def is_map(schema: Schema) -> bool:
    """Whether fields that are not named are the keys of a map, rather than unknown."""
    return "additionalProperties" in schema


def below(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Every schema directly within one, with its place (`properties[spec]`, `anyOf[0]`), as messages name it."""
    if HOLDING.isdisjoint(schema):
        return
    for name in BY_NAME:
        for key, child in (schema.get(name) or {}).items():
            yield f"{name}[{key}]", child
    for name in SINGLE:
        found = schema.get(name)
        if isinstance(found, dict):
            yield name, found
    lists = [(name, schema.get(name) or ()) for name in JUNCTORS]
    if isinstance(schema.get("items"), list):
        lists.append(("items", schema["items"]))
    for name, found in lists:
        yield from ((f"{name}[{index}]", child) for index, child in enumerate(found))
    for key, dependency in (schema.get("dependencies") or {}).items():
        if isinstance(dependency, dict):
            yield f"dependencies[{key}]", dependency


def every(schema: Schema) -> Iterator[Schema]:
    """A schema and all schemas within it, however deep."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        yield node
        inner = [child for _, child in below(node)]
        waiting += reversed(inner)


def mentions(schema: Schema, word: str) -> bool:
    """Whether a schema may have a key, however deep: quick to tell, and always where it has."""
    return f'"{word}":'.encode() in orjson.dumps(schema)


class Lazily(dict[str, T]):
    """What is made of schemas by their names, each when it is first asked for: of large schemas, objects use little.

    To be read with `[]`, which gives None where there is no such schema.
    """

    def __init__(self, schemas: Mapping[str, Schema], make: Callable[[Schema], T]) -> None:
        super().__init__()
        self._schemas, self._make = schemas, make

    def __missing__(self, name: str) -> T | None:
        schema = self._schemas.get(name)
        if schema is None:
            return None
        made = self[name] = self._make(schema)
        return made


def at(path: str, field: str) -> str:
    """The path of a field."""
    return f"{path}.{field}" if path else field
