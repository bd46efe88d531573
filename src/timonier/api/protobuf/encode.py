"""From an object to its message.

An encoder is made once a message: its rows say, by the JSON name of a field, how the field is written. What the table
does not know, and what is null, is left out, as Go leaves it out.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from timonier.api.protobuf.fields import LIST, MAP, Field, fields, is_list
from timonier.api.protobuf.special import SPECIAL
from timonier.api.protobuf.wire import FIXED64, LENGTH, SMALL, VARINT, heads, message, signed_varint, tag, varint

Object = dict[str, Any]
Encoder = Callable[[Any], bytes]
TEXT, MESSAGE, MESSAGES, INT, BOOL, SPECIAL_ONE, TEXTS, TEXT_MAP, OTHER = range(9)
"""How a field is written; OTHER is a function of its own."""
Row = tuple[int, tuple[bytes, ...], Any]
"""How; how fields of up to 127 bytes begin, or a number; the rows of the message inside, or what writes the value."""


class Rows(dict[str, Row]):
    """The rows of a message by JSON name, made when first used, since messages contain themselves."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.filled = name, False
        self.embedded: list[tuple[int, Rows]] = []

    def fill(self) -> None:
        self.filled = True
        for field in fields(self.name):
            if field.name:
                self[field.name] = row(field)
            else:
                self.embedded.append((field.number, rows(field.type)))


@cache
def rows(name: str) -> Rows:
    """How the fields of a message are written. Raises KeyError where there is no message of that name."""
    fields(name)
    return Rows(name)


@cache
def encoder(name: str) -> Encoder:
    """What makes a message of a JSON value. Raises KeyError where there is no message of that name."""
    if name in SPECIAL:
        return SPECIAL[name].encode
    if is_list(name):
        number = fields(name)[0].number
        return lambda values: b"".join(message(number, value.encode()) for value in values)
    table = rows(name)
    return lambda obj: bytes(write(obj, table))


def write(obj: Object, table: Rows) -> bytearray:
    """The message of an object. One loop over what is there: it is the hot path of protobuf answers."""
    if not table.filled:
        table.fill()
    out = bytearray()
    for name, value in obj.items():
        row = table.get(name)
        if row is None or value is None:
            continue
        how, begin, inner = row
        if how == TEXT:
            data = value.encode()
        elif how == MESSAGE:
            data = write(value, inner)
        elif how == INT:
            out += begin[0]
            if 0 <= value < SMALL:
                out.append(value)
            else:
                out += signed_varint(value)
            continue
        elif how == BOOL:
            out += begin[1] if value else begin[0]
            continue
        elif how == MESSAGES:
            for each in value:
                data = write(each, inner)
                size = len(data)
                out += begin[size] if size < SMALL else begin[0][:-1] + varint(size)
                out += data
            continue
        elif how == SPECIAL_ONE:
            data = inner(value)
        elif how == TEXTS:
            for each in value:
                data = each.encode()
                size = len(data)
                out += begin[size] if size < SMALL else begin[0][:-1] + varint(size)
                out += data
            continue
        elif how == TEXT_MAP:
            for key, each in value.items():
                data = pair(key, each)
                size = len(data)
                out += begin[size] if size < SMALL else begin[0][:-1] + varint(size)
                out += data
            continue
        else:
            inner(out, value)
            continue
        size = len(data)
        out += begin[size] if size < SMALL else begin[0][:-1] + varint(size)
        out += data
    for number, inside in table.embedded:
        out += message(number, write(obj, inside))
    return out


def pair(key: str, value: str) -> bytes:
    """An entry of a map from text to text."""
    first, second = key.encode(), value.encode()
    if len(first) < SMALL and len(second) < SMALL:
        return KEYS[len(first)] + first + VALUES[len(second)] + second
    return message(1, first) + message(2, second)


KEYS, VALUES = heads(1), heads(2)


def row(field: Field) -> Row:
    number, shape, kind = field.number, field.shape, field.type
    start = varint(tag(number, VARINT))
    match shape, kind:
        case "" | "*", "string":
            return TEXT, heads(number), None
        case "" | "*", "int":
            return INT, (start,), None
        case "" | "*", "bool":
            return BOOL, (start + b"\0", start + b"\x01"), None
        case "[]", "string":
            return TEXTS, heads(number), None
        case "{}", "string":
            return TEXT_MAP, heads(number), None
        case _, "bytes" | "int" | "bool" | "double":
            return OTHER, (), many(shape, scalar_writer(number, kind), number, kind)
        case "{}", _:
            return OTHER, (), map_writer(number, message_writer(2, encoder(kind)))
    if kind in SPECIAL or is_list(kind):
        if shape == LIST:
            return OTHER, (), many(shape, message_writer(number, encoder(kind)), number, kind)
        return SPECIAL_ONE, heads(number), encoder(kind)
    return MESSAGES if shape == LIST else MESSAGE, heads(number), rows(kind)


Writer = Callable[[bytearray, Any], None]


def many(shape: str, one: Writer, number: int, kind: str) -> Writer:
    """One writer for each value of a field."""
    if shape == MAP:
        return map_writer(number, scalar_writer(2, kind))
    if shape != LIST:
        return one

    def each(out: bytearray, values: Any) -> None:
        for value in values:
            one(out, value)
    return each


def scalar_writer(number: int, kind: str) -> Writer:
    start = varint(tag(number, {"bytes": LENGTH, "double": FIXED64}.get(kind, VARINT)))
    encode = ENCODE[kind]

    def one(out: bytearray, value: Any) -> None:
        out += start
        out += encode(value)
    return one


def base64_field(value: str) -> bytes:
    data = base64.b64decode(value)
    return varint(len(data)) + data


def double(value: float) -> bytes:
    return struct.pack("<d", value)


ENCODE: dict[str, Encoder] = {"bytes": base64_field, "double": double, "int": signed_varint, "bool": signed_varint}


def message_writer(number: int, encode: Encoder) -> Writer:
    def one(out: bytearray, value: Any) -> None:
        out += message(number, encode(value))
    return one


def map_writer(number: int, value_writer: Writer) -> Writer:
    """Entries of key 1 and value 2."""
    def entries(out: bytearray, values: Any) -> None:
        for key, value in values.items():
            entry = bytearray(message(1, key.encode()))
            if value is not None:
                value_writer(entry, value)
            out += message(number, bytes(entry))
    return entries
