"""The loops that macros stand for, as loops: `all`, `exists`, `exists_one`, lists, maps, and names for values.

What a turn costs is what the steps of the macro's expansion cost, though fewer are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from timonier.api.cel.closures import METER, Frame, Run, settled
from timonier.api.cel.costs import ACCESS, LIST
from timonier.api.cel.declarations import STRING_KEYS, Declared
from timonier.api.cel.evaluate import Builder, Built
from timonier.api.cel.syntax import Call, Comprehension, ListOf, Literal, Node
from timonier.api.cel.values import NO_OVERLOAD, Failure

CALL = 1
Turns = Callable[[Frame], Iterable[Any]]


def build_loop(builder: Builder, node: Comprehension) -> Built:
    if node.macro == "bind":
        return build_bind(builder, node)
    source = builder.build(node.range)
    first, second = variables(node, source.declared)
    slot, other = builder.slot(), builder.slot() if node.second else 0
    turns = iteration(source.run, slot, other)
    scope: dict[str, tuple[int, Declared | None]] = {node.variable: (slot, first)}
    if node.second:
        scope[node.second] = (other, second)
    builder.scopes.append(scope)
    run = LOOPS[node.macro](builder, node, turns)
    builder.scopes.pop()
    return Built(run)


def build_bind(builder: Builder, node: Comprehension) -> Built:
    slot, value = builder.slot(), builder.value(node.start)
    builder.scopes.append({node.accumulator: (slot, None)})
    result = builder.value(node.result)
    builder.scopes.pop()

    def run(frame: Frame) -> Any:
        frame[slot] = value(frame)
        return result(frame)
    return Built(run)


def variables(node: Comprehension, over: Declared | None) -> tuple[Declared | None, Declared | None]:
    """The declarations of the elements, or of the keys and values, that a loop goes through."""
    element = over.element if over else None
    if node.range.type.name == "map":
        return (STRING_KEYS if over else None), element
    return (None, element) if node.second else (element, None)


def iteration(run: Run, slot: int, other: int) -> Turns:
    """Goes through a list or a map, setting the variables of each turn."""
    def turns(frame: Frame) -> Iterator[Any]:
        over = run(frame)
        if isinstance(over, list):
            pairs: Iterable[tuple[Any, Any]] = enumerate(over)
        elif isinstance(over, dict):
            pairs = over.items()
        else:
            raise Failure(NO_OVERLOAD)
        if other:
            for key, value in pairs:
                frame[slot], frame[other] = key, value
                yield None
        else:
            for element in over:
                frame[slot] = element
                yield None
    return turns


def quantifier(builder: Builder, node: Comprehension, turns: Turns) -> Run:
    """`all` ends with the first that is false, `exists` with the first that is true; errors count where nothing ends
    it.
    """
    assert isinstance(node.step, Call)
    decisive = node.macro == "exists"
    ask = ACCESS + CALL + (CALL if decisive else 0)
    predicate = block(builder, node.step.arguments[1], ask + ACCESS)
    builder.cost += ACCESS

    def run(frame: Frame) -> bool:
        going = iter(turns(frame))
        found = settled((predicate for _ in going), decisive, frame)
        if found is decisive and next(going, turns) is not turns:
            frame[METER].spend(ask)
        return found
    return run


def exists_one(builder: Builder, node: Comprehension, turns: Turns) -> Run:
    assert isinstance(node.step, Call)
    predicate = block(builder, node.step.arguments[0], 0)
    builder.cost += ACCESS + CALL

    def run(frame: Frame) -> bool:
        count = 0
        for _ in turns(frame):
            if truth(predicate(frame)):
                frame[METER].spend(ACCESS + CALL)
                count += 1
        return count == 1
    return run


def collect(builder: Builder, node: Comprehension, turns: Turns) -> Run:
    """A list or a map of what each turn gives, or of what those give that pass."""
    step, condition = node.step, None
    assert isinstance(step, Call)
    if step.function == "_?_:_":
        test, added, _ = step.arguments
        condition, step = block(builder, test, 0), added
    assert isinstance(step, Call)
    builder.cost += ACCESS
    if isinstance(node.start, ListOf):
        return collect_list(builder, step, condition, turns)
    return collect_map(builder, step, condition, turns)


def collect_list(builder: Builder, step: Call, condition: Run | None, turns: Turns) -> Run:
    made = step.arguments[1]
    assert isinstance(made, ListOf)
    element = made.elements[0]
    value = block(builder, element, ACCESS + CALL + (0 if isinstance(element, Literal) else LIST))

    def run(frame: Frame) -> list[Any]:
        return [value(frame) for _ in turns(frame) if condition is None or truth(condition(frame))]
    return run


def collect_map(builder: Builder, step: Call, condition: Run | None, turns: Turns) -> Run:
    parts = [block(builder, part, 0 if index else ACCESS + CALL) for index, part in enumerate(step.arguments[1:])]

    def run(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in turns(frame):
            if condition is not None and not truth(condition(frame)):
                continue
            found = [part(frame) for part in parts]
            if len(found) == 1 and not isinstance(found[0], dict):
                raise Failure(NO_OVERLOAD)
            for key, value in found[0].items() if len(found) == 1 else [found]:
                if key in made:
                    raise Failure(f"insert failed: key {key} already exists")
                made[key] = value
        return made
    return run


def block(builder: Builder, node: Node, more: int) -> Run:
    """The closure of what every turn runs, with what the turn itself costs."""
    return builder.block(node, spared=-more)


def truth(value: Any) -> bool:
    if value.__class__ is not bool:
        raise Failure(NO_OVERLOAD)
    return bool(value)


LOOPS: dict[str, Callable[[Builder, Comprehension, Turns], Run]] = {
    "all": quantifier, "exists": quantifier, "exists_one": exists_one, "map": collect}
