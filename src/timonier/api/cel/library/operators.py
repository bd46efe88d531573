"""Operators on numbers, text, moments and containers. `&&`, `||`, `?:`, `==` and indexing are the evaluator's own."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, ge, gt, le, lt
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import ONE, AppendList, Cost, Join, Membership, Smaller
from timonier.api.cel.functions import Overload, function
from timonier.api.cel.moments import duration, timestamp
from timonier.api.cel.types import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, Type
from timonier.api.cel.values import INT_MAX, INT_MIN, UINT_MAX, Duration, Failure, Timestamp, Uint, compare, equal

A, B = types.variable("A"), types.variable("B")
LIST_A, MAP_AB = types.list_of(A), types.map_of(A, B)


def whole(number: int) -> int:
    if INT_MIN <= number <= INT_MAX:
        return number
    raise Failure("integer overflow")


def natural(number: int) -> Uint:
    if 0 <= number <= UINT_MAX:
        return Uint(number)
    raise Failure("unsigned integer overflow")


def quotient(one: int, other: int) -> int:
    """Towards zero, as the language divides."""
    if other == 0:
        raise Failure("division by zero")
    result = abs(int(one)) // abs(int(other))
    return -result if (one < 0) != (other < 0) else result


def remainder(one: int, other: int) -> int:
    """With the sign of the dividend."""
    if other == 0:
        raise Failure("modulus by zero")
    if one == INT_MIN and other == -1:
        raise Failure("integer overflow")
    result = abs(int(one)) % abs(int(other))
    return -result if one < 0 else result


def divided(one: float, other: float) -> float:
    if other:
        return one / other
    if one == 0 or one != one:
        return float("nan")
    return float("inf") if (one > 0) == (str(other)[0] != "-") else float("-inf")


def joined(one: list[Any], other: list[Any]) -> list[Any]:
    plus = getattr(one, "plus", None)
    return [*one, *other] if plus is None else plus(other)


def moved(one: Timestamp, other: Duration) -> Timestamp:
    return timestamp(one.nanoseconds + other.nanoseconds)


def contained(one: Any, other: list[Any]) -> bool:
    return any(equal(one, element) for element in other)


def key_of(one: Any, other: dict[Any, Any]) -> bool:
    try:
        return one in other
    except TypeError:
        return False


def binary(sign: str, identity: str, one: Type, other: Type, result: Type, run: Callable[..., Any],
           cost: Cost = ONE) -> Overload:
    return function(f"_{sign}_", identity, (one, other), result, run, cost)


ORDER: dict[str, tuple[str, Callable[[Any, Any], bool], Callable[[int], bool]]] = {
    "<": ("less", lt, lambda order: order < 0), "<=": ("less_equals", le, lambda order: order <= 0),
    ">": ("greater", gt, lambda order: order > 0), ">=": ("greater_equals", ge, lambda order: order >= 0)}
SAME = {"bool": BOOL, "int64": INT, "uint64": UINT, "string": STRING, "bytes": BYTES, "timestamp": TIMESTAMP,
        "duration": DURATION}
"""Types whose order is Python's; doubles are not among them, since NaN has no place."""
MIXED = {"int64_double": (INT, DOUBLE), "int64_uint64": (INT, UINT), "uint64_double": (UINT, DOUBLE),
         "uint64_int64": (UINT, INT), "double": (DOUBLE, DOUBLE), "double_int64": (DOUBLE, INT),
         "double_uint64": (DOUBLE, UINT)}


def orders() -> list[Overload]:
    made = []
    for sign, (name, run, test) in ORDER.items():
        for kind, same in SAME.items():
            made.append(binary(sign, f"{name}_{kind}", same, same, BOOL, run,
                               Smaller() if same in (STRING, BYTES) else ONE))
        for kind, (one, other) in MIXED.items():
            def ordered(left: Any, right: Any, test: Callable[[int], bool] = test) -> bool:
                return test(compare(left, right))
            made.append(binary(sign, f"{name}_{kind}", one, other, BOOL, ordered))
    return made


