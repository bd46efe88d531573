"""The values of the language as Python has them, and what every value can do: be compared, be equal, have a type.

int, bool, str, bytes, None, list and dict are themselves, double is float. What Python has no value for is here:
`Uint`, `Duration`, `Timestamp`, `Optional` and `TypeValue`. Libraries add classes of their own with `cel_type`; what a
class cannot do it leaves out.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, ClassVar

from timonier.api.cel import types
from timonier.api.cel.types import Type

INT_MIN, INT_MAX, UINT_MAX = -2**63, 2**63 - 1, 2**64 - 1
SECOND = 10**9
"""Nanoseconds, in which durations and timestamps count."""


class Failure(Exception):
    """An expression whose evaluation ends in an error; the message is cel-go's."""


class Exhausted(Failure):
    """An evaluation that cost more than it may. No operator hides it."""


NO_OVERLOAD = "no such overload"


class Uint(int):
    """An unsigned integer. Equal to the int and the double of the same value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanoseconds: int
    cel_type: ClassVar[Type] = types.DURATION

    def __str__(self) -> str:
        """In seconds, as many digits after the point as it takes: `3723.004s`."""
        seconds, rest = divmod(abs(self.nanoseconds), SECOND)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{'-' if self.nanoseconds < 0 else ''}{seconds}{fraction}s"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Nanoseconds since 1970. Shown in the zone in which it was written, `away` minutes from UTC; else that is
    forgotten.
    """

    nanoseconds: int
    away: int = field(default=0, compare=False)
    cel_type: ClassVar[Type] = types.TIMESTAMP

    def moment(self, offset: timedelta | None = None) -> datetime:
        """To the second; the rest is `nanoseconds % SECOND`."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.nanoseconds // SECOND)
        try:
            return moment + offset if offset else moment
        except OverflowError:
            raise Failure("timestamp overflow") from None

    def __str__(self) -> str:
        rest = self.nanoseconds % SECOND
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        moment = self.moment(timedelta(minutes=self.away))
        hours, minutes = divmod(abs(self.away), 60)
        zone = f"{'-' if self.away < 0 else '+'}{hours:02d}:{minutes:02d}" if self.away else "Z"
        return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{fraction}{zone}"


FIRST_MOMENT, LAST_MOMENT = (calendar.timegm((1, 1, 1, 0, 0, 0)) * SECOND,
                             calendar.timegm((9999, 12, 31, 23, 59, 59)) * SECOND + SECOND - 1)


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing. `NONE` is the one that is."""

    value: Any
    present: bool = True
    cel_type: ClassVar[Type] = types.optional_of(types.DYN)

    def get(self) -> Any:
        if not self.present:
            raise Failure("optional.none() dereference")
        return self.value


NONE = Optional(None, False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: what `type(x)` gives and `int` stands for."""

    name: str
    cel_type: ClassVar[Type] = types.TYPE

    def __str__(self) -> str:
        return self.name


BY_CLASS: dict[type, Type] = {
    bool: types.BOOL, int: types.INT, Uint: types.UINT, float: types.DOUBLE, str: types.STRING, bytes: types.BYTES,
    type(None): types.NULL, list: types.list_of(types.DYN), dict: types.map_of(types.DYN, types.DYN)}


def type_of(value: Any) -> Type:
    """The type of a value at run time. What is in a container does not show in its type."""
    known = BY_CLASS.get(value.__class__)
    if known is not None:
        return known
    own: Type | None = getattr(value, "cel_type", None)
    if own is not None:
        return own
    return BY_CLASS[list if isinstance(value, list) else dict]


NUMBERS = frozenset({int, float, Uint})
PLAIN = frozenset({str, int, bool, float, Uint, bytes, type(None), Duration, Timestamp})
"""Classes whose own equality is that of the language."""


def equal(one: Any, other: Any) -> bool:
    """Equality of any two values: numbers by value, everything else only with its own kind."""
    kind, another = one.__class__, other.__class__
    if kind is another and kind in PLAIN:
        return bool(one == other)
    if kind in NUMBERS:
        return another in NUMBERS and bool(one == other)
    if isinstance(one, list):
        if not isinstance(other, list):
            return False
        if kind is not list and hasattr(one, "equals"):
            return bool(one.equals(other))
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and len(one) == len(other) and all(
            key in other and equal(value, other[key]) for key, value in one.items())
    if kind is Optional and another is Optional:
        return one.present == other.present and (not one.present or equal(one.value, other.value))
    return kind is another and bool(one == other)


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1. Raises Failure where there is no order between the two."""
    kind, another = one.__class__, other.__class__
    if kind is not another and not (kind in NUMBERS and another in NUMBERS):
        raise Failure(NO_OVERLOAD)
    if (kind is float and isnan(one)) or (another is float and isnan(other)):
        raise Failure("NaN values cannot be ordered")
    if kind not in ORDERED:
        raise Failure(NO_OVERLOAD)
    return int(one > other) - int(one < other)


ORDERED = frozenset({bool, int, Uint, float, str, bytes, Duration, Timestamp})


def size(value: Any) -> int:
    """What costs count by: letters, bytes, elements or entries; 1 for everything without a size."""
    if value.__class__ in SIZED or isinstance(value, (list, dict)):
        return len(value)
    if value.__class__ is Optional and value.present:
        return size(value.value)
    return getattr(value, "cel_size", 1)


SIZED = frozenset({str, bytes, list, dict})
