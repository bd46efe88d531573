"""Types: what every part of an expression is, which overloads each call may mean, and what does not fit together.

The checker writes its findings onto the tree (see `syntax`) and reports problems in the words of cel-go's. It replaces
what the parser could not know: `a.b.c()` is a function where `a.b.c` is one, `a.b` is a type where that is its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from timonier.api.cel import types
from timonier.api.cel.environment import Environment
from timonier.api.cel.functions import Overload
from timonier.api.cel.parse import RESERVED, qualified
from timonier.api.cel.syntax import (
    Call,
    Comprehension,
    Entry,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    ObjectOf,
    Problem,
    Select,
    walk,
)
from timonier.api.cel.types import (
    BOOL,
    DYN,
    ERROR,
    INT,
    Substitutions,
    Type,
    is_object,
    more_general,
    optional_of,
    unwrapped,
)
from timonier.api.cel.values import BY_CLASS, TypeValue

MOST_PROBLEMS = 100


def check(tree: Node, environment: Environment) -> list[Problem]:
    """Find the type of every node of a tree. The tree may only be used where the answer is empty."""
    checker = Checker(environment)
    checker.check(tree)
    for node in walk(tree):
        node.type = checker.known.of(node.type, free=DYN)
    return checker.problems[:MOST_PROBLEMS]


class Checker:
    def __init__(self, environment: Environment) -> None:
        self.environment, self.known = environment, Substitutions()
        self.scopes: list[dict[str, Type]] = [{}]
        self.problems: list[Problem] = []

    def report(self, at: int, message: str) -> Type:
        self.problems.append(Problem(at, message))
        return ERROR

    def check(self, node: Node) -> Type:
        match node:
            case Literal():
                found = BY_CLASS[node.value.__class__]
            case Name():
                found = self.name(node)
            case Select():
                found = self.select(node)
            case Call():
                found = self.call(node)
            case ListOf():
                found = self.list_of(node)
            case MapOf():
                found = self.map_of(node)
            case ObjectOf():
                found = self.object_of(node)
            case Comprehension():
                found = self.comprehension(node)
            case _:
                raise TypeError(node)
        node.type = found
        return found

    # Names and fields.

    def name(self, node: Name) -> Type:
        return self.meaning(node, node.name) or self.report(
            node.at, f"undeclared reference to '{node.name}' (in container '')")

    def meaning(self, node: Name | Select, name: str) -> Type | None:
        """The type of what a name stands for: a variable of a loop, one of the environment, or a type."""
        if not name.startswith("."):
            for scope in reversed(self.scopes):
                if name in scope:
                    return scope[name]
        declared = self.environment.variables.get(name.removeprefix("."))
        if declared is not None:
            return declared.type
        named = self.environment.named_type(name)
        if named is None:
            return None
        node.means = TypeValue(named.name)
        return types.type_of(named)

    def select(self, node: Select) -> Type:
        name = "" if node.test or node.optional else qualified(node)
        if name in self.environment.variables and not self.shadowed(name):
            node.variable = name
            return self.environment.variables[name].type
        if name and not self.bound(name) and (found := self.meaning(node, name)):
            return found
        operand, optional = unwrapped(self.known.of(self.check(node.operand)))
        found = self.field(node, operand)
        if optional or node.optional:
            found = optional_of(found)
        return BOOL if node.test else found

    def bound(self, name: str) -> bool:
        """Whether a dotted name begins with a variable, so that its dots ask for fields."""
        return self.shadowed(name) or name.partition(".")[0] in self.environment.variables

    def shadowed(self, name: str) -> bool:
        """Whether it begins with a variable of a loop."""
        return any(name.partition(".")[0] in scope for scope in self.scopes)

    def field(self, node: Select, operand: Type) -> Type:
        if operand.name == "map":
            return operand.parameters[1]
        if operand.variable:
            self.known.assignable((DYN, operand))
            return DYN
        if operand.name in types.UNKNOWN:
            return DYN
        if is_object(operand):
            fields = operand.declaration.fields if operand.declaration else {}
            found = fields.get(node.field)
            if found is None:
                found = fields.get(f"__{node.field}__") if node.field in RESERVED else None
            if found is None:
                return self.report(node.at, f"undefined field '{node.field}'")
            declared: Type = found.declared.type
            return declared
        self.report(node.at, f"type '{operand}' does not support field selection")
        return DYN

    # Calls.

    def call(self, node: Call) -> Type:
        if node.target is not None:
            name = qualified(node.target)
            full = f"{name}.{node.function}" if name else ""
            if full and self.environment.overloads(full):
                node.function, node.target = full.removeprefix("."), None
        for operand in node.operands():
            self.check(operand)
        overloads = self.environment.overloads(node.function)
        if not overloads:
            return self.report(node.at, f"undeclared reference to '{node.function}' (in container '')")
        node.function = node.function.removeprefix(".")
        if node.function in ("_&&_", "_||_"):
            return self.logic(node, overloads)
        return self.resolve(node, overloads)

    def logic(self, node: Call, overloads: tuple[Overload, ...]) -> Type:
        node.overloads = list(overloads)
        fits = [self.expect(term, BOOL) for term in node.arguments]
        return BOOL if all(fits) else ERROR

    def resolve(self, node: Call, overloads: tuple[Overload, ...]) -> Type:
        operands = [operand.type for operand in node.operands()]
        result: Type | None = None
        for overload in overloads:
            if overload.member is (node.target is None) or len(overload.parameters) != len(operands):
                continue
            gives, *takes = self.known.instance((overload.result, *overload.parameters))
            if not self.known.assignable(*zip(operands, takes, strict=True)):
                continue
            node.overloads.append(overload)
            found = self.known.of(gives)
            if result is None:
                result = found
            elif result != DYN and found != result:
                result = DYN
        if result is not None:
            return result
        shown = [str(self.known.of(operand, free=DYN)) for operand in operands]
        owner = f"{shown.pop(0)}." if node.target is not None else ""
        return self.report(node.at, f"found no matching overload for '{node.function}' applied to "
                                    f"'{owner}({', '.join(shown)})'")

    def expect(self, node: Node, wanted: Type) -> bool:
        if self.known.assignable((wanted, node.type)):
            return True
        self.mismatch(node.at, wanted, node.type)
        return False

    def mismatch(self, at: int, wanted: Type, found: Type) -> None:
        self.report(at, f"expected type '{self.known.of(wanted)}' but found '{self.known.of(found)}'")

    # Literals with parts.

    def list_of(self, node: ListOf) -> Type:
        common: Type | None = None
        for index, element in enumerate(node.elements):
            kind = self.part(element, index in node.optional)
            common = self.join(common, kind)
        return types.list_of(common or self.known.fresh())

    def part(self, node: Node, optional: bool) -> Type:
        """The type of an element or of an entry's value, freed of its optional where it is written with `?`."""
        kind = self.check(node)
        if not optional:
            return kind
        inner, fits = unwrapped(self.known.of(kind))
        if not fits and inner.name not in ("dyn", "any"):
            self.mismatch(node.at, optional_of(inner), inner)
        return inner

    def join(self, common: Type | None, kind: Type) -> Type:
        """The type of parts that may differ; `validate` says where they may not."""
        if common is None:
            return kind
        return more_general(common, kind) if self.known.assignable((common, kind)) else DYN

    def map_of(self, node: MapOf) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key = self.join(key, self.check(entry.key))
            value = self.join(value, self.part(entry.value, entry.optional))
        return types.map_of(key or self.known.fresh(), value or self.known.fresh())

    def object_of(self, node: ObjectOf) -> Type:
        declared = self.environment.objects.get(node.name.removeprefix("."))
        if declared is None:
            named = self.environment.named_type(node.name)
            self.report(node.at, f"'{node.name}' is not a message type" if named else
                        f"undeclared reference to '{node.name}' (in container '')")
        for entry in node.entries:
            self.initial(entry, declared.type if declared else ERROR)
        return declared.type if declared else ERROR

    def initial(self, entry: Entry, owner: Type) -> None:
        kind = self.part(entry.value, entry.optional)
        if owner == ERROR:
            return
        field = owner.declaration.fields.get(entry.key)
        if field is None:
            self.report(entry.at, f"undefined field '{entry.key}'")
        elif not self.known.assignable((field.declared.type, kind)):
            self.report(entry.at, f"expected type of field '{entry.key}' is '{field.declared.type}' but provided type "
                                  f"is '{self.known.of(kind)}'")

    # Loops.

    @contextmanager
    def scope(self, names: dict[str, Type]) -> Iterator[None]:
        self.scopes.append(names)
        yield
        self.scopes.pop()

    def comprehension(self, node: Comprehension) -> Type:
        self.check(node.range)
        collected = self.check(node.start)
        with self.scope({node.accumulator: collected}):
            with self.scope(self.iterated(node, self.known.of(node.range.type))):
                self.check(node.condition)
                self.expect(node.condition, BOOL)
                step = self.check(node.step)
                if not self.known.assignable((collected, step)):
                    self.mismatch(node.step.at, collected, step)
            return self.known.of(self.check(node.result))

    def iterated(self, node: Comprehension, over: Type) -> dict[str, Type]:
        """The variables of a loop."""
        if over.name == "list":
            first, second = (INT, over.parameters[0]) if node.second else (over.parameters[0], DYN)
        elif over.name == "map":
            first, second = over.parameters
        elif over.name in types.UNKNOWN or over.variable:
            self.known.assignable((DYN, over))
            first, second = DYN, DYN
        else:
            self.report(node.range.at, f"expression of type '{over}' cannot be range of a comprehension "
                                       "(must be list, map, or dynamic)")
            first, second = ERROR, ERROR
        return {node.variable: first, node.second: second} if node.second else {node.variable: first}


