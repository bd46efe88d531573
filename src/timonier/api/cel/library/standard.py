"""The standard functions: sizes, conversions, the search in strings (CEL specification, "Standard Definitions")."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import ONE, Contains, Cost, FromBytes, Match, Scan, ToBytes
from timonier.api.cel.functions import Overload, function, method
from timonier.api.cel.moments import parse_duration, parse_timestamp, timestamp
from timonier.api.cel.types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, TYPE, UINT, Type
from timonier.api.cel.values import INT_MAX, INT_MIN, SECOND, UINT_MAX, Failure, TypeValue, Uint, type_of
from timonier.api.patterns import BadPattern, found

A, B = types.variable("A"), types.variable("B")
LIST_A, MAP_AB = types.list_of(A), types.map_of(A, B)
TYPES = [BOOL, INT, UINT, DOUBLE, STRING, BYTES, DURATION, TIMESTAMP, NULL, TYPE, DYN, types.list_of(DYN),
         types.map_of(DYN, DYN)]
TRUTHS = {"1": True, "t": True, "true": True, "TRUE": True, "True": True,
          "0": False, "f": False, "false": False, "FALSE": False, "False": False}
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
LONGEST = 1000
"""Of numbers as text; more digits would be zeros."""
DECIMAL = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP][+-]?\d+"
                     r"|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII)


def truth(text: str) -> bool:
    if text in TRUTHS:
        return TRUTHS[text]
    raise wrong("string", "bool")


def wrong(source: str, target: str) -> Failure:
    return Failure(f"type conversion error from '{source}' to '{target}'")


def int_of_double(number: float) -> int:
    if not isfinite(number) or not INT_MIN < number < INT_MAX:
        raise Failure("integer overflow")
    return int(number)


def int_of_uint(value: int) -> int:
    if value > INT_MAX:
        raise Failure("integer overflow")
    return int(value)


def uint_of_int(value: int) -> Uint:
    if value < 0:
        raise Failure("unsigned integer overflow")
    return Uint(value)


def uint_of_double(number: float) -> Uint:
    if not isfinite(number) or not 0 <= number < UINT_MAX:
        raise Failure("unsigned integer overflow")
    return Uint(int(number))


def int_of_text(text: str) -> int:
    if len(text) > LONGEST or not WHOLE.fullmatch(text) or not INT_MIN <= int(text) <= INT_MAX:
        raise wrong("string", "int")
    return int(text)


def uint_of_text(text: str) -> Uint:
    if len(text) > LONGEST or not text.isascii() or not text.isdigit() or int(text) > UINT_MAX:
        raise wrong("string", "uint")
    return Uint(int(text))


def double_of_text(text: str) -> float:
    if not DECIMAL.fullmatch(text):
        raise wrong("string", "double")
    number = float.fromhex(text) if "x" in text.lower() else float(text)
    if not isfinite(number) and text.strip("+-")[:1].isdigit():
        raise wrong("string", "double")
    return number


def text_of_double(number: float) -> str:
    """The shortest text that reads back the same, with an exponent below -4 and from 6 on, as Go's `%g` writes it."""
    if not isfinite(number):
        return "NaN" if number != number else "+Inf" if number > 0 else "-Inf"
    if number == 0:
        return repr(number).removesuffix(".0")
    exact = Decimal(repr(number)).normalize()
    exponent = exact.adjusted()
    if -4 <= exponent < 6:
        return f"{exact:f}"
    digits = "".join(map(str, exact.as_tuple().digits))
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{'-' if number < 0 else ''}{digits[0]}{fraction}e{exponent:+03d}"


def text_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Failure("invalid UTF-8 in bytes, cannot convert to string") from None


