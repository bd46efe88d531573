"""Lists: Kubernetes's `isSorted`, `sum`, `min`, `max`, `indexOf`, and the extensions `slice`, `flatten`, `sort`, …"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import LIST as MAKE_LIST
from timonier.api.cel.costs import MOST, TRAVERSE, Cost, Estimate, Operand, Range, exactly, literal
from timonier.api.cel.functions import Overload, function, method
from timonier.api.cel.library.operators import natural, whole
from timonier.api.cel.moments import duration
from timonier.api.cel.types import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, Type
from timonier.api.cel.values import Duration, Failure, Uint, compare, equal, size

A, T = types.variable("A"), types.variable("T")
LIST_A, LIST_T = types.list_of(A), types.list_of(T)
COMPARABLE = {"int": INT, "uint": UINT, "double": DOUBLE, "bool": BOOL, "duration": DURATION, "timestamp": TIMESTAMP,
              "string": STRING, "bytes": BYTES}
EXTENSIONS = 34
"""The minor version of Kubernetes that brought cel-go's own list functions."""


class Traverse(Cost):
    """Looking at every element, and at every letter of those that are text."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return traversal(arguments[0])

    def estimate(self, operands: list[Operand]) -> Estimate:
        length, element = operands[0].size(), operands[0].element()
        if element is None:
            return Estimate(length.by(TRAVERSE))
        cost = exactly(1)
        if element.type in (STRING, BYTES):
            cost = cost.plus(element.size().by(TRAVERSE))
        return Estimate(length.times(cost))


def traversal(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return int(len(value if isinstance(value, bytes) else value.encode(errors="replace")) * TRAVERSE)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, dict):
        return sum(traversal(key) + traversal(one) for key, one in value.items())
    return 1


@dataclass(frozen=True)
class Allocate(Cost):
    """A new list, by the size of `of`: what comes out, what goes in, or the square of what is sorted."""

    of: Callable[[tuple[Any, ...], Any], float]
    known: Callable[[list[Operand]], tuple[Range, Range]]
    """What is counted, and the size of the result."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return 1 + MAKE_LIST + int(self.of(arguments, result))

    def estimate(self, operands: list[Operand]) -> Estimate:
        counted, length = self.known(operands)
        return Estimate(counted.plus(exactly(1 + MAKE_LIST)), length)


def out(arguments: tuple[Any, ...], result: Any) -> int:
    return size(result)


def sliced_size(operands: list[Operand]) -> tuple[Range, Range]:
    known = exactly(max(literal(operands[2], operands[0].size().most) - literal(operands[1], 0), 0))
    return known, known


def range_size(operands: list[Operand]) -> tuple[Range, Range]:
    known = exactly(literal(operands[0], MOST))
    return known, known


def same_size(operands: list[Operand]) -> tuple[Range, Range]:
    return operands[0].size(), operands[0].size()


def flat_size(operands: list[Operand]) -> tuple[Range, Range]:
    length = operands[0].size()
    return length.by(literal(operands[1], MOST) if len(operands) > 1 else 1), length


def squared(index: int) -> Callable[[tuple[Any, ...], Any], float]:
    def count(arguments: tuple[Any, ...], result: Any) -> float:
        elements = arguments[index]
        factor = 2 + TRAVERSE if elements and isinstance(elements[0], (str, bytes)) else 2
        return len(elements) ** 2 * factor
    return count


def square_size(index: int, kind: Type | None = None) -> Callable[[list[Operand]], tuple[Range, Range]]:
    def known(operands: list[Operand]) -> tuple[Range, Range]:
        length = operands[index].size()
        element = kind or (operands[0].type.parameters or (types.DYN,))[0]
        counted = length.times(length).by(2 + TRAVERSE if element in (STRING, BYTES) else 2)
        return counted, Range(counted.least if kind else 0, counted.most)
    return known


def is_sorted(elements: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(elements))


def best(name: str, sign: int) -> Callable[[list[Any]], Any]:
    def choose(elements: list[Any]) -> Any:
        if not elements:
            raise Failure(f"{name} called on empty list")
        chosen = elements[0]
        for element in elements[1:]:
            if compare(element, chosen) == sign:
                chosen = element
        return chosen
    return choose


def total(zero: Any, plus: Callable[[Any, Any], Any]) -> Callable[[list[Any]], Any]:
    def add_up(elements: list[Any]) -> Any:
        result = zero
        for element in elements:
            result = plus(result, element)
        return result
    return add_up


