"""What an expression may cost at worst, given how large its variables can get (KEP-2876, "Estimated cost limits").

Walks the tree once, adding up ranges: of costs, and of the sizes of what each part gives. How large a value reached
from a variable can get, its declaration says; what nobody knows the size of counts as endless.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from timonier.api.cel import types
from timonier.api.cel.costs import ACCESS, ANY_SIZE, LIST, MAP, OBJECT, Estimate, Operand, Range, exactly
from timonier.api.cel.declarations import STRING_KEYS, Declared
from timonier.api.cel.functions import Overload
from timonier.api.cel.syntax import Call, Comprehension, ListOf, Literal, MapOf, Name, Node, ObjectOf, Select
from timonier.api.cel.types import Type

NOTHING = exactly(0)
FIXED_SIZE = types.SIMPLE - {types.STRING, types.BYTES}


def estimate(tree: Node, root: Declared | None) -> Range:
    """The least and the most that a checked expression can cost. `most` is MOST where there is no bound.

    `root` declares the variables that sizes are known of: `self` and `oldSelf` of a rule, which are alike.
    """
    return Estimator(root).cost(tree)


Path = tuple[str, ...]
"""How a value is reached: a variable, then fields, `@items`, `@keys`, `@values`. Empty where it is made, not reached.
"""


@dataclass(slots=True)
class Local:
    """A variable of a loop: how it is reached, how large it is, and how large its elements are, as far as is known."""

    path: Path = ()
    size: Range | None = None
    entry: Range | None = None


@dataclass(slots=True)
class Known:
    """An operand of a call."""

    type: Type
    node: Node | None
    estimator: Estimator

    def size(self) -> Range:
        assert self.node is not None
        return self.estimator.size(self.node) or ANY_SIZE

    def element(self) -> Operand | None:
        assert self.node is not None
        if self.type.name != "list":
            return None
        path = self.estimator.path(self.node)
        return Element(self.type.parameters[0], None, self.estimator.reached((*path, "@items")) if path else None)


@dataclass(slots=True)
class Element:
    """An element of a list that is an operand."""

    type: Type
    node: Node | None
    known: Range | None

    def size(self) -> Range:
        return self.known or ANY_SIZE

    def element(self) -> Operand | None:
        return None


class Estimator:
    def __init__(self, root: Declared | None) -> None:
        self.root = root
        self.paths: dict[int, Path] = {}
        self.locals: dict[str, list[Local]] = {}
        self.sizes: dict[int, Range] = {}
        self.entries: dict[int, Range] = {}

    def cost(self, node: Node) -> Range:
        match node:
            case Name():
                local = self.local(node.name)
                self.paths[id(node)] = local.path if local else (node.name,)
                return exactly(ACCESS)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListOf():
                return self.list_of(node)
            case MapOf():
                return self.map_of(node)
            case ObjectOf():
                return total(self.cost(entry.value) for entry in node.entries).plus(exactly(OBJECT))
            case Comprehension():
                return self.bind(node) if node.macro == "bind" else self.loop(node)
        return NOTHING

    def select(self, node: Select) -> Range:
        if node.means is not None:
            self.paths[id(node)] = (node.means.name,)
            return exactly(ACCESS)
        cost = self.cost(node.operand)
        if node.optional:
            return cost.plus(exactly(1))
        if node.test:
            return cost
        self.paths[id(node)] = (*self.path(node.operand), node.field)
        kind = node.operand.type
        counted = (kind.name == "map" or kind.variable or types.is_object(kind))
        return cost.plus(exactly(ACCESS)) if counted else cost

    def list_of(self, node: ListOf) -> Range:
        cost = total(map(self.cost, node.elements))
        sizes = [self.size(element) or ANY_SIZE for element in node.elements]
        self.entries[id(node)] = union(sizes) or Range(0, 0)
        return cost.plus(exactly(LIST))

    def map_of(self, node: MapOf) -> Range:
        cost = NOTHING
        for entry in node.entries:
            cost = cost.plus(self.cost(entry.key)).plus(self.cost(entry.value))
        sizes = [self.size(entry.value) or ANY_SIZE for entry in node.entries]
        self.entries[id(node)] = union(sizes) or Range(0, 0)
        return cost.plus(exactly(MAP))

    # Loops.

    def bind(self, node: Comprehension) -> Range:
        cost = self.cost(node.range).plus(self.cost(node.start))
        self.push(node.accumulator, Local(self.path(node.start), self.size(node.start), self.entry(node.start)))
        cost = cost.plus(self.cost(node.result))
        self.keep(node, self.size(node.result), self.entry(node.result))
        self.locals[node.accumulator].pop()
        return cost

    def loop(self, node: Comprehension) -> Range:
        cost = self.cost(node.range).plus(self.cost(node.start))
        over, path = node.range.type.name, self.path(node.range)
        key = Local((*path, "@keys" if over != "list" else "@indices"))
        value = Local((*path, "@values" if over != "list" else "@items"), self.entry(node.range))
        self.push(node.accumulator, Local(self.path(node.start), self.size(node.start), self.entry(node.start)))
        self.push(node.variable, value if over == "list" and not node.second else key)
        if node.second:
            self.push(node.second, value)
        turn = self.cost(node.step).plus(self.cost(node.condition))
        for name in filter(None, (node.variable, node.second)):
            self.locals[name].pop()
        cost = cost.plus(self.cost(node.result))
        self.locals[node.accumulator].pop()
        count = self.size(node.range) or ANY_SIZE
        if isinstance(node.start, Literal):
            self.keep(node, exactly(1), None)
        else:
            self.keep(node, count, self.entry(node.step))
        return cost.plus(count.times(turn))

    def push(self, name: str, local: Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def local(self, name: str) -> Local | None:
        stack = self.locals.get(name)
        return stack[-1] if stack else None

    # Calls.

    def call(self, node: Call) -> Range:
        if node.function == "dyn":
            cost = self.cost(node.arguments[0]).plus(exactly(1))
            self.keep(node, self.size(node.arguments[0]), self.entry(node.arguments[0]))
            return cost
        costs = [self.cost(argument) for argument in node.arguments]
        target = NOTHING if node.target is None else self.cost(node.target)
        if node.function in ("_&&_", "_||_"):
            return Range(costs[0].least, total(costs).most)
        if node.function == "_?_:_":
            return self.conditional(node, costs)
        for overload in node.overloads:
            if overload.id in INDICES:
                self.paths[id(node)] = (*self.path(node.arguments[0]), INDICES[overload.id])
                self.keep(node, self.entry(node.arguments[0]), None)
        found = [self.overload(node, overload) for overload in node.overloads]
        if not found:
            return NOTHING
        size = union([one.size for one in found if one.size is not None])
        if node.function == "_+_":
            entries = [self.entry(argument) for argument in node.arguments]
            self.keep(node, None, union([one for one in entries if one]) if all(entries) else None)
        self.keep(node, size, None)
        return target.plus(total(costs)).plus(union([one.cost for one in found]) or NOTHING)

    def conditional(self, node: Call, costs: list[Range]) -> Range:
        _, yes, no = node.arguments
        self.keep(node, (self.size(yes) or ANY_SIZE).union(self.size(no) or ANY_SIZE), None)
        one, other = self.entry(yes), self.entry(no)
        self.keep(node, None, one.union(other) if one and other else None)
        return costs[0].plus(costs[1].union(costs[2]))

    def overload(self, node: Call, overload: Overload) -> Estimate:
        return overload.cost.estimate([Known(operand.type, operand, self) for operand in node.operands()])

    # Sizes.

    def keep(self, node: Node, size: Range | None, entry: Range | None) -> None:
        if size is not None:
            self.sizes[id(node)] = size
        if entry is not None:
            self.entries[id(node)] = entry

    def size(self, node: Node) -> Range | None:
        """How large what a node gives can be, or None where nobody knows."""
        if id(node) in self.sizes:
            return self.sizes[id(node)]
        match node:
            case Literal(value=value):
                return exactly(len(value) if isinstance(value, (str, bytes)) else 1)
            case ListOf():
                return exactly(len(node.elements))
            case MapOf():
                return exactly(len(node.entries))
        path = self.path(node)
        if path and (known := self.reached(path)):
            return known
        if fixed_size(node.type):
            return exactly(1)
        local = self.local(node.name) if isinstance(node, Name) else None
        return local.size if local else None

    def entry(self, node: Node) -> Range | None:
        """How large the elements of what a node gives can be, where that follows from the expression alone."""
        if id(node) in self.entries:
            return self.entries[id(node)]
        local = self.local(node.name) if isinstance(node, Name) else None
        return local.entry if local else None

    def path(self, node: Node) -> Path:
        local = self.local(node.name) if isinstance(node, Name) else None
        return local.path if local else self.paths.get(id(node), ())

    def reached(self, path: Path) -> Range | None:
        """How large what is reached by a path can get, or None where the schema does not say."""
        declared = self.root
        for step in path[1:]:
            if declared is None:
                return None
            if step in ("@items", "@values"):
                declared = declared.element
            elif step == "@keys":
                declared = STRING_KEYS if declared.type.name == "map" else None
            else:
                field = declared.fields.get(step) if declared.fields else None
                declared = field.declared if field else None
        return Range(0, declared.most) if declared else None


INDICES = {"index_list": "@items", "index_map": "@values"}


def fixed_size(kind: Type) -> bool:
    kind, _ = types.unwrapped(kind)
    return kind in FIXED_SIZE


def total(costs: Iterable[Range]) -> Range:
    return reduce(Range.plus, costs, NOTHING)


def union(ranges: list[Range]) -> Range | None:
    """The range that covers all, None where there is none."""
    return Range(min(one.least for one in ranges), max(one.most for one in ranges)) if ranges else None
