"""Request bodies in protobuf, which clients written in Go send by default (client-go since v1.32).

An object comes in an envelope that names its kind; its message is decoded by the schema, which says what the fields
are, and by `wire.z`, which says how they are numbered. The result is what the same client would have sent as JSON.
Answers are never protobuf: such clients accept JSON too.
Source: Kubernetes API concepts, "Alternate representations of resources"; the Protocol Buffers encoding guide.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import orjson

from timonier.api.kinds import find
from timonier.api.schema import Schema, definitions, read
from timonier.api.times import micro, rfc3339
from timonier.apiserver.request import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
DEEPEST = 100
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
OPTIONAL = 1
"""The flag of a field whose presence means something, even where it is zero."""


class BadProtobuf(ValueError):
    """The bytes are not such an object; the text says why."""


@cache
def numbers() -> dict[str, dict[str, list[Any]]]:
    """Of each message, by field number: JSON name, flags, message of an embedded struct. See generate/wire.py."""
    return read("wire.z")


def decode(body: bytes) -> Object:
    """The object in an envelope. Raises BadProtobuf."""
    if not body.startswith(MAGIC):
        raise BadProtobuf("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = {number: value for number, _, value in fields(body[len(MAGIC):])}
        head = {number: value.decode() for number, _, value in fields(envelope.get(1, b""))}
        apiVersion, kind = head.get(1, ""), head.get(2, "")
        name = message_of(apiVersion, kind)
        made = message(envelope.get(2, b""), name, properties(name), 0)
    except BadProtobuf:
        raise
    except (AttributeError, TypeError, ValueError, struct.error, OverflowError) as error:
        raise BadProtobuf(f"malformed message: {error}") from error
    return {"kind": kind, "apiVersion": apiVersion} | made


def message_of(apiVersion: str, kind: str) -> str:
    """The definition of a kind, whether or not it has a row in the table of kinds."""
    group, _, version = apiVersion.rpartition("/")
    row = find(apiVersion, kind)
    guesses = (row.definition if row else "", f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{kind}",
               META + kind)
    for name in guesses:
        if name in numbers() and name in definitions():
            return name
    raise BadProtobuf(f'no kind "{kind}" is registered for version "{apiVersion}" in protobuf')


def properties(name: str) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = definitions()[name].get("properties") or {}
    return found


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field of a message. Raises BadProtobuf."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        number, form = key >> 3, key & 7
        if form == VARINT:
            value, at = varint(data, at)
            yield number, form, value
            continue
        if form == BYTES:
            size, at = varint(data, at)
        elif form in (FIXED64, FIXED32):
            size = 8 if form == FIXED64 else 4
        else:
            raise BadProtobuf(f"wire type {form} is not used")
        if size > end - at:
            raise BadProtobuf("unexpected EOF")
        yield number, form, data[at:at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise BadProtobuf("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadProtobuf("integer overflow")


def message(data: bytes, name: str, parts: Mapping[str, Schema], depth: int) -> Object:
    """A message as the object that its JSON would be: what Go leaves out of JSON for being zero is left out."""
    if depth > DEEPEST:
        raise BadProtobuf("exceeded max depth")
    table, made = numbers().get(name) or {}, Object()
    for number, form, value in fields(data):
        row = table.get(str(number))
        if row is None:
            continue
        field, flags, *embedded = row
        if embedded:
            made |= message(expect_bytes(value), embedded[0], parts, depth + 1)
            continue
        node = parts.get(field)
        if node is not None:
            add(made, field, node, form, value, bool(flags & OPTIONAL), depth)
    return made


def add(made: Object, field: str, node: Schema, form: int, value: Any, optional: bool, depth: int) -> None:
    """Put a decoded field into an object."""
    match node.get("type"):
        case "array":
            items = node["items"]
            if form == BYTES and items.get("type") in ("integer", "boolean"):
                made.setdefault(field, []).extend(packed(value, items))
            else:
                made.setdefault(field, []).append(single(value, items, depth))
        case "object" if "additionalProperties" in node:
            key, item = entry(expect_bytes(value), node["additionalProperties"], depth)
            made.setdefault(field, {})[key] = item
        case _:
            decoded = single(value, node, depth)
            if decoded is not None and (optional or decoded not in ("", 0, False)):
                made[field] = decoded


def packed(data: bytes, items: Schema) -> Iterator[Any]:
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield scalar(value, items)


def entry(data: bytes, node: Schema, depth: int) -> tuple[str, Any]:
    """One pair of a map. A map of lists has lists wrapped in a message."""
    parts = {number: value for number, _, value in fields(data)}
    key = expect_bytes(parts.get(1, b"")).decode()
    if node.get("type") == "array":
        return key, [value.decode() for number, _, value in fields(parts.get(2, b"")) if number == 1]
    if 2 in parts:
        return key, single(parts[2], node, depth)
    return key, {"integer": 0, "boolean": False, "string": ""}.get(node.get("type", ""), {})


def single(value: Any, node: Schema, depth: int) -> Any:
    """One value of a field: a message where the node refers to a definition, a scalar otherwise."""
    name = node.get("$ref")
    if name is None:
        return scalar(value, node)
    if name in SPECIAL:
        return SPECIAL[name](expect_bytes(value))
    target = definitions()[name]
    if "properties" not in target and name not in numbers():
        return scalar(value, target)
    return message(expect_bytes(value), name, target.get("properties") or {}, depth + 1)


def scalar(value: Any, node: Schema) -> Any:
    match node.get("type"):
        case "boolean":
            return bool(value)
        case "integer":
            return signed(value)
        case "number":
            return struct.unpack("<d" if len(value) == 8 else "<f", value)[0]
        case "string" if node.get("format") == "byte":
            return base64.b64encode(expect_bytes(value)).decode()
        case "string":
            return expect_bytes(value).decode()
    return raw_json(expect_bytes(value))


def signed(value: Any) -> int:
    if not isinstance(value, int):
        raise BadProtobuf("wrong wire type for a number")
    number = value & (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number


def expect_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise BadProtobuf("wrong wire type for text or a message")
    return value


def by_number(data: bytes) -> dict[int, Any]:
    return {number: value for number, _, value in fields(data)}


def quantity(data: bytes) -> str:
    """Quantity: its text is field 1."""
    return expect_bytes(by_number(data).get(1, b"")).decode()


def int_or_string(data: bytes) -> int | str:
    """IntOrString: type 1 (1 for strings), number 2, text 3."""
    parts = by_number(data)
    return expect_bytes(parts.get(3, b"")).decode() if parts.get(1) == 1 else signed(parts.get(2, 0))


def moment(write: Callable[[float], str]) -> Callable[[bytes], str | None]:
    """Time and MicroTime: seconds 1 and nanoseconds 2; nothing at all where Go's time is zero."""
    def decoded(data: bytes) -> str | None:
        parts = by_number(data)
        return write(signed(parts.get(1, 0)) + signed(parts.get(2, 0)) / 1e9) if parts else None

    return decoded


def raw(data: bytes) -> Any:
    """RawExtension and its like: field 1 is JSON, or an envelope like this one."""
    content = expect_bytes(by_number(data).get(1, b""))
    if content.startswith(MAGIC):
        return decode(content)
    return raw_json(content)


def raw_json(content: bytes) -> Any:
    return orjson.loads(content) if content else None


def duration(data: bytes) -> str:
    """Duration: nanoseconds in field 1."""
    return f"{signed(by_number(data).get(1, 0)) / 1e9:g}s"


SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": int_or_string,
    f"{META}Time": moment(rfc3339), f"{META}MicroTime": moment(micro), f"{META}Duration": duration,
    f"{META}FieldsV1": raw, "io.k8s.apimachinery.pkg.runtime.RawExtension": raw,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": raw,
}
"""Definitions that are not what their messages are."""