SUMMABLE: dict[str, tuple[Type, Callable[[list[Any]], Any]]] = {
    "int": (INT, total(0, lambda one, other: whole(one + other))),
    "uint": (UINT, total(Uint(0), lambda one, other: natural(int(one) + int(other)))),
    "double": (DOUBLE, total(0.0, lambda one, other: one + other)),
    "duration": (DURATION, total(Duration(0), lambda one, other: duration(one.nanoseconds + other.nanoseconds))),
}


def index_of(elements: list[Any], wanted: Any) -> int:
    return next((index for index, element in enumerate(elements) if equal(element, wanted)), -1)


def last_index_of(elements: list[Any], wanted: Any) -> int:
    return next((index for index in range(len(elements) - 1, -1, -1) if equal(elements[index], wanted)), -1)


def sliced(elements: list[Any], start: int, end: int) -> list[Any]:
    asked = f"cannot slice({start}, {end}), "
    if start < 0 or end < 0:
        raise Failure(f"{asked}negative indexes not supported")
    if start > end:
        raise Failure(f"{asked}start index must be less than or equal to end index")
    if end > len(elements):
        raise Failure(f"{asked}list is length {len(elements)}")
    return elements[start:end]


def flattened(elements: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise Failure("level must be non-negative")
    made = []
    for element in elements:
        if isinstance(element, list) and depth:
            made += flattened(element, depth - 1)
        else:
            made.append(element)
    return made


def distinct(elements: list[Any]) -> list[Any]:
    made: list[Any] = []
    for element in elements:
        if not any(equal(element, other) for other in made):
            made.append(element)
    return made


def by_keys(elements: list[Any], keys: list[Any]) -> list[Any]:
    if len(elements) != len(keys):
        raise Failure("@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got "
                      f"{len(elements)} and {len(keys)} elements respectively")
    if any(key.__class__ is not keys[0].__class__ for key in keys):
        raise Failure("list elements must have the same type")
    def order(one: int, other: int) -> int:
        return compare(keys[one], keys[other])
    return [elements[index] for index in sorted(range(len(elements)), key=cmp_to_key(order))]


def counted_up(number: int) -> list[int]:
    if number < 0:
        raise Failure(f"lists.range: size must be non-negative, got {number}")
    if number > LONGEST_RANGE:
        raise Failure(f"lists.range: size {number} exceeds maximum allowed ({LONGEST_RANGE})")
    return list(range(number))


LONGEST_RANGE = 1_000_000
"""Longer ones are refused before they are made."""


def templated() -> list[Overload]:
    """Functions that exist once for each type whose values have an order."""
    made = []
    for name, kind in COMPARABLE.items():
        elements = types.list_of(kind)
        made += [
            method("isSorted", f"list_{name}_is_sorted_bool", [elements], BOOL, is_sorted, Traverse()),
            method("max", f"list_{name}_max_{name}", [elements], kind, best("max", 1), Traverse()),
            method("min", f"list_{name}_min_{name}", [elements], kind, best("min", -1), Traverse()),
            method("sort", f"list_{name}_sort", [elements], elements, lambda values: by_keys(values, values),
                   Allocate(squared(0), square_size(0, kind)), EXTENSIONS),
            method("@sortByAssociatedKeys", f"list_{name}_sortByAssociatedKeys", [LIST_T, elements], LIST_T, by_keys,
                   Allocate(squared(1), square_size(1, kind)), EXTENSIONS),
        ]
    return made


FUNCTIONS = [
    *templated(),
    *[method("sum", f"list_{name}_sum_{name}", [types.list_of(kind)], kind, run, Traverse())
      for name, (kind, run) in SUMMABLE.items()],
    method("indexOf", "list_a_index_of_int", [LIST_A, A], INT, index_of, Traverse()),
    method("lastIndexOf", "list_a_last_index_of_int", [LIST_A, A], INT, last_index_of, Traverse()),
    method("slice", "list_slice", [LIST_T, INT, INT], LIST_T, sliced, Allocate(out, sliced_size), EXTENSIONS),
    method("flatten", "list_flatten", [types.list_of(LIST_T)], LIST_T, flattened,
           Allocate(lambda arguments, result: len(arguments[0]), flat_size), EXTENSIONS),
    method("flatten", "list_flatten_int", [types.list_of(types.DYN), INT], types.list_of(types.DYN), flattened,
           Allocate(lambda arguments, result: len(arguments[0]) * arguments[1], flat_size), EXTENSIONS),
    method("reverse", "list_reverse", [LIST_T], LIST_T, lambda elements: elements[::-1], Allocate(out, same_size),
           EXTENSIONS),
    method("distinct", "list_distinct", [LIST_T], LIST_T, distinct, Allocate(squared(0), square_size(0)),
           EXTENSIONS),
    function("lists.range", "lists_range", [INT], types.list_of(INT), counted_up, Allocate(out, range_size),
             EXTENSIONS),
]
