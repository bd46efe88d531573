"""Messages whose JSON is not an object of their fields: quantities, moments, raw JSON, numbers or names.

Each is a pair: `encode` makes the message of the JSON value, `decode` the value of the message.
Source: the types' own descriptions in the API reference, and the fields of their messages in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from timonier.api import times
from timonier.api.protobuf import BadProtobuf
from timonier.api.protobuf.wire import LENGTH, VARINT, message, read_varint, signed_varint, skip, varint

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
MAGIC = b"k8s\x00"
"""How an object in an envelope begins, wherever it stands."""


class Special(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def parts(data: bytes) -> dict[int, Any]:
    """The fields of a small message by number: numbers, or the bytes of anything longer. The last one counts."""
    found: dict[int, Any] = {}
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        if key & 7 == VARINT:
            found[key >> 3], at = read_varint(data, at)
        elif key & 7 == LENGTH:
            size, at = read_varint(data, at)
            found[key >> 3] = data[at:at + size]
            at += size
        else:
            at = skip(data, at, key & 7)
    if at > end:
        raise BadProtobuf("unexpected EOF")
    return found


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def encode_quantity(value: Any) -> bytes:
    """Quantity: its text is field 1."""
    return message(1, str(value).encode())


def decode_quantity(data: bytes) -> str:
    text: bytes = parts(data).get(1, b"")
    return text.decode()


def encode_int_or_string(value: Any) -> bytes:
    """IntOrString: type 1 (1 for text), number 2, text 3."""
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + message(3, value.encode())
    return b"\x08\x00\x10" + signed_varint(value) + b"\x1a\x00"


def decode_int_or_string(data: bytes) -> int | str:
    found = parts(data)
    text: bytes = found.get(3, b"")
    return text.decode() if found.get(1) == 1 else signed(found.get(2, 0))


@lru_cache(maxsize=1024)
def encode_time(value: str) -> bytes:
    """Time: seconds 1 and nanoseconds 2, which are always zero."""
    return b"\x08" + signed_varint(int(times.parse(value) // 1)) + b"\x10\x00"


def decode_time(data: bytes) -> str | None:
    """Nothing at all where Go's time is zero."""
    found = parts(data)
    return times.whole(signed(found.get(1, 0))) if found else None


@lru_cache(maxsize=1024)
def encode_micro_time(value: str) -> bytes:
    microseconds = round(times.parse(value) * 1_000_000)
    return b"\x08" + signed_varint(microseconds // 1_000_000) + b"\x10" + varint(microseconds % 1_000_000 * 1000)


def decode_micro_time(data: bytes) -> str | None:
    found = parts(data)
    if not found:
        return None
    return f"{times.whole(signed(found.get(1, 0)))[:-1]}.{signed(found.get(2, 0)) // 1000 % 1_000_000:06}Z"


def encode_raw(value: Any) -> bytes:
    """RawExtension, FieldsV1 and JSON: field 1 is the JSON."""
    return message(1, orjson.dumps(value))


def decode_raw(data: bytes) -> Any:
    content = parts(data).get(1, b"")
    if content.startswith(MAGIC):
        from timonier.api.protobuf.envelope import decode
        return decode(content)
    return orjson.loads(content) if content else None


def schema_or(number: int, encode: Callable[[Any], bytes], decode: Callable[[list[bytes]], Any]) -> Special:
    """A schema, or something else: what else there can be is in a field of the given number.

    JSONSchemaPropsOrBool has its answer in field 1 and the schema in 2; the others the schema in 1 and a list in 2.
    """
    schema = 3 - number

    def encode_either(value: Any) -> bytes:
        if isinstance(value, dict):
            from timonier.api.protobuf.encode import encoder
            content = message(schema, encoder(EXTENSIONS + "JSONSchemaProps")(value))
            return b"\x08\x01" + content if number == 1 else content
        return encode(value)

    def decode_either(data: bytes) -> Any:
        found = parts(data)
        if schema in found:
            from timonier.api.protobuf.decode import decoder
            return decoder(EXTENSIONS + "JSONSchemaProps")(found[schema])
        return decode(repeated(data, number))
    return Special(encode_either, decode_either)


def repeated(data: bytes, number: int) -> list[Any]:
    """Every occurrence of one field, in order."""
    found, at = [], 0
    while at < len(data):
        key, start = read_varint(data, at)
        end = skip(data, start, key & 7)
        if key >> 3 == number:
            found.append(parts(data[at:end])[number])
        at = end
    return found


def encode_schemas(value: Any) -> bytes:
    from timonier.api.protobuf.encode import encoder

    encode = encoder(EXTENSIONS + "JSONSchemaProps")
    return b"".join(message(2, encode(each)) for each in value)


def decode_schemas(found: list[Any]) -> Any:
    from timonier.api.protobuf.decode import decoder

    return [decoder(EXTENSIONS + "JSONSchemaProps")(each) for each in found]


SPECIAL: dict[str, Special] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Special(encode_quantity, decode_quantity),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": Special(encode_int_or_string, decode_int_or_string),
    f"{META}Time": Special(encode_time, decode_time),
    f"{META}MicroTime": Special(encode_micro_time, decode_micro_time),
    f"{META}FieldsV1": Special(encode_raw, decode_raw),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": Special(encode_raw, decode_raw),
    f"{EXTENSIONS}JSON": Special(encode_raw, decode_raw),
    f"{EXTENSIONS}JSONSchemaPropsOrBool": schema_or(
        1, lambda value: b"\x08\x01" if value else b"\x08\x00", lambda found: bool(found and found[-1])),
    f"{EXTENSIONS}JSONSchemaPropsOrArray": schema_or(2, encode_schemas, decode_schemas),
    f"{EXTENSIONS}JSONSchemaPropsOrStringArray": schema_or(
        2, lambda value: b"".join(message(2, text.encode()) for text in value),
        lambda found: [text.decode() for text in found]),
}
"""By the full name of the message."""
