"""From a message to the object that its JSON would be: what Go leaves out of JSON for being zero is left out.

A decoder is made once a message: its rows say, by tag, how a field is read. Fields that the table does not know are
skipped; of a field that comes twice the last counts, but messages are merged and lists go on.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from timonier.api.protobuf import BadProtobuf
from timonier.api.protobuf.fields import LIST, POINTER, Field, fields, is_list
from timonier.api.protobuf.special import SPECIAL, parts, repeated, signed
from timonier.api.protobuf.wire import EOF, FIXED64, LENGTH, SMALL, VARINT, read_varint, skip, tag

Object = dict[str, Any]
Value = Callable[[bytes, int], Any]
"""Makes a value of the bytes of a field, at a depth."""
DEEPEST = 150
"""Messages within messages."""
NUMBER, NUMBERS, DOUBLE, TEXT, MESSAGE, MESSAGES, TEXTS, MAP, EMBEDDED, ONE, MANY, PACKED = range(12)
"""How a field is read; those up to DOUBLE have no length."""
Row = tuple[int, str, Any, bool]
"""How; name in JSON; what makes the value, or the rows inside; whether zero is kept."""


class Rows(dict[int, Row]):
    """The rows of a message by tag, made when first used, since messages contain themselves."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.filled = name, False

    def fill(self) -> None:
        self.filled = True
        for field in fields(self.name):
            self.update(rows_of(field))


@cache
def rows(name: str) -> Rows:
    """How the fields of a message are read. Raises KeyError where there is no message of that name."""
    fields(name)
    return Rows(name)


@cache
def decoder(name: str) -> Callable[[bytes], Any]:
    """What makes the JSON value of a message; it raises BadProtobuf. Raises KeyError for a name that no message has."""
    decode = value_of(name)

    def guarded(data: bytes) -> Any:
        try:
            return decode(data, 0)
        except BadProtobuf:
            raise
        except (IndexError, struct.error):
            raise BadProtobuf(EOF) from None
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise BadProtobuf(f"malformed message: {error}") from error
    return guarded


def read(data: bytes, at: int, end: int, table: Rows, made: Object, depth: int) -> None:
    """Read the fields between two places into an object. One loop: it is the hot path of protobuf requests."""
    if depth > DEEPEST:
        raise BadProtobuf("exceeded max depth")
    if not table.filled:
        table.fill()
    while at < end:
        key = data[at]
        at += 1
        if key >= SMALL:
            key, at = read_varint(data, at - 1)
        row = table.get(key)
        if row is None:
            at = skip_unknown(data, at, key, table)
            continue
        how, name, inner, keep = row
        if how <= DOUBLE:
            at = read_number(data, at, row, made)
            continue
        size = data[at]
        at += 1
        if size >= SMALL:
            size, at = read_varint(data, at - 1)
        stop = at + size
        if stop > end:
            raise BadProtobuf(EOF)
        if how == TEXT:
            if size or keep:
                made[name] = data[at:stop].decode()
            else:
                made.pop(name, None)
        elif how == MESSAGE:
            read(data, at, stop, inner, made.setdefault(name, {}), depth + 1)
        elif how == MESSAGES:
            found: Object = {}
            made.setdefault(name, []).append(found)
            read(data, at, stop, inner, found, depth + 1)
        elif how == MAP:
            entry, value = inner(data[at:stop], depth)
            made.setdefault(name, {})[entry] = value
        elif how == TEXTS:
            made.setdefault(name, []).append(data[at:stop].decode())
        elif how == EMBEDDED:
            read(data, at, stop, inner, made, depth + 1)
        else:
            put(made, row, data[at:stop], depth)
        at = stop
    if at > end:
        raise BadProtobuf(EOF)


def read_number(data: bytes, at: int, row: Row, made: Object) -> int:
    """A field without a length; where it ends."""
    how, name, inner, keep = row
    if how == DOUBLE:
        value, = struct.unpack_from("<d", data, at)
        at += 8
    else:
        value, at = read_varint(data, at)
        value = inner(value)
    if how == NUMBERS:
        made.setdefault(name, []).append(value)
    elif value or keep:
        made[name] = value
    else:
        made.pop(name, None)
    return at


def put(made: Object, row: Row, content: bytes, depth: int) -> None:
    """The rarer fields that have a length."""
    how, name, inner, keep = row
    if how == PACKED:
        at, numbers = 0, made.setdefault(name, [])
        while at < len(content):
            value, at = read_varint(content, at)
            numbers.append(inner(value))
        return
    value = inner(content, depth + 1)
    if how == MANY:
        made.setdefault(name, []).append(value)
    elif value is not None and (value != "" or keep):
        made[name] = value


def skip_unknown(data: bytes, at: int, key: int, table: Rows) -> int:
    """Pass over a field. Raises BadProtobuf where it is a known one in the wrong form."""
    number, wire_type = key >> 3, key & 7
    if not number:
        raise BadProtobuf(f"proto: {table.name.rpartition('.')[2]}: illegal tag 0 (wire type {wire_type})")
    known = next((field for field in fields(table.name) if field.number == number), None)
    if known:
        raise BadProtobuf(f"proto: wrong wireType = {wire_type} for field {known.name or known.type}")
    return skip(data, at, wire_type)


def rows_of(field: Field) -> dict[int, Row]:
    """The tags with which a field may come, and how it is read then. Lists of numbers come one by one or packed."""
    name, number, shape, kind = field
    long, short, keep = tag(number, LENGTH), tag(number, VARINT), shape == POINTER
    match shape, kind:
        case "{}", _:
            return {long: (MAP, name, entries(kind), keep)}
        case "[]", "string":
            return {long: (TEXTS, name, None, keep)}
        case "[]", "int" | "bool":
            return {short: (NUMBERS, name, CONVERT[kind], keep), long: (PACKED, name, CONVERT[kind], keep)}
        case _, "string":
            return {long: (TEXT, name, None, keep)}
        case _, "int" | "bool":
            return {short: (NUMBER, name, CONVERT[kind], keep)}
        case _, "double":
            return {tag(number, FIXED64): (DOUBLE, name, None, keep)}
    if kind == "bytes" or kind in SPECIAL or is_list(kind):
        return {long: (MANY if shape == LIST else ONE, name, value_of(kind), keep or kind != "bytes")}
    return {long: (EMBEDDED if not name else MESSAGES if shape == LIST else MESSAGE, name, rows(kind), keep)}


CONVERT: dict[str, Callable[[int], Any]] = {"int": signed, "bool": bool}


def value_of(kind: str) -> Value:
    """What makes one value: of text, bytes or a message."""
    if kind == "string":
        return lambda data, depth: data.decode()
    if kind == "bytes":
        return lambda data, depth: base64.b64encode(data).decode()
    if kind in SPECIAL:
        special = SPECIAL[kind].decode
        return lambda data, depth: special(data)
    if is_list(kind):
        return lambda data, depth: [text.decode() for text in repeated(data, 1)]
    table = rows(kind)

    def message(data: bytes, depth: int) -> Object:
        made: Object = {}
        read(data, 0, len(data), table, made, depth)
        return made
    return message


def entries(kind: str) -> Callable[[bytes, int], tuple[str, Any]]:
    """What makes a pair of an entry of a map: key 1 and value 2, either of which may be absent."""
    value = value_of(kind)

    def entry(data: bytes, depth: int) -> tuple[str, Any]:
        found = parts(data)
        return found.get(1, b"").decode(), value(found.get(2, b""), depth + 1)
    return entry
