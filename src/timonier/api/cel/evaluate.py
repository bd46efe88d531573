"""A checked tree into closures (`closures`): each node becomes a function of the frame.

What is known before anything runs is settled here: where a variable lives, which overload a call means, how JSON is
read, and what a stretch of expression costs that always runs as a whole, so that the meter is moved once for all of it.
Only what depends on values is left to the closures. Loops are in `loops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, itemgetter, ne
from typing import Any, NamedTuple

from timonier.api.cel import types
from timonier.api.cel.access import at_index, has_field, index_if_there, member, optional_field
from timonier.api.cel.closures import (
    METER,
    Frame,
    Run,
    always,
    counted,
    counted_if_there,
    decided,
    dispatched,
    filled,
    follow,
    metered,
    only,
    plain,
)
from timonier.api.cel.costs import ACCESS, LIST, MAP, OBJECT
from timonier.api.cel.declarations import Declared
from timonier.api.cel.functions import Overload
from timonier.api.cel.syntax import Call, Comprehension, ListOf, Literal, MapOf, Name, Node, ObjectOf, Select
from timonier.api.cel.types import SIMPLE
from timonier.api.cel.values import NO_OVERLOAD, Failure, Optional, equal, type_of
from timonier.api.patterns import BadPattern, compiled


class Built(NamedTuple):
    """A node's closure. `declared` is there where it gives JSON that may need reading; `constant` where it never
    changes.
    """

    run: Run
    declared: Declared | None = None
    constant: bool = False


class Builder:
    """Builds the closures of one expression. `cost` adds up what the stretch being built always costs."""

    def __init__(self, variables: Mapping[str, Declared]) -> None:
        self.slots: dict[str, int] = {}
        """Variables of the environment that the expression uses, with their slots."""
        self.size = 1
        self.variables = variables
        self.scopes: list[dict[str, tuple[int, Declared | None]]] = []
        self.cost = 0

    def slot(self) -> int:
        self.size += 1
        return self.size - 1

    def block(self, node: Node, *, spared: int = 0) -> Run:
        """The closure of a node that may not run at all: it moves the meter itself."""
        outer, self.cost = self.cost, -spared
        run = self.value(node)
        cost, self.cost = self.cost, outer
        return metered(run, cost) if cost else run

    def value(self, node: Node) -> Run:
        """The closure of a node, giving a value of the language."""
        return read_first(self.build(node))

    def build(self, node: Node) -> Built:
        match node:
            case Literal(value=value):
                return Built(lambda frame: value, None, True)
            case Name():
                return self.name(node)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListOf():
                return self.list_of(node)
            case MapOf():
                return self.map_of(node)
            case ObjectOf():
                return self.object_of(node)
            case Comprehension():
                from timonier.api.cel.loops import build_loop
                return build_loop(self, node)
        raise TypeError(node)

    # Names and fields.

    def name(self, node: Name) -> Built:
        means = node.means
        if means is not None:
            return Built(lambda frame: means, None, True)
        self.cost += ACCESS
        slot, declared = self.find(node.name)
        return Built(itemgetter(slot), declared)

    def find(self, name: str) -> tuple[int, Declared | None]:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        name = name.removeprefix(".")
        if name not in self.slots:
            self.slots[name] = self.slot()
        return self.slots[name], self.variables[name]

    def select(self, node: Select) -> Built:
        means = node.means
        if means is not None:
            return Built(lambda frame: means, None, True)
        if node.variable:
            self.cost += ACCESS
            return Built(itemgetter(self.find(node.variable)[0]))
        operand = self.build(node.operand)
        if not node.test or not attribute(node.operand):
            self.cost += ACCESS if attribute(node.operand) or node.test else 2 * ACCESS
        key, declared = field_of(node, operand.declared)
        run = operand.run
        if node.test:
            return Built(lambda frame: has_field(run(frame), key))
        if node.optional or node.operand.type.name == "optional_type":
            return self.optional_select(run, key, declared)
        names = path(node)
        if len(names) > 1 and operand.declared is not None and declared is not None and not declared.nullable:
            slot, _ = self.find(names[0])
            return Built(follow(slot, self.keys(node)), declared)
        return Built(lambda frame: member(run(frame), key), declared)

    def keys(self, node: Node) -> tuple[str, ...]:
        """The names in JSON of the fields that a chain of them asks for."""
        if not isinstance(node, Select):
            return ()
        before = self.declared(node.operand)
        return (*self.keys(node.operand), field_of(node, before)[0])

    def declared(self, node: Node) -> Declared | None:
        if isinstance(node, Select):
            return field_of(node, self.declared(node.operand))[1]
        return self.find(node.name)[1] if isinstance(node, Name) else None

    def optional_select(self, run: Run, key: str, declared: Declared | None) -> Built:
        read = declared.read if declared else None
        self.cost -= ACCESS
        return Built(counted_if_there(lambda frame: optional_field(run(frame), key, read)))

    # Calls.

    def call(self, node: Call) -> Built:
        special = SPECIAL.get(node.function)
        return special(self, node) if special else Built(self.function(node))

    def function(self, node: Call) -> Run:
        runs = [self.value(operand) for operand in node.operands()]
        kinds = [operand.type for operand in node.operands()]
        overload = only(node.overloads, kinds)
        if overload is None:
            return dispatched(node.overloads, runs)
        if overload.cost.fixed is None:
            return counted(overload, runs)
        self.cost += overload.cost.fixed
        return plain(overload.run, runs)

    def logic(self, node: Call) -> Built:
        terms = [self.value(node.arguments[0]), *map(self.block, node.arguments[1:])]
        return Built(decided(terms, node.function == "_||_"))

    def conditional(self, node: Call) -> Built:
        test, yes, no = node.arguments
        run = self.value(test)
        one, other = (self.block(branch, spared=ACCESS if attribute(branch) and not is_conditional(branch) else 0)
                      for branch in (yes, no))

        def choose(frame: Frame) -> Any:
            chosen = run(frame)
            if chosen is True:
                return one(frame)
            if chosen is False:
                return other(frame)
            raise Failure(NO_OVERLOAD)
        return Built(choose)

    def equality(self, node: Call) -> Built:
        one, other = map(self.value, node.arguments)
        kinds = {operand.type for operand in node.arguments}
        same = node.function == "_==_"
        if len(kinds) == 1 and kinds <= SCALARS:
            self.cost += ACCESS
            compare = eq if same else ne
            return Built(lambda frame: compare(one(frame), other(frame)))
        overload: Overload = node.overloads[0]
        actual, alike = overload.cost.actual, eq if kinds == {types.STRING} else equal

        def equals(frame: Frame) -> bool:
            left, right = one(frame), other(frame)
            frame[METER].spend(getattr(left, "cel_equality", None) or actual((left, right), None))
            return bool(alike(left, right)) is same
        return Built(equals)

    def index(self, node: Call) -> Built:
        container, key = node.arguments
        built, at = self.build(container), self.value(key)
        self.cost += (ACCESS if attribute(container) else 2 * ACCESS) - (ACCESS if attribute(key) else 0)
        run, element = built.run, built.declared.element if built.declared else None
        read = element.read if element else None
        if node.function == "_[?_]" or container.type.name == "optional_type":
            self.cost -= ACCESS
            return Built(counted_if_there(lambda frame: index_if_there(run(frame), at(frame), read)))
        return Built(lambda frame: at_index(run(frame), at(frame)), element)

    def membership(self, node: Call) -> Built:
        one, many = node.arguments
        constant = constant_elements(many)
        if constant is None or not (one.type in SIMPLE and {type_of(element) for element in constant} <= {one.type}):
            return Built(self.function(node))
        run, known = self.value(one), frozenset(constant)
        return Built(lambda frame: run(frame) in known)

    def otherwise(self, node: Call) -> Built:
        """`or` and `orValue`: the argument is only looked at where it is needed."""
        target, argument = node.operands()
        run, other, whole = self.value(target), self.block(argument), node.function == "or"

        def choose(frame: Frame) -> Any:
            found = run(frame)
            if found.__class__ is not Optional:
                raise Failure(NO_OVERLOAD)
            if not found.present:
                return other(frame)
            return found if whole else found.value
        return Built(choose)

    def search(self, node: Call) -> Built:
        """A pattern that is written out is read now, so that a bad one never runs."""
        pattern = node.operands()[1]
        if isinstance(pattern, Literal):
            try:
                compiled(pattern.value)
            except BadPattern as error:
                raise Failure(str(error)) from None
        return Built(self.function(node))

    def conversion(self, node: Call) -> Built:
        """A conversion of a constant is done now, and costs nothing then."""
        operands = node.operands()
        if len(operands) != 1:
            return Built(self.function(node))
        before = self.cost
        built = self.build(operands[0])
        if built.constant and len(node.overloads) == 1:
            self.cost = before
            made = node.overloads[0].run(built.run([]))
            return Built(lambda frame: made, None, True)
        if node.function == "dyn":
            self.cost += ACCESS
            return Built(read_first(built))
        self.cost = before
        return Built(self.function(node))

    # Literals with parts.

    def list_of(self, node: ListOf) -> Built:
        runs, constant = self.parts(node.elements)
        if constant and not node.optional:
            made = [run([]) for run in runs]
            return Built(lambda frame: made, None, True)
        self.cost += LIST
        optional = node.optional
        if not optional:
            return Built(lambda frame: [run(frame) for run in runs])

        def build(frame: Frame) -> list[Any]:
            made = []
            for index, run in enumerate(runs):
                element = run(frame)
                if index not in optional:
                    made.append(element)
                elif element.__class__ is not Optional:
                    raise Failure(f"cannot initialize optional list element from non-optional value {element}")
                elif element.present:
                    made.append(element.value)
            return made
        return Built(build)

    def parts(self, nodes: list[Node]) -> tuple[list[Run], bool]:
        """The closures of the parts of a literal, and whether all are constant."""
        built = [self.build(node) for node in nodes]
        return [read_first(one) for one in built], all(one.constant for one in built)

    def map_of(self, node: MapOf) -> Built:
        keys, constant = self.parts([entry.key for entry in node.entries])
        values, fixed = self.parts([entry.value for entry in node.entries])
        entries = list(zip(keys, values, [entry.optional for entry in node.entries], strict=True))
        if constant and fixed and not any(entry.optional for entry in node.entries):
            made = filled(entries, [])
            return Built(lambda frame: made, None, True)
        self.cost += MAP
        return Built(lambda frame: filled(entries, frame))

    def object_of(self, node: ObjectOf) -> Built:
        values, _ = self.parts([entry.value for entry in node.entries])
        entries = [(always(entry.key), value, entry.optional)
                   for entry, value in zip(node.entries, values, strict=True)]
        self.cost += OBJECT
        make = node.type.declaration.make
        return Built(lambda frame: make(filled(entries, frame)))


SPECIAL: dict[str, Callable[[Builder, Call], Built]] = {
    "_&&_": Builder.logic, "_||_": Builder.logic, "_?_:_": Builder.conditional, "_==_": Builder.equality,
    "_!=_": Builder.equality, "_[_]": Builder.index, "_[?_]": Builder.index, "@in": Builder.membership,
    "or": Builder.otherwise, "orValue": Builder.otherwise, "find": Builder.search, "findAll": Builder.search,
    **dict.fromkeys(("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
                    Builder.conversion),
}
"""Calls that are more than a function of their arguments."""
SCALARS = SIMPLE - {types.STRING, types.BYTES}
"""Types whose values have no size to count by, and Python's equality."""


