"""`'%s has %d'.format([…])`: texts with places for values, written as cel-go writes them.

A place is `%` and a letter; `%.3f` says how many digits. Numbers written with `%f` and `%e` look as they do in English:
digits in groups of three, powers of ten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

from timonier.api.cel.library.standard import text_of_bytes, text_of_double
from timonier.api.cel.values import Duration, Failure, Timestamp, TypeValue, Uint, type_of

CLAUSE = re.compile(r"%(%|(?:\.(\d*))?(.?))", re.DOTALL)
SUPERSCRIPT = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
DIGITS = 6
"""After the point, where nothing else is said."""
MOST_DIGITS = 1000
"""More than this is not meant, and would take memory without end. Kubernetes itself has no bound as yet."""


class WrongClause(Exception):
    """A value that its place cannot take."""


def fill(template: str, arguments: list[Any]) -> str:
    """Raises Failure in cel-go's words."""
    index = -1

    def replace(found: re.Match[str]) -> str:
        nonlocal index
        if found[1] == "%":
            return "%"
        index += 1
        if index >= len(arguments):
            raise Failure(f"index {index} out of range")
        if not found[3]:
            raise Failure("unexpected end of string" if found[2] is None else
                          "could not parse formatting clause: error while parsing precision: could not find end of "
                          "precision specifier")
        clause = CLAUSES.get(found[3])
        if clause is None:
            raise Failure(f'could not parse formatting clause: unrecognized formatting clause "{found[3]}"')
        digits = DIGITS if found[2] is None else int(found[2][:9] or 0)
        if digits > MOST_DIGITS:
            raise Failure("could not parse formatting clause: error while parsing precision: precision "
                          f"{found[2]} exceeds maximum allowed precision {MOST_DIGITS}")
        try:
            return clause(arguments[index], digits)
        except WrongClause as error:
            raise Failure(f"error during formatting: {error}") from None
    return CLAUSE.sub(replace, template)


def is_whole(value: Any) -> bool:
    return value.__class__ in (int, Uint)


def as_text(value: Any, digits: int = DIGITS) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return text_of_double(value)
        case str():
            return value
        case bytes():
            return text_of_bytes(value)
        case Duration() | Timestamp() | TypeValue():
            return str(value)
        case list():
            return f"[{', '.join(map(inner, value))}]"
        case dict():
            return "{" + ", ".join(sorted(f"{inner(key)}:{inner(one)}" for key, one in value.items())) + "}"
    raise WrongClause("string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
                      f"durations, and timestamps, was given {type_of(value).name}")


def inner(value: Any) -> str:
    """A value inside a list or a map, so that it can be told from its neighbours."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return f"b{json.dumps(text_of_bytes(value), ensure_ascii=False)}"
        case float():
            return f"{value:.6f}" if isfinite(value) else f'"{text_of_double(value)}"'
        case TypeValue():
            return f"type({value})"
        case Timestamp():
            return f'timestamp("{value}")'
        case Duration():
            return f'duration("{value}")'
    return as_text(value)


def decimal(value: Any, digits: int) -> str:
    if not is_whole(value):
        raise WrongClause(f"decimal clause can only be used on integers, was given {type_of(value).name}")
    return str(int(value))


def number(value: Any, clause: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value in WORDS:
        return WORDS[value]
    raise WrongClause(f"{clause} clause can only be used on doubles, was given {type_of(value).name}")


def endless(value: float) -> str:
    return "NaN" if value != value else "∞" if value > 0 else "-∞"


def fixed(value: Any, digits: int) -> str:
    given = number(value, "fixed-point")
    return f"{given:,.{digits}f}" if isfinite(given) else endless(given)


def scientific(value: Any, digits: int) -> str:
    given = number(value, "scientific")
    if not isfinite(given):
        return endless(given)
    mantissa, _, exponent = f"{given:.{DIGITS}e}".partition("e")
    return f"{mantissa}\u00d710{exponent.lstrip('+').translate(SUPERSCRIPT)}"


def binary(value: Any, digits: int) -> str:
    if value.__class__ is bool:
        return "1" if value else "0"
    if not is_whole(value):
        raise WrongClause(f"only integers and bools can be formatted as binary, was given {type_of(value).name}")
    return f"{int(value):b}"


def hexadecimal(upper: bool) -> Callable[[Any, int], str]:
    def clause(value: Any, digits: int) -> str:
        if isinstance(value, (str, bytes)):
            text = (value.encode() if isinstance(value, str) else value).hex()
        elif is_whole(value):
            text = f"{int(value):x}"
        else:
            raise WrongClause("only integers, byte buffers, and strings can be formatted as hex, was given "
                              f"{type_of(value).name}")
        return text.upper() if upper else text
    return clause


def octal(value: Any, digits: int) -> str:
    if not is_whole(value):
        raise WrongClause(f"octal clause can only be used on integers, was given {type_of(value).name}")
    return f"{int(value):o}"


CLAUSES: dict[str, Callable[[Any, int], str]] = {
    "s": as_text, "d": decimal, "f": fixed, "e": scientific, "b": binary, "x": hexadecimal(False),
    "X": hexadecimal(True), "o": octal}
