"""What a schema says about values: their types in the language, how large they can get, and how JSON becomes a value.

A `Declared` is made of a schema node, an OpenAPI or structural schema as a dict. JSON that needs no change is a value
of the language as it stands: nothing is copied, and `read` is None. Where a schema means more than JSON can say (a
moment, bytes, a list that is a set), `read` makes the value, and only when something other than a field of it is asked
for.

Sizes are those of Kubernetes (KEP-2876): the most elements that a value can have in a request of 3 MiB, and the fewest
bytes that it takes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.escaping import escape
from timonier.api.cel.moments import parse_date, parse_duration, parse_timestamp
from timonier.api.cel.types import Type
from timonier.api.cel.values import NO_OVERLOAD, Failure, equal

Schema = Mapping[str, Any]
Read = Callable[[Any], Any]
Resolve = Callable[[Any], Any]
REQUEST = 3 * 1024 * 1024
"""Bytes of the largest request that is accepted."""
SIZES = {"duration": 32, "date": 12, "date-time": 32}
"""The longest text of a format, quotes included."""
LEAST = {"duration": 3, "date": 12, "date-time": 21}
"""The shortest, likewise."""
TEXT = {"type": "string"}
OBJECT_META = {"type": "object", "properties": {"name": TEXT, "generateName": TEXT}}


def itself(schema: Schema) -> Schema:
    """What a schema without references resolves to."""
    return schema


@dataclass(slots=True)
class Declared:
    """The declaration of a value. `most` is 0 for what has no size; `least` is in bytes of JSON."""

    type: Type
    most: int = 0
    least: int = 1
    read: Read | None = None
    """Makes a value of JSON; None where JSON is the value."""
    element: Declared | None = None
    """Of the elements of a list, or of the values of a map."""
    fields: dict[str, Field] | None = None
    """Of an object, by the identifiers that expressions use."""
    nullable: bool = False
    """Whether null is a value; otherwise what is null is not there."""

    def value(self, raw: Any) -> Any:
        return raw if self.read is None else self.read(raw)


@dataclass(slots=True)
class Field:
    name: str
    """As it stands in JSON."""
    declared: Declared


def record(name: str, /, **fields: Declared) -> Declared:
    """The declaration of an object with these fields."""
    declared = Declared(types.ANY, fields={field: Field(field, kind) for field, kind in fields.items()})
    declared.type, declared.read = Type(name, declaration=declared), object_reader(declared.fields or {})
    return declared


def list_declared(element: Declared) -> Declared:
    return Declared(types.list_of(element.type), read=list_reader({}, element), element=element)


def map_declared(element: Declared) -> Declared:
    return Declared(types.map_of(types.STRING, element.type), read=map_reader(element), element=element)


def dynamic() -> Declared:
    """Anything at all: types are found out when the expression runs."""
    return Declared(types.DYN)


STRING_KEYS = Declared(types.STRING, least=2)


def declare(schema: Schema, name: str, *, root: bool = False, resolve: Resolve = itself) -> Declared | None:
    """The declaration of what a schema describes, or None where expressions may not see it.

    `name` is what the type of an object is called. `root` is for the root of a resource and for embedded ones, whose
    `apiVersion`, `kind` and `metadata` are always there. `resolve` follows references; raises RecursionError where they
    lead back to where they come from.
    """
    schema = resolve(schema)
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        longest = schema.get("maxLength")
        return Declared(types.DYN, REQUEST - 2 if longest is None else max(longest, 0) * 4, 1)
    match schema.get("type"):
        case "array":
            return declare_list(schema, name, resolve)
        case "object":
            return declare_object(with_meta(schema, resolve) if root else schema, name, resolve)
        case "string":
            return nullable(schema, declare_string(schema))
        case "boolean":
            return Declared(types.BOOL, least=4)
        case "number":
            return nullable(schema, Declared(types.DOUBLE, read=float))
        case "integer":
            return Declared(types.INT)
    return None


def embedded(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def nullable(schema: Schema, declared: Declared) -> Declared:
    """A declaration whose `read` leaves null alone, where the schema lets null be."""
    read = declared.read
    if read is not None and schema.get("nullable"):
        declared.read = lambda raw: None if raw is None else read(raw)
    return declared


def with_meta(schema: Schema, resolve: Resolve) -> Schema:
    """A resource's schema with the fields that every resource has."""
    properties = dict(schema.get("properties") or {})
    meta = resolve(properties.get("metadata", {})).get("properties", {})
    named = all(meta.get(field, {}).get("type") == "string" for field in ("name", "generateName"))
    if not named or any(properties.get(field, {}).get("type") != "string" for field in ("kind", "apiVersion")):
        properties |= {"kind": TEXT, "apiVersion": TEXT, "metadata": OBJECT_META}
    return {**schema, "properties": properties}