FUNCTIONS = [
    binary("+", "add_bytes", BYTES, BYTES, BYTES, add, Join()),
    binary("+", "add_double", DOUBLE, DOUBLE, DOUBLE, add),
    binary("+", "add_duration_duration", DURATION, DURATION, DURATION,
           lambda one, other: duration(one.nanoseconds + other.nanoseconds)),
    binary("+", "add_duration_timestamp", DURATION, TIMESTAMP, TIMESTAMP, lambda one, other: moved(other, one)),
    binary("+", "add_timestamp_duration", TIMESTAMP, DURATION, TIMESTAMP, moved),
    binary("+", "add_int64", INT, INT, INT, lambda one, other: whole(one + other)),
    binary("+", "add_list", LIST_A, LIST_A, LIST_A, joined, AppendList()),
    binary("+", "add_string", STRING, STRING, STRING, add, Join()),
    binary("+", "add_uint64", UINT, UINT, UINT, lambda one, other: natural(int(one) + int(other))),
    binary("/", "divide_double", DOUBLE, DOUBLE, DOUBLE, divided),
    binary("/", "divide_int64", INT, INT, INT, lambda one, other: whole(quotient(one, other))),
    binary("/", "divide_uint64", UINT, UINT, UINT, lambda one, other: Uint(quotient(one, other))),
    binary("%", "modulo_int64", INT, INT, INT, remainder),
    binary("%", "modulo_uint64", UINT, UINT, UINT, lambda one, other: Uint(remainder(one, other))),
    binary("*", "multiply_double", DOUBLE, DOUBLE, DOUBLE, lambda one, other: one * other),
    binary("*", "multiply_int64", INT, INT, INT, lambda one, other: whole(one * other)),
    binary("*", "multiply_uint64", UINT, UINT, UINT, lambda one, other: natural(int(one) * int(other))),
    binary("-", "subtract_double", DOUBLE, DOUBLE, DOUBLE, lambda one, other: one - other),
    binary("-", "subtract_duration_duration", DURATION, DURATION, DURATION,
           lambda one, other: duration(one.nanoseconds - other.nanoseconds)),
    binary("-", "subtract_int64", INT, INT, INT, lambda one, other: whole(one - other)),
    binary("-", "subtract_timestamp_duration", TIMESTAMP, DURATION, TIMESTAMP,
           lambda one, other: timestamp(one.nanoseconds - other.nanoseconds)),
    binary("-", "subtract_timestamp_timestamp", TIMESTAMP, TIMESTAMP, DURATION,
           lambda one, other: duration(one.nanoseconds - other.nanoseconds)),
    binary("-", "subtract_uint64", UINT, UINT, UINT, lambda one, other: natural(int(one) - int(other))),
    function("-_", "negate_double", [DOUBLE], DOUBLE, lambda one: -one),
    function("-_", "negate_int64", [INT], INT, lambda one: whole(-one)),
    function("!_", "logical_not", [BOOL], BOOL, lambda one: not one),
    function("@not_strictly_false", "not_strictly_false", [BOOL], BOOL, lambda one: one is not False),
    function("_==_", "equals", [A, A], BOOL, equal, Smaller()),
    function("_!=_", "not_equals", [A, A], BOOL, lambda one, other: not equal(one, other), Smaller()),
    *orders(),
    function("@in", "in_list", [A, LIST_A], BOOL, contained, Membership()),
    function("@in", "in_map", [A, MAP_AB], BOOL, key_of),
    function("_&&_", "logical_and", [BOOL, BOOL], BOOL, lambda one, other: one and other),
    function("_||_", "logical_or", [BOOL, BOOL], BOOL, lambda one, other: one or other),
    function("_?_:_", "conditional", [BOOL, A, A], A, lambda test, one, other: one if test else other),
    function("cel.@mapInsert", "@mapInsert_map_key_value", [MAP_AB, A, B], MAP_AB,
             lambda one, key, value: {**one, key: value}, since=32),
    function("cel.@mapInsert", "@mapInsert_map_map", [MAP_AB, MAP_AB], MAP_AB,
             lambda one, other: {**one, **other}, since=32),
    function("_[_]", "index_list", [LIST_A, INT], A, lambda one, index: one[index]),
    function("_[_]", "index_map", [MAP_AB, A], B, lambda one, index: one[index]),
]
