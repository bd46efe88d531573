"""The syntax tree of an expression, and where in its text each node stands.

The checker writes what it finds out onto the nodes: `type` on each, `overloads` on calls, `declared` on names. Macros
are gone by then: `has` is a Select that only tests, and every loop is a Comprehension that still knows its macro's
name. Nothing here knows how a tree is read, checked or run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from timonier.api.cel.types import ERROR, Type

NOWHERE = -1
"""The place of a problem that has none in the text."""
ACCUMULATOR = "@result"
"""The name under which a comprehension collects; no expression can spell it."""


@dataclass(slots=True, eq=False)
class Node:
    at: int
    """The offset of the character that stands for the node: an operator, a dot, an opening bracket, a first letter."""
    type: Type = field(default=ERROR, init=False)

    def children(self) -> Iterator[Node]:
        yield from ()


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Name(Node):
    name: str
    means: Any = field(default=None, init=False)
    """The type, as a value, where that is what the name stands for."""


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.field`; with `test`, whether it is there; with `optional`, `operand.?field`."""

    operand: Node
    field: str
    test: bool = False
    optional: bool = False
    means: Any = dataclasses.field(default=None, init=False)
    """As for a name: `google.protobuf.Duration` is read as a field of a field."""
    variable: str = dataclasses.field(default="", init=False)
    """The variable that it is, where a variable has a name with a dot."""

    def children(self) -> Iterator[Node]:
        yield self.operand


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function, an operator (`_+_`) or a method. `&&` and `||` take all the terms that they stand between."""

    function: str
    target: Node | None
    arguments: list[Node]
    overloads: list[Any] = field(default_factory=list)
    """The overloads that fit the types, found by the checker."""

    def operands(self) -> list[Node]:
        return self.arguments if self.target is None else [self.target, *self.arguments]

    def children(self) -> Iterator[Node]:
        yield from self.operands()


@dataclass(slots=True, eq=False)
class ListOf(Node):
    elements: list[Node]
    optional: frozenset[int] = frozenset()

    def children(self) -> Iterator[Node]:
        yield from self.elements


@dataclass(slots=True, eq=False)
class Entry:
    """`key: value` of a map, or `field: value` of an object, where the key is the field's name."""

    at: int
    key: Any
    value: Node
    optional: bool = False


@dataclass(slots=True, eq=False)
class MapOf(Node):
    entries: list[Entry]

    def children(self) -> Iterator[Node]:
        for entry in self.entries:
            yield entry.key
            yield entry.value


@dataclass(slots=True, eq=False)
class ObjectOf(Node):
    name: str
    entries: list[Entry]

    def children(self) -> Iterator[Node]:
        for entry in self.entries:
            yield entry.value


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A loop: for each element of `range`, while `condition`, `accumulator` becomes `step`; then it is worth `result`.

    `macro` is what was written (`all`, `map`, …). `bind` is a loop that never runs: it names a value for `result`.
    """

    macro: str
    range: Node
    variable: str
    second: str
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node

    def children(self) -> Iterator[Node]:
        yield from (self.range, self.start, self.condition, self.step, self.result)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an expression, and where."""

    at: int
    message: str

    def show(self, text: str) -> str:
        """As cel-go shows it: place and message, then the line with a mark below it."""
        line, column = place(text, self.at)
        shown = f"ERROR: <input>:{line}:{column + 1 if line > 0 else 0}: {self.message}"
        if line < 1:
            return shown
        source = text.split("\n")[line - 1].replace("\t", " ")
        dots = "".join("\uff0e" if ord(letter) > 127 else "." for letter in source[:column])
        mark = "\uff3e" if source[column:column + 1] > "\x7f" else "^"
        return f"{shown}\n | {source}\n | {dots}{mark}"


def place(text: str, at: int) -> tuple[int, int]:
    """The line, from 1, and the column, from 0, of an offset."""
    if at == NOWHERE:
        return -1, 0
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1)


def show(problems: list[Problem], text: str) -> str:
    """All problems, in the order of their places."""
    return "\n".join(problem.show(text) for problem in sorted(problems, key=lambda problem: problem.at))


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in node.children():
        yield from walk(child)