def declare_string(schema: Schema) -> Declared:
    form, longest = schema.get("format") or "", schema.get("maxLength")
    if form == "byte":
        return Declared(types.BYTES, REQUEST - 2 if longest is None else max(longest, 0), 2, decoded)
    if form in FORMATS:
        kind, read = FORMATS[form]
        return Declared(kind, SIZES[form], LEAST[form], read)
    if longest is not None:
        most = max(longest, 0) * 4
    elif choices := schema.get("enum"):
        most = max((len(choice.encode()) for choice in choices if isinstance(choice, str)), default=0)
    else:
        most = REQUEST - 2
    return Declared(types.STRING, most, 2)


def declare_list(schema: Schema, name: str, resolve: Resolve) -> Declared | None:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    element = declare(items, f"{name}.@idx", root=embedded(items), resolve=resolve)
    if element is None:
        return None
    limit = schema.get("maxItems")
    most = (REQUEST - 2) // (element.least + 1) if limit is None else max(limit, 0)
    declared = Declared(types.list_of(element.type), most, 2, list_reader(schema, element), element)
    return nullable(schema, declared)


def declare_object(schema: Schema, name: str, resolve: Resolve) -> Declared | None:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        element = declare(values, f"{name}.@elem", root=embedded(values), resolve=resolve)
        if element is None:
            return None
        limit = schema.get("maxProperties")
        most = (REQUEST - 2) // (element.least + 6) if limit is None else max(limit, 0)
        declared = Declared(types.map_of(types.STRING, element.type), most, 2, map_reader(element), element)
        return nullable(schema, declared)
    fields: dict[str, Field] = {}
    required, least = frozenset(schema.get("required") or ()), 2
    for key, node in (schema.get("properties") or {}).items():
        spelled = escape(key)
        field = declare(node, f"{name}.{spelled or key}", root=embedded(node), resolve=resolve)
        if field is None:
            continue
        if spelled is not None:
            fields[spelled] = Field(key, field)
        if key in required and node.get("default") is None:
            least += len(key.encode()) + field.least + 4
    declared = Declared(types.ANY, 0, least, object_reader(fields), None, fields)
    declared.type = Type(name, declaration=declared)
    return nullable(schema, declared)


# How JSON becomes values.


def decoded(raw: Any) -> bytes:
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure(f"Invalid byte formatted string {raw}: {error}") from None


def formatted(parse: Read, what: str) -> Read:
    def read(raw: Any) -> Any:
        try:
            return parse(raw)
        except ValueError as error:
            raise Failure(f"Invalid {what} {raw}: {error}") from None
    return read


FORMATS: dict[str, tuple[Type, Read]] = {
    "duration": (types.DURATION, formatted(parse_duration, "duration")),
    "date": (types.TIMESTAMP, formatted(parse_date, "date formatted string")),
    "date-time": (types.TIMESTAMP, formatted(parse_timestamp, "date-time formatted string")),
}


class SetList(list[Any]):
    """A list with `x-kubernetes-list-type: set`: order does not matter, and adding unites."""

    def equals(self, other: list[Any]) -> bool:
        return len(self) == len(other) and all(any(equal(one, mine) for mine in self) for one in other)

    def plus(self, other: list[Any]) -> SetList:
        made = SetList(self)
        for one in other:
            if not any(equal(one, mine) for mine in made):
                made.append(one)
        return made


class MapList(list[Any]):
    """A list with `x-kubernetes-list-type: map`: elements are known by their keys, and adding replaces."""

    keys: tuple[str, ...] = ()

    def key(self, element: Any) -> tuple[Any, ...]:
        if not isinstance(element, dict):
            raise Failure(NO_OVERLOAD)
        values = tuple(element.get(key) for key in self.keys)
        return tuple(repr(value) if isinstance(value, (list, dict)) else value for value in values)

    def equals(self, other: list[Any]) -> bool:
        mine = {self.key(element): element for element in self}
        return len(self) == len(other) and all(
            (key := self.key(element)) in mine and equal(mine[key], element) for element in other)

    def plus(self, other: list[Any]) -> MapList:
        merged = {self.key(element): element for element in (*self, *other)}
        return keyed(merged.values(), self.keys)


def keyed(elements: Any, keys: tuple[str, ...]) -> MapList:
    made = MapList(elements)
    made.keys = keys
    return made


def list_reader(schema: Schema, element: Declared) -> Read | None:
    read = element.read
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return lambda raw: SetList(raw if read is None else map(read, raw))
        case "map":
            keys = tuple(escape(key) or key for key in schema.get("x-kubernetes-list-map-keys") or ())
            return lambda raw: keyed(raw if read is None else map(read, raw), keys)
    return None if read is None else lambda raw: list(map(read, raw))


def map_reader(element: Declared) -> Read | None:
    read = element.read
    return None if read is None else lambda raw: {key: read(value) for key, value in raw.items()}


def object_reader(fields: dict[str, Field]) -> Read | None:
    """None where every field is a value as it stands and is called what expressions call it."""
    changed = {field.name: (spelled, field.declared.read) for spelled, field in fields.items()
               if spelled != field.name or field.declared.read is not None}
    if not changed:
        return None

    def read(raw: Any) -> dict[str, Any]:
        made = {}
        for key, value in raw.items():
            spelled, convert = changed.get(key, (key, None))
            made[spelled] = value if convert is None or value is None else convert(value)
        return made
    return read
