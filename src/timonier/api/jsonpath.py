"""JSONPath as kubectl reads it, on plain values: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.

A path is compiled to steps, each of which makes values of values. Missing keys give nothing. Loops (`range`) and text
between paths are kubectl's own business.
Source: Kubernetes documentation, "JSONPath Support".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

Values = list[Any]
Step = Callable[[Values], Values]

FIELD = re.compile(r"(?:\\.|[^\s.,\[\]$@{}\\])+", re.DOTALL)
QUOTED = re.compile(r"""'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
NUMBER = re.compile(r"[+-]?[\d.]+")
COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, ">": operator.gt, "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge}


class BadPath(ValueError):
    """A text that is no JSONPath."""


class NotFound(Exception):
    """A path that does not fit the value: an index out of bounds, a filter on what is no list."""


def compiled(path: str) -> Callable[[Any], Values]:
    """What finds the values at a path, without braces. Raises BadPath; what it makes raises NotFound."""
    steps = list(parse(path))

    def find(value: Any) -> Values:
        found = [value]
        for step in steps:
            found = step(found)
        return found
    return find


def parse(text: str) -> Iterator[Step]:
    """The steps of a path."""
    at = 0
    while at < len(text):
        if text[at] in " \t$@":
            at += 1
        elif text.startswith("[?(", at):
            end = closing(text, at + 3)
            yield filtering(text[at + 3:end])
            at = end + 2
        elif text.startswith("..", at):
            yield recursive
            at += 2
            if (found := FIELD.match(text, at)) is not None:
                yield named(found[0])
                at = found.end()
        elif text[at] == ".":
            found = FIELD.match(text, at + 1)
            if found is not None:
                yield named(found[0])
            at = found.end() if found is not None else at + 1
        elif text[at] == "[":
            end = text.find("]", at)
            if end < 0:
                raise BadPath("unterminated array")
            yield brackets(text[at + 1:end])
            at = end + 1
        elif (found := QUOTED.match(text, at)) is not None:
            yield constant(unquoted(found))
            at = found.end()
        elif (found := NUMBER.match(text, at)) is not None:
            yield constant(number(found[0]))
            at = found.end()
        elif (found := FIELD.match(text, at)) is not None and found[0] in ("true", "false"):
            yield constant(found[0] == "true")
            at = found.end()
        else:
            raise BadPath(f"unrecognized character in action: {text[at]!r}")


def closing(text: str, at: int) -> int:
    """Where the parenthesis that ends a filter stands, quoted ones aside."""
    while at < len(text) and text[at] != ")":
        found = QUOTED.match(text, at)
        at = found.end() if found is not None else at + 1
    if at >= len(text):
        raise BadPath("unterminated filter")
    if not text.startswith(")]", at):
        raise BadPath("unclosed array expect ]")
    return at


def unquoted(found: re.Match[str]) -> str:
    text = found[1] if found[1] is not None else found[2]
    return re.sub(r"\\(.)", r"\1", text)


def number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise BadPath(f"cannot parse number {text}") from None


def constant(value: Any) -> Step:
    return lambda values: [value] * len(values) or [value]


def named(name: str) -> Step:
    if name == "*":
        return wildcard
    key = re.sub(r"\\(.)", r"\1", name)
    return lambda values: [value[key] for value in values if isinstance(value, dict) and key in value]


def wildcard(values: Values) -> Values:
    return [child for value in values for child in within(value)]


def within(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def recursive(values: Values) -> Values:
    """Every value that has others in it, however deep."""
    found: Values = []
    for value in values:
        if inner := within(value):
            found += [value, *recursive(inner)]
    return found


def brackets(text: str) -> Step:
    """An index, a slice, a quoted key, or several of them."""
    if "," in text:
        choices = [list(parse(f"[{part.strip()}]")) for part in text.split(",")]
        return lambda values: [found for steps in choices for found in through(steps, values)]
    if (key := re.fullmatch(r"'([^']*)'", text)) is not None:
        steps = list(parse(f".{key[1]}"))
        return lambda values: through(steps, values)
    found = SLICE.fullmatch(":" if text == "*" else text)
    if found is None or not text:
        raise BadPath(f"invalid array index {text}")
    first, *rest = (part if part is None else part.removeprefix(":") for part in found.groups())
    bounds = [int(part) if part else None for part in (first, *rest)]
    if bounds[2] is not None and bounds[2] <= 0:
        raise BadPath("step must be > 0")
    return slicing(bounds[0] or 0, bounds[1], bounds[2] or 1, single=found[2] is None)


def slicing(start: int, end: int | None, step: int, *, single: bool) -> Step:
    def each(values: Values) -> Values:
        found: Values = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise NotFound(f"{type(value).__name__} is not array or slice")
            size = len(value)
            low = start + size if start < 0 else start
            high = low + 1 if single else size if end is None else end + size if end < 0 else end
            if low != high and not (0 <= low < size and 0 <= high <= size and low <= high):
                raise NotFound(f"array index out of bounds: index {low}, length {size}")
            found += value[low:high:step]
        return found
    return each


def through(steps: list[Step], values: Values) -> Values:
    for step in steps:
        values = step(values)
    return values


def filtering(text: str) -> Step:
    """The elements of lists that have something, or of which something holds."""
    found = COMPARISON.fullmatch(text)
    left = list(parse(found[1] if found else text))
    if found is None:
        return lambda values: [one for one in elements(values) if through(left, [one])]
    right, sign = list(parse(found[3])), found[2]
    if sign not in OPERATORS:
        raise BadPath(f"unrecognized filter operator {sign}")

    def holds(element: Any) -> bool:
        ours, theirs = through(left, [element]), through(right, [element])
        if len(ours) > 1 or len(theirs) > 1:
            raise NotFound("can only compare one element at a time")
        if not ours or not theirs:
            return False
        if isinstance(ours[0], bool) is not isinstance(theirs[0], bool):
            return False
        try:
            return OPERATORS[sign](ours[0], theirs[0])
        except TypeError:
            raise NotFound("incompatible types for comparison") from None
    return lambda values: [one for one in elements(values) if holds(one)]


def elements(values: Values) -> Iterator[Any]:
    for value in values:
        if not isinstance(value, list):
            raise NotFound(f"{value} is not array or slice and cannot be filtered")
        yield from value
