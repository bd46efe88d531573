"""Resource quantities: `quantity('100m')`, compared, added and asked by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from timonier.api import quantity
from timonier.api.cel.costs import Scan
from timonier.api.cel.functions import function, method
from timonier.api.cel.types import BOOL, DOUBLE, INT, STRING, Type
from timonier.api.cel.values import INT_MAX, INT_MIN, Failure

QUANTITY = Type("kubernetes.Quantity")
TYPES = [QUANTITY]
SINCE = 28


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Fraction
    cel_type: ClassVar[Type] = QUANTITY
    cel_equality: ClassVar[int] = 1


def to_quantity(text: str) -> Quantity:
    try:
        return Quantity(quantity.parse(text))
    except quantity.BadQuantity as error:
        raise Failure(str(error)) from None


def is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.BadQuantity:
        return False
    return True


def is_integer(one: Quantity) -> bool:
    return one.value.denominator == 1 and INT_MIN <= one.value <= INT_MAX


def as_integer(one: Quantity) -> int:
    if not is_integer(one):
        raise Failure("cannot convert value to integer")
    return int(one.value)


def order(one: Quantity, other: Quantity) -> int:
    return int(one.value > other.value) - int(one.value < other.value)


def with_number(run: Callable[[Fraction, Any], Fraction]) -> Callable[[Quantity, Any], Quantity]:
    """Arithmetic with another quantity or with an int."""
    return lambda one, other: Quantity(run(one.value, other.value if isinstance(other, Quantity) else other))


add, subtract = with_number(lambda one, other: one + other), with_number(lambda one, other: one - other)
FUNCTIONS = [
    function("quantity", "string_to_quantity", [STRING], QUANTITY, to_quantity, Scan(), SINCE),
    function("isQuantity", "is_quantity_string", [STRING], BOOL, is_quantity, Scan(), SINCE),
    function("sign", "quantity_sign", [QUANTITY], INT, lambda one: order(one, Quantity(Fraction(0))), since=SINCE),
    method("isGreaterThan", "quantity_is_greater_than", [QUANTITY, QUANTITY], BOOL,
           lambda one, other: one.value > other.value, since=SINCE),
    method("isLessThan", "quantity_is_less_than", [QUANTITY, QUANTITY], BOOL,
           lambda one, other: one.value < other.value, since=SINCE),
    method("compareTo", "quantity_compare_to", [QUANTITY, QUANTITY], INT, order, since=SINCE),
    method("asApproximateFloat", "quantity_get_float", [QUANTITY], DOUBLE, lambda one: float(one.value), since=SINCE),
    method("asInteger", "quantity_get_int", [QUANTITY], INT, as_integer, since=SINCE),
    method("isInteger", "quantity_is_integer", [QUANTITY], BOOL, is_integer, since=SINCE),
    method("add", "quantity_add", [QUANTITY, QUANTITY], QUANTITY, add, since=SINCE),
    method("add", "quantity_add_int", [QUANTITY, INT], QUANTITY, add, since=SINCE),
    method("sub", "quantity_sub", [QUANTITY, QUANTITY], QUANTITY, subtract, since=SINCE),
    method("sub", "quantity_sub_int", [QUANTITY, INT], QUANTITY, subtract, since=SINCE),
]
