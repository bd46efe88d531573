"""What operations cost, in Kubernetes's units: once as they run, once as the worst that a schema allows.

Every overload has a `Cost`, which knows both. The numbers are part of the API: they decide which rules a CRD may have
and when an evaluation is cut off (KEP-2876; "Resource use by CEL" in the Kubernetes documentation).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple, Protocol

from timonier.api.cel.syntax import Literal, Node
from timonier.api.cel.types import Type
from timonier.api.cel.values import size

MOST = 2**64 - 1
"""Where sizes and costs end: what is not known, or too much to count."""
ACCESS, LIST, MAP, OBJECT = 1, 10, 30, 40
"""To look at a name or a field; to make a list, a map, an object."""
TRAVERSE = 0.1
"""Per letter of a string that is looked through."""
PATTERN = 0.25
"""Per letter of a regular expression, as a guess at how many parts it has."""
PER_CALL = 1_000_000
"""What one evaluation may cost."""
PER_OBJECT = 10_000_000
"""What all rules or all expressions of one policy may cost for one object."""
CHECK = 350_000
"""An authorisation check: few fit into one evaluation."""


class Range(NamedTuple):
    """From the least to the most. Sums and products stop at MOST."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: Range) -> Range:
        return Range(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def by(self, factor: float) -> Range:
        return Range(scaled(self.least, factor), scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


def scaled(number: int, factor: float) -> int:
    product = float(number) * factor
    return MOST if product >= MOST else ceil(product)


def exactly(number: int) -> Range:
    return Range(number, number)


ANY_SIZE = Range(0, MOST)


class Operand(Protocol):
    """An argument, as far as it is known before anything runs."""

    type: Type
    node: Node | None

    def size(self) -> Range: ...

    def element(self) -> Operand | None:
        """Of a list; None where it is none."""


class Estimate(NamedTuple):
    cost: Range
    size: Range | None = None
    """Of the result, where it has one."""


class Cost:
    """What a call costs: `actual` when it has run, `estimate` before. `fixed` where it is always the same."""

    fixed: int | None = None

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        raise NotImplementedError

    def estimate(self, operands: list[Operand]) -> Estimate:
        raise NotImplementedError


@dataclass(frozen=True)
class Fixed(Cost):
    fixed: int = 1

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return self.fixed

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(exactly(self.fixed))


ONE = Fixed(1)


@dataclass(frozen=True)
class Scan(Cost):
    """Looking an argument through once (`factor` 1), or once more for what is made of it (2)."""

    argument: int = 0
    factor: int = 1
    keeps: bool = False
    """The result is as large as the argument."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil(size(arguments[self.argument]) * self.factor * TRAVERSE)

    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[self.argument].size()
        return Estimate(length.by(self.factor * TRAVERSE), length if self.keeps else None)


class ToBytes(Scan):
    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size()
        return Estimate(length.by(TRAVERSE), Range(length.least, min(length.most * 4, MOST)))


class FromBytes(Scan):
    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size()
        return Estimate(length.by(TRAVERSE), Range(length.least // 4, length.most))


class Quote(Scan):
    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size()
        return Estimate(length.by(TRAVERSE), Range(length.least + 2, min(length.most * 2 + 2, MOST)))


AT_ONCE = {"net.IP": 1, "net.CIDR": 1, "kubernetes.Quantity": 1, "kubernetes.Semver": 1, "kubernetes.NamedFormat": 64,
           "kubernetes.URL": 1, **{f"kubernetes.authorization.{name}": 1 for name in (
               "Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")}}
"""Types whose values are compared at one blow, with the size that counts for them."""


class Smaller(Cost):
    """Comparing: as far as the smaller of two goes."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil(min(size(arguments[0]), size(arguments[1])) * TRAVERSE)

    def estimate(self, operands: list[Operand]) -> Estimate:
        one, other = operands
        if one.type == other.type and one.type.name in AT_ONCE:
            return Estimate(Range(1, AT_ONCE[one.type.name]).by(TRAVERSE))
        smaller = min(operands[0].size().most, operands[1].size().most)
        return Estimate(Range(1 if smaller else 0, smaller).by(TRAVERSE))


class Join(Cost):
    """Two strings, or two byte sequences, into one."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil((size(arguments[0]) + size(arguments[1])) * TRAVERSE)

    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size().plus(operands[1].size())
        return Estimate(length.by(TRAVERSE), length)


class AppendList(Fixed):
    """Two lists into one: always 1, but the result has a size."""

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(exactly(1), operands[0].size().plus(operands[1].size()))


class Membership(Cost):
    """`x in list`."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return size(arguments[1])

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(operands[1].size().by(1))


class Contains(Cost):
    """A string in a string."""

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil(size(arguments[0]) * TRAVERSE) * ceil(size(arguments[1]) * TRAVERSE)

    def estimate(self, operands: list[Operand]) -> Estimate:
        return Estimate(operands[0].size().by(TRAVERSE).times(operands[1].size().by(TRAVERSE)))


@dataclass(frozen=True)
class Match(Cost):
    """A regular expression over a string. `finds` where parts of the string are the result."""

    finds: bool = False

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        return ceil((1 + size(arguments[0])) * TRAVERSE) * ceil(size(arguments[1]) * PATTERN)

    def estimate(self, operands: list[Operand]) -> Estimate:
        length = operands[0].size()
        cost = length.plus(exactly(1)).by(TRAVERSE).times(operands[1].size().by(PATTERN))
        return Estimate(cost, Range(0, length.most) if self.finds else None)


def literal(operand: Operand, otherwise: int) -> int:
    """The number that an operand is written as, where it is written as one."""
    node = operand.node
    return node.value if isinstance(node, Literal) and isinstance(node.value, int) and node.value >= 0 else otherwise
