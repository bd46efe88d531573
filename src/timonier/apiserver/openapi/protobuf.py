"""An OpenAPI v2 document in protobuf: the form in which kubectl asks for it.

The messages are those of gnostic's openapiv2/OpenAPIv2.proto; the wire format is written by hand, since the messages
are few and a protobuf runtime would cost the server more memory than the document. Fields are given by number, with
the name beside them.
Source: the Protocol Buffers encoding guide.
"""

from __future__ import annotations

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


def extensions(number: int, values: Json) -> bytes:
    return named(number, {name: value for name, value in values.items() if name.startswith("x-")}, anything)


def document(value: Json) -> bytes:
    """Document: swagger 1, info 2, paths 8, definitions 9."""
    info = value["info"]
    return b"".join((
        text(1, value["swagger"]), message(2, text(1, info["title"]) + text(2, info["version"])),
        message(8, named(2, value["paths"], path_item)), message(9, named(1, value["definitions"], schema))))


PATH_ITEM = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def path_item(value: Json) -> bytes:
    return b"".join(message(PATH_ITEM[method], operation(action)) for method, action in value.items())


def operation(value: Json) -> bytes:
    """Operation: tags 1, description 3, id 5, produces 6, consumes 7, parameters 8, responses 9, schemes 10."""
    return b"".join((
        texts(1, value.get("tags")), text(3, value.get("description")), text(5, value.get("operationId")),
        texts(6, value.get("produces")), texts(7, value.get("consumes")),
        b"".join(message(8, message(1, parameter(entry))) for entry in value.get("parameters") or ()),
        message(9, named(1, value["responses"], response)), texts(10, value.get("schemes")), extensions(13, value)))


def parameter(value: Json) -> bytes:
    """Parameter: body_parameter 1, or non_body_parameter 2 with query 3 or path 4."""
    described, place = text(3, value.get("description")), value["in"]
    if place == "body":
        return message(1, text(1, value.get("description")) + text(2, value["name"]) + text(3, "body")
                       + flag(4, value.get("required")) + message(5, schema(value["schema"])))
    start = flag(1, value.get("required")) + text(2, place) + described + text(4, value["name"])
    if place == "path":
        return message(2, message(4, start + text(5, value["type"]) + b"\x98\x01\x01"))
    return message(2, message(3, start + text(6, value["type"]) + b"\xa0\x01\x01"))


def response(value: Json) -> bytes:
    """ResponseValue: response 1 (description 1, schema 2 (schema 1))."""
    body = message(2, message(1, schema(value["schema"]))) if "schema" in value else b""
    return message(1, text(1, value.get("description")) + body)


def schema(value: Json) -> bytes:
    """Schema, its fields by number."""
    parts = [text(1, value.get("$ref")), text(2, value.get("format")), text(4, value.get("description"))]
    if "default" in value:
        parts.append(message(5, anything(value["default"])))
    parts.append(texts(19, value.get("required")))
    parts += [message(20, anything(choice)) for choice in value.get("enum") or ()]
    if "additionalProperties" in value:
        inner = value["additionalProperties"]
        parts.append(message(21, message(1, schema(inner)) if isinstance(inner, dict) else flag(2, inner)))
    if "type" in value:
        parts.append(message(22, text(1, value["type"])))
    if "items" in value:
        parts.append(message(23, message(1, schema(value["items"]))))
    if "properties" in value:
        parts.append(message(25, named(1, value["properties"], schema)))
    parts.append(extensions(31, value))
    return b"".join(parts)