def moment_of(parse: Callable[[str], Any], target: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise Failure(str(error) if target == "timestamp" else f"invalid duration: {text}") from None
    return convert


def convert(target: Type, name: str, source: Type, run: Callable[[Any], Any], identity: str,
            cost: Cost = ONE) -> Overload:
    return function(name, identity, [source], target, run, cost)


def matches(text: str, regex: str) -> bool:
    try:
        return found(regex, text)
    except BadPattern as error:
        raise Failure(str(error)) from None


def same(value: Any) -> Any:
    return value


def sizes() -> list[Overload]:
    made = []
    for kind, name in ((BYTES, "bytes"), (LIST_A, "list"), (MAP_AB, "map"), (STRING, "string")):
        made += [function("size", f"size_{name}", [kind], INT, len), method("size", f"{name}_size", [kind], INT, len)]
    return made


FUNCTIONS = [
    *sizes(),
    function("type", "type", [A], types.type_of(A), lambda value: TypeValue(type_of(value).name)),
    function("dyn", "to_dyn", [A], DYN, same),
    convert(BOOL, "bool", BOOL, same, "bool_to_bool"),
    convert(BOOL, "bool", STRING, truth, "string_to_bool"),
    convert(BYTES, "bytes", BYTES, same, "bytes_to_bytes"),
    convert(BYTES, "bytes", STRING, str.encode, "string_to_bytes", ToBytes()),
    convert(DOUBLE, "double", DOUBLE, same, "double_to_double"),
    convert(DOUBLE, "double", INT, float, "int64_to_double"),
    convert(DOUBLE, "double", STRING, double_of_text, "string_to_double"),
    convert(DOUBLE, "double", UINT, float, "uint64_to_double"),
    convert(DURATION, "duration", DURATION, same, "duration_to_duration"),
    convert(DURATION, "duration", STRING, moment_of(parse_duration, "duration"), "string_to_duration"),
    convert(INT, "int", INT, same, "int64_to_int64"),
    convert(INT, "int", DOUBLE, int_of_double, "double_to_int64"),
    convert(INT, "int", DURATION, lambda value: value.nanoseconds, "duration_to_int64"),
    convert(INT, "int", STRING, int_of_text, "string_to_int64"),
    convert(INT, "int", TIMESTAMP, lambda value: value.nanoseconds // SECOND, "timestamp_to_int64"),
    convert(INT, "int", UINT, int_of_uint, "uint64_to_int64"),
    convert(STRING, "string", STRING, same, "string_to_string"),
    convert(STRING, "string", BOOL, lambda value: "true" if value else "false", "bool_to_string"),
    convert(STRING, "string", BYTES, text_of_bytes, "bytes_to_string", FromBytes()),
    convert(STRING, "string", DOUBLE, text_of_double, "double_to_string"),
    convert(STRING, "string", DURATION, str, "duration_to_string"),
    convert(STRING, "string", INT, str, "int64_to_string"),
    convert(STRING, "string", TIMESTAMP, str, "timestamp_to_string"),
    convert(STRING, "string", UINT, lambda value: str(int(value)), "uint64_to_string"),
    convert(TIMESTAMP, "timestamp", TIMESTAMP, same, "timestamp_to_timestamp"),
    convert(TIMESTAMP, "timestamp", INT, lambda seconds: timestamp(seconds * SECOND), "int64_to_timestamp"),
    convert(TIMESTAMP, "timestamp", STRING, moment_of(parse_timestamp, "timestamp"), "string_to_timestamp"),
    convert(UINT, "uint", UINT, same, "uint64_to_uint64"),
    convert(UINT, "uint", DOUBLE, uint_of_double, "double_to_uint64"),
    convert(UINT, "uint", INT, uint_of_int, "int64_to_uint64"),
    convert(UINT, "uint", STRING, uint_of_text, "string_to_uint64"),
    method("contains", "contains_string", [STRING, STRING], BOOL, lambda text, part: part in text, Contains()),
    method("endsWith", "ends_with_string", [STRING, STRING], BOOL, str.endswith, Scan(1)),
    method("startsWith", "starts_with_string", [STRING, STRING], BOOL, str.startswith, Scan(1)),
    function("matches", "matches", [STRING, STRING], BOOL, matches, Match()),
    method("matches", "matches_string", [STRING, STRING], BOOL, matches, Match()),
]
