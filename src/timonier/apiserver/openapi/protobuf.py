"""An OpenAPI v2 document in protobuf: the form in which kubectl asks for it.

The messages are those of gnostic's openapiv2/OpenAPIv2.proto; the wire format is written by hand, since the messages
are few and a protobuf runtime would cost the server more memory than the document. Fields are given by number, with
the name beside them.
Source: the Protocol Buffers encoding guide.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from timonier.api.protobuf.wire import message, varint

Json = Mapping[str, Any]


def text(number: int, value: str | None) -> bytes:
    return message(number, value.encode()) if value else b""


def texts(number: int, values: Iterable[str] | None) -> bytes:
    return b"".join(message(number, value.encode()) for value in values or ())


def flag(number: int, value: Any) -> bytes:
    return varint(number << 3) + b"\x01" if value else b""


def named(number: int, values: Mapping[str, Any], encode: Callable[[Any], bytes]) -> bytes:
    """A map as repeated messages of name (1) and value (2)."""
    return b"".join(message(number, text(1, name) + message(2, encode(value))) for name, value in values.items())


def anything(value: Any) -> bytes:
    """Any: its YAML (2), for which JSON will do."""
    return text(2, orjson.dumps(value).decode() + "\n")


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def extensions(number: int, values: Json) -> bytes:
    return named(number, {name: value for name, value in values.items() if name.startswith("x-")}, anything)


def document(value: Json) -> bytes:
    """Document: swagger 1, info 2, paths 8, definitions 9."""
    info = value["info"]
    return b"".join((
        text(1, value["swagger"]), message(2, text(1, info["title"]) + text(2, info["version"])),
        message(8, named(2, value["paths"], path_item)), message(9, named(1, value["definitions"], schema))))


PATH_ITEM = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
PLACES = {"header": (1, 5, 19), "query": (3, 6, 20), "path": (4, 5, 19)}
"""Parameters by where they stand: the field of NonBodyParameter, and in its message those of type and unique_items."""


def path_item(value: Json) -> bytes:
    """PathItem: an operation for each method, parameters of all of them 9, extensions 10."""
    actions = b"".join(message(number, operation(value[method])) for method, number in PATH_ITEM.items()
                       if method in value)
    return actions + parameters(9, value) + extensions(10, value)


def operation(value: Json) -> bytes:
    """Operation: tags 1, summary 2, description 3, id 5, produces 6, consumes 7, parameters 8, responses 9, schemes 10,
    deprecated 11."""
    return b"".join((
        texts(1, value.get("tags")), text(2, value.get("summary")), text(3, value.get("description")),
        text(5, value.get("operationId")), texts(6, value.get("produces")), texts(7, value.get("consumes")),
        parameters(8, value), message(9, named(1, value.get("responses") or {}, response)),
        texts(10, value.get("schemes")), flag(11, value.get("deprecated")), extensions(13, value)))


def parameters(number: int, value: Json) -> bytes:
    """ParametersItem, several: parameter 1."""
    return b"".join(message(number, message(1, parameter(entry))) for entry in value.get("parameters") or ())


def parameter(value: Json) -> bytes:
    """Parameter: body_parameter 1, or non_body_parameter 2 with header 1, query 3 or path 4."""
    place = value["in"]
    if place == "body":
        return message(1, text(1, value.get("description")) + text(2, value["name"]) + text(3, "body")
                       + flag(4, value.get("required")) + message(5, schema(value["schema"])))
    number, of_type, of_unique = PLACES[place]
    return message(2, message(number, b"".join((
        flag(1, value.get("required")), text(2, place), text(3, value.get("description")), text(4, value["name"]),
        text(of_type, value["type"]), flag(of_unique, value.get("uniqueItems"))))))


def response(value: Json) -> bytes:
    """ResponseValue: response 1 (description 1, schema 2 (schema 1))."""
    body = message(2, message(1, schema(value["schema"]))) if "schema" in value else b""
    return message(1, text(1, value.get("description")) + body)


BOUNDS: dict[str, tuple[int, Callable[[int, Any], bytes]]] = {
    "multipleOf": (6, double), "maximum": (7, double), "exclusiveMaximum": (8, flag), "minimum": (9, double),
    "exclusiveMinimum": (10, flag), "maxLength": (11, whole), "minLength": (12, whole), "pattern": (13, text),
    "maxItems": (14, whole), "minItems": (15, whole), "uniqueItems": (16, flag), "maxProperties": (17, whole),
    "minProperties": (18, whole)}
"""What a schema says of values beside their type, by the field of each. Only other servers' documents say it."""


def schema(value: Json) -> bytes:
    """Schema, its fields by number."""
    parts = [text(1, value.get("$ref")), text(2, value.get("format")), text(3, value.get("title")),
             text(4, value.get("description"))]
    if "default" in value:
        parts.append(message(5, anything(value["default"])))
    parts += [encode(number, value[name]) for name, (number, encode) in BOUNDS.items() if name in value]
    parts.append(texts(19, value.get("required")))
    parts += [message(20, anything(choice)) for choice in value.get("enum") or ()]
    if "additionalProperties" in value:
        inner = value["additionalProperties"]
        parts.append(message(21, message(1, schema(inner)) if isinstance(inner, dict) else flag(2, inner)))
    if "type" in value:
        parts.append(message(22, texts(1, [value["type"]] if isinstance(value["type"], str) else value["type"])))
    if "items" in value:
        parts.append(message(23, message(1, schema(value["items"]))))
    parts += [message(24, schema(each)) for each in value.get("allOf") or ()]
    if "properties" in value:
        parts.append(message(25, named(1, value["properties"], schema)))
    parts.append(extensions(31, value))
    return b"".join(parts)
