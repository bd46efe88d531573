"""Lists taken as sets: `sets.contains`, `sets.equivalent`, `sets.intersects`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import Cost, Estimate, Operand, exactly
from timonier.api.cel.functions import function
from timonier.api.cel.library.operators import contained
from timonier.api.cel.types import BOOL
from timonier.api.cel.values import size

LIST = types.list_of(types.variable("T"))


@dataclass(frozen=True)
class Pairs(Cost):
    """Each element of one list beside each of the other, once or twice."""

    times: int

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return 1 + size(arguments[0]) * size(arguments[1]) * self.times

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(operands[0].size().times(operands[1].size()).by(self.times).plus(exactly(1)))


def contains(one: list[Any], other: list[Any]) -> bool:
    return all(contained(element, one) for element in other)


def equivalent(one: list[Any], other: list[Any]) -> bool:
    return contains(one, other) and contains(other, one)


def intersects(one: list[Any], other: list[Any]) -> bool:
    return any(contained(element, other) for element in one)


FUNCTIONS = [
    function("sets.contains", "list_sets_contains_list", [LIST, LIST], BOOL, contains, Pairs(1), 29),
    function("sets.equivalent", "list_sets_equivalent_list", [LIST, LIST], BOOL, equivalent, Pairs(2), 29),
    function("sets.intersects", "list_sets_intersects_list", [LIST, LIST], BOOL, intersects, Pairs(1), 29),
]
