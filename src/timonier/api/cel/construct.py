"""Objects that expressions make: `Object.spec{…}` of an apply configuration, and `JSONPatch{op: …}`; values as JSON.

Their fields are not known here: whatever an `Object` says of itself is only held against the kind that it is for when
it has been made. Source: KEP-3962.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from timonier.api.cel.declarations import Declared, Field
from timonier.api.cel.types import DYN, STRING, Type
from timonier.api.cel.values import Duration, Failure, Optional, Timestamp, Uint

ROOT, PATCH = "Object", "JSONPatch"


class Made(dict[str, Any]):
    """An object that an expression made, of a type that it named."""

    cel_type: Type

    @classmethod
    def of(cls, kind: Type, fields: dict[str, Any]) -> Made:
        made = cls(fields)
        made.cel_type = kind
        return made


class AnyFields(dict[str, Field]):
    """The fields of an `Object`: all there can be, with any value."""

    def get(self, key: str, default: Any = None) -> Field:
        return Field(key, Declared(DYN))


class Constructed(Declared):
    """The declaration of a type that is made by its name."""

    def make(self, fields: dict[str, Any]) -> Made:
        return Made.of(self.type, fields)


def constructed(name: str, fields: dict[str, Field]) -> Constructed:
    declared = Constructed(DYN, fields=fields)
    declared.type = Type(name, declaration=declared)
    return declared


class PatchTypes(Mapping[str, Declared]):
    """`JSONPatch`, `Object` and every `Object.….…`."""

    def __init__(self) -> None:
        text = Declared(STRING)
        fields = {name: Field(name, text) for name in ("op", "path", "from")}
        self.patch = constructed(PATCH, fields | {"value": Field("value", Declared(DYN))})

    def __getitem__(self, name: str) -> Declared:
        if name == PATCH:
            return self.patch
        if name == ROOT or name.startswith(f"{ROOT}."):
            return constructed(name, AnyFields())
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((PATCH, ROOT))

    def __len__(self) -> int:
        return 2


PATCH_TYPES = PatchTypes()


def misnamed(value: Any, path: str = ROOT) -> Iterator[str]:
    """What is wrong with the names of types inside an object: each has to be the way to its field from the root."""
    if isinstance(value, Made):
        if value.cel_type.name != path:
            yield (f'unexpected type name "{value.cel_type.name}", expected "{path}", which matches field name path '
                   "from root Object type")
        for key, field in value.items():
            yield from misnamed(field, f"{path}.{key}")
    elif isinstance(value, dict):
        for field in value.values():
            yield from misnamed(field, path)
    elif isinstance(value, list):
        for element in value:
            yield from misnamed(element, path)


def as_json(value: Any) -> Any:
    """A value as JSON has it. Raises Failure for what JSON cannot say."""
    match value:
        case Uint():
            return int(value)
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case Duration() | Timestamp():
            return str(value)
        case Optional():
            return as_json(value.value) if value.present else None
        case list():
            return [as_json(element) for element in value]
        case dict():
            if wrong := next((key for key in value if not isinstance(key, str)), None):
                raise Failure(f"map key {wrong} is not a string")
            return {key: as_json(field) for key, field in value.items()}
    raise Failure(f"a value of type {value.cel_type} could not be marshalled to JSON")