def attribute(node: Node) -> bool:
    """Whether a node is a way to a value, so that one more field costs one more step."""
    return isinstance(node, Name) or (isinstance(node, Select) and not node.test) or (
        isinstance(node, Call) and node.function in ("_[_]", "_[?_]", "_?_:_"))


def is_conditional(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "_?_:_"


def path(node: Node) -> list[str]:
    """The names of a plain chain `self.a.b`, none where it is something else."""
    if isinstance(node, Name):
        return [node.name] if node.means is None else []
    if isinstance(node, Select) and not node.optional and not node.test and (before := path(node.operand)):
        return [*before, node.field]
    return []


def field_of(node: Select, declared: Declared | None) -> tuple[str, Declared | None]:
    """What a field is called in JSON, and its declaration."""
    if declared is None:
        return node.field, None
    if declared.fields is None:
        return node.field, declared.element
    field = declared.fields.get(node.field) or declared.fields.get(f"__{node.field}__")
    return (field.name, field.declared) if field else (node.field, None)


def constant_elements(node: Node) -> list[Any] | None:
    """The elements of a list of literals."""
    if not isinstance(node, ListOf) or node.optional:
        return None
    values = [element.value for element in node.elements if isinstance(element, Literal)]
    return values if len(values) == len(node.elements) else None


def read_first(built: Built) -> Run:
    """A node's closure, giving a value of the language and no longer JSON. Null is null, whatever is declared."""
    run, read = built.run, built.declared.read if built.declared else None
    return run if read is None else lambda frame: None if (raw := run(frame)) is None else read(raw)
