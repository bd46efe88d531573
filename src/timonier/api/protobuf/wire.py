"""What protobuf looks like as bytes: numbers of variable length, and the tags that begin every field.
Source: the Protocol Buffers encoding guide."""

from __future__ import annotations

from functools import cache

from timonier.api.protobuf import BadProtobuf

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types: how the bytes behind a tag are to be read."""
SMALL = 128
"""Below it, a number is one byte."""
EOF = "unexpected EOF"


def varint(value: int) -> bytes:
    """A number that is not negative."""
    parts = bytearray()
    while value >= SMALL:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def signed_varint(value: int) -> bytes:
    """A number as a two's complement of 64 bits."""
    return varint(value & (1 << 64) - 1)


def tag(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


@cache
def heads(number: int) -> tuple[bytes, ...]:
    """How a field of fewer than 128 bytes begins, by its length."""
    start = varint(tag(number, LENGTH))
    return tuple(start + bytes((size,)) for size in range(SMALL))


def head(number: int, size: int) -> bytes:
    """How a field of so many bytes begins."""
    return heads(number)[size] if size < SMALL else varint(tag(number, LENGTH)) + varint(size)


def message(number: int, content: bytes | bytearray) -> bytes:
    """A field of bytes, text or a message; it is there even where it is empty."""
    return head(number, len(content)) + content


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends. Raises BadProtobuf, and IndexError at the end of the data."""
    first = data[at]
    if first < SMALL:
        return first, at + 1
    second = data[at + 1]
    if second < SMALL:
        return first & 0x7F | second << 7, at + 2
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < SMALL:
            return value & (1 << 64) - 1, at
        shift += 7
    raise BadProtobuf("proto: integer overflow")


def skip(data: bytes, at: int, wire_type: int) -> int:
    """Where a field ends that nobody knows."""
    match wire_type:
        case 0:
            return read_varint(data, at)[1]
        case 1:
            return at + 8
        case 2:
            size, at = read_varint(data, at)
            return at + size
        case 5:
            return at + 4
    raise BadProtobuf(f"proto: illegal wireType {wire_type}")
