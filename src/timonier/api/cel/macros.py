"""What the parser makes of `has` and of calls that introduce a variable: loops, and the optional macros.

A macro's expansion is part of the language: what an expression costs counts the steps of the loop it becomes. A row
says from which Kubernetes version on a macro is known; where none fits, a call is just a call.
"""

from __future__ import annotations

from collections.abc import Callable

from timonier.api.cel.syntax import (
    ACCUMULATOR,
    Call,
    Comprehension,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Problem,
    Select,
)

UNUSED = "#unused"
SORTED, TARGET = "@sorted", "@target"
"""Names that macros give to what they are called on."""


class BadMacro(Exception):
    """A macro whose arguments are not what it needs."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(at, message)


Expand = Callable[[int, Node | None, list[Node]], Node | None]
"""Takes place, target and arguments; None where it is an ordinary call after all."""


def has(at: int, target: Node | None, arguments: list[Node]) -> Node:
    operand = arguments[0]
    if isinstance(operand, Select) and not operand.optional and not operand.test:
        return Select(at, operand.operand, operand.field, test=True)
    raise BadMacro(operand.at, "invalid argument to has() macro")


def quantifier(macro: str, two: bool) -> Expand:
    """`all`, `exists` and `exists_one`, with one variable or two."""
    def expand(at: int, target: Node | None, arguments: list[Node]) -> Node:
        names = variables(arguments, two, "argument must be a simple name")
        predicate, collected = arguments[-1], Name(at, ACCUMULATOR)
        condition: Node = collected
        if macro == "all":
            start = Literal(at, True)
            step: Node = Call(at, "_&&_", None, [collected, predicate])
        elif macro == "exists":
            start, condition = Literal(at, False), Call(at, "!_", None, [collected])
            step = Call(at, "_||_", None, [collected, predicate])
        else:
            more = Call(at, "_+_", None, [collected, Literal(at, 1)])
            step = Call(at, "_?_:_", None, [predicate, more, Name(at, ACCUMULATOR)])
            once = Call(at, "_==_", None, [Name(at, ACCUMULATOR), Literal(at, 1)])
            return loop(at, "exists_one", target, names, Literal(at, 0), Literal(at, True), step, once)
        going = Call(at, "@not_strictly_false", None, [condition])
        return loop(at, macro, target, names, start, going, step, Name(at, ACCUMULATOR))
    return expand


def transform(macro: str, two: bool) -> Expand:
    """`map`, `filter` and `transformList`: a list, of all elements or of those that pass."""
    def expand(at: int, target: Node | None, arguments: list[Node]) -> Node:
        names = variables(arguments, two, "argument must be a simple name" if two else
                          "argument is not an identifier")
        *conditions, value = arguments[2 if two else 1:]
        if macro == "filter":
            conditions, value = [value], arguments[0]
        step: Node = Call(at, "_+_", None, [Name(at, ACCUMULATOR), ListOf(at, [value])])
        if conditions:
            step = Call(at, "_?_:_", None, [conditions[0], step, Name(at, ACCUMULATOR)])
        return loop(at, "map", target, names, ListOf(at, []), Literal(at, True), step, Name(at, ACCUMULATOR))
    return expand


def transform_map(entry: bool) -> Expand:
    """`transformMap` keeps the keys; `transformMapEntry` makes an entry, key included, of each."""
    def expand(at: int, target: Node | None, arguments: list[Node]) -> Node:
        names = variables(arguments, True, "argument must be a simple name")
        *conditions, value = arguments[2:]
        added = [Name(at, ACCUMULATOR), value] if entry else [Name(at, ACCUMULATOR), Name(at, names[0]), value]
        step: Node = Call(at, "cel.@mapInsert", None, added)
        if conditions:
            step = Call(at, "_?_:_", None, [conditions[0], step, Name(at, ACCUMULATOR)])
        return loop(at, "map", target, names, MapOf(at, []), Literal(at, True), step, Name(at, ACCUMULATOR))
    return expand


def opt_map(flat: bool) -> Expand:
    """`optMap` and `optFlatMap`: something made of an optional's value, if it has one."""
    def expand(at: int, target: Node | None, arguments: list[Node]) -> Node:
        assert target is not None
        name = arguments[0]
        if not isinstance(name, Name):
            raise BadMacro(name.at, f"opt{'Flat' if flat else ''}Map() variable name must be a simple identifier")
        value = Call(at, "value", Name(at, TARGET), [])
        made: Node = bind(at, name.name, value, arguments[1])
        if not flat:
            made = Call(at, "optional.of", None, [made])
        present = Call(at, "hasValue", Name(at, TARGET), [])
        chosen = Call(at, "_?_:_", None, [present, made, Call(at, "optional.none", None, [])])
        return bind(at, TARGET, target, chosen)
    return expand


def sort_by(at: int, target: Node | None, arguments: list[Node]) -> Node:
    assert target is not None
    keys = transform("map", False)(at, Name(at, SORTED), arguments)
    assert keys is not None
    return bind(at, SORTED, target, Call(at, "@sortByAssociatedKeys", Name(at, SORTED), [keys]))


def bind(at: int, name: str, value: Node, result: Node) -> Comprehension:
    """`result`, in which `name` is `value`: a loop over nothing, as cel-go writes it."""
    never, kept = Literal(at, False), Name(at, name)
    return Comprehension(at, "bind", ListOf(at, []), UNUSED, "", name, value, never, kept, result)


def loop(at: int, macro: str, target: Node | None, names: list[str], start: Node, condition: Node, step: Node,
         result: Node) -> Comprehension:
    assert target is not None
    second = names[1] if len(names) > 1 else ""
    return Comprehension(at, macro, target, names[0], second, ACCUMULATOR, start, condition, step, result)


def variables(arguments: list[Node], two: bool, wrong: str) -> list[str]:
    found: list[str] = []
    for argument in arguments[:2 if two else 1]:
        if not isinstance(argument, Name) or argument.name.startswith("."):
            raise BadMacro(argument.at, wrong)
        if argument.name in (ACCUMULATOR, "__result__"):
            raise BadMacro(argument.at, "iteration variable overwrites accumulator variable")
        if argument.name in found:
            raise BadMacro(argument.at, f"duplicate variable name: {argument.name}")
        found.append(argument.name)
    return found


MACROS: dict[tuple[str, int, bool], tuple[int, Expand]] = {
    ("has", 1, False): (0, has),
    **{(name, 2, True): (0, quantifier(name, False)) for name in ("all", "exists", "exists_one", "existsOne")},
    ("map", 2, True): (0, transform("map", False)),
    ("map", 3, True): (0, transform("map", False)),
    ("filter", 2, True): (0, transform("filter", False)),
    ("optMap", 2, True): (28, opt_map(False)),
    ("optFlatMap", 2, True): (28, opt_map(True)),
    **{(name, 3, True): (32, quantifier(name, True)) for name in ("all", "exists", "existsOne", "exists_one")},
    **{("transformList", count, True): (32, transform("transformList", True)) for count in (3, 4)},
    **{("transformMap", count, True): (32, transform_map(False)) for count in (3, 4)},
    **{("transformMapEntry", count, True): (32, transform_map(True)) for count in (3, 4)},
    ("sortBy", 2, True): (34, sort_by),
}
"""By name, number of arguments, and whether it is written as a method: since which minor version of Kubernetes, and
what it becomes.
"""


