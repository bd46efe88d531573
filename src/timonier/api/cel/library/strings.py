"""Strings: cel-go's extension library in the version that Kubernetes has. Places count letters, not bytes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import MOST, TRAVERSE, Cost, Estimate, Operand, Quote, Range, Scan, exactly, literal
from timonier.api.cel.functions import function, method
from timonier.api.cel.library.lists import Traverse
from timonier.api.cel.library.templates import fill
from timonier.api.cel.types import DYN, INT, STRING
from timonier.api.cel.values import Failure, size

STRINGS = types.list_of(STRING)
UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
ESCAPES = str.maketrans({"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
                         "\\": "\\\\", '"': '\\"'})
SPACE = "".join(map(chr, (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
                          0x205F, 0x3000)))
"""What Go's `strings.TrimSpace` takes away."""


@dataclass(frozen=True)
class Replace(Scan):
    """The result can be longer: the least that is replaced by the most, as often as it fits."""

    factor: int = 2

    def estimate(self, operands: list[Operand]) -> Estimate:
        text, old, new = (operand.size() for operand in operands[:3])
        most = replaced(text.most, old.least, new.most, grows=new.most > old.least)
        least = replaced(text.least, old.most, new.least, grows=old.most > new.least)
        return Estimate(text.by(2 * TRAVERSE), Range(least, most))


def replaced(text: int, old: int, new: int, *, grows: bool) -> int:
    """How long a text gets where parts `old` long become `new` long."""
    if old == 0:
        return min((min(text + 1, MOST)) * new + text, MOST)
    return min(ceil(text / old) * new, MOST) if grows else text


class Split(Scan):
    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size()
        most = literal(operands[2], length.most) if len(operands) > 2 else length.most
        return Estimate(length.by(2 * TRAVERSE), Range(0, most))


class JoinAll(Cost):
    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil(size(result) * 2 * TRAVERSE)

    def estimate(self, operands: list[Operand]) -> Estimate:
        count, element = operands[0].size(), operands[0].element()
        length = count.times(element.size()) if element else exactly(0)
        if len(operands) > 1:
            length = length.plus(operands[1].size().times(Range(max(count.least - 1, 0), max(count.most - 1, 0))))
        return Estimate(length.by(TRAVERSE), length)


def outside(index: int) -> Failure:
    return Failure(f"index out of range: {index}")


def char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise outside(index)
    return text[index:index + 1]


def index_of(text: str, part: str, offset: int = 0) -> int:
    if offset < 0:
        raise outside(offset)
    return min(offset, len(text)) if not part else text.find(part, offset)


def last_index_of(text: str, part: str, offset: int | None = None) -> int:
    if offset is None:
        return text.rfind(part)
    if offset < 0:
        raise outside(offset)
    if not part:
        return min(offset, len(text))
    return -1 if offset >= len(text) else text.rfind(part, 0, offset + len(part))


def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit)


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    return list(text) if limit < 0 or len(text) <= limit else [*text[:limit - 1], text[limit - 1:]]


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is not None and start > end:
        raise Failure(f"invalid substring range. start: {start}, end: {end}")
    for place in (start, len(text) if end is None else end):
        if not 0 <= place <= len(text):
            raise outside(place)
    return text[start:end]


def join(parts: list[Any], separator: str = "") -> str:
    if wrong := [part for part in parts if not isinstance(part, str)]:
        raise Failure(f"join: invalid input: {wrong[0]}")
    return separator.join(parts)


def quote(text: str) -> str:
    return f'"{text.translate(ESCAPES)}"'


KEEPS = Scan(keeps=True)
FUNCTIONS = [
    method("charAt", "string_char_at_int", [STRING, INT], STRING, char_at),
    method("indexOf", "string_index_of_string", [STRING, STRING], INT, index_of, Traverse()),
    method("indexOf", "string_index_of_string_int", [STRING, STRING, INT], INT, index_of, Traverse()),
    method("lastIndexOf", "string_last_index_of_string", [STRING, STRING], INT, last_index_of, Traverse()),
    method("lastIndexOf", "string_last_index_of_string_int", [STRING, STRING, INT], INT, last_index_of, Traverse()),
    method("lowerAscii", "string_lower_ascii", [STRING], STRING, lambda text: text.translate(LOWER), KEEPS),
    method("upperAscii", "string_upper_ascii", [STRING], STRING, lambda text: text.translate(UPPER), KEEPS),
    method("replace", "string_replace_string_string", [STRING, STRING, STRING], STRING, replace, Replace()),
    method("replace", "string_replace_string_string_int", [STRING, STRING, STRING, INT], STRING, replace, Replace()),
    method("split", "string_split_string", [STRING, STRING], STRINGS, split, Split(factor=2)),
    method("split", "string_split_string_int", [STRING, STRING, INT], STRINGS, split, Split(factor=2)),
    method("substring", "string_substring_int", [STRING, INT], STRING, substring, KEEPS),
    method("substring", "string_substring_int_int", [STRING, INT, INT], STRING, substring, KEEPS),
    method("trim", "string_trim", [STRING], STRING, lambda text: text.strip(SPACE), KEEPS),
    method("format", "string_format", [STRING, types.list_of(DYN)], STRING, fill, Scan(), 29),
    function("strings.quote", "strings_quote", [STRING], STRING, quote, Quote(), 29),
    method("join", "list_join", [STRINGS], STRING, join, JoinAll()),
    method("join", "list_join_string", [STRINGS, STRING], STRING, join, JoinAll()),
]
