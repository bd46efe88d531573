"""What nodes of a tree become: functions of the frame, which holds the variables and the meter.

Which closure a node becomes is settled in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from timonier.api.cel import types
from timonier.api.cel.costs import ACCESS, PER_CALL
from timonier.api.cel.functions import Overload
from timonier.api.cel.types import DYN, Type
from timonier.api.cel.values import NO_OVERLOAD, Exhausted, Failure, Optional, Uint, type_of

Frame = list[Any]
Run = Callable[[Frame], Any]
METER = 0
"""The slot of the meter in every frame."""


class Meter:
    """What evaluations may still cost, and did."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int = PER_CALL) -> None:
        self.limit = self.left = limit

    @property
    def spent(self) -> int:
        return self.limit - self.left

    def spend(self, cost: int) -> None:
        """Raises Exhausted where that is too much."""
        self.left -= cost
        if self.left < 0:
            raise Exhausted("operation cancelled: actual cost limit exceeded")


def metered(run: Run, cost: int) -> Run:
    def block(frame: Frame) -> Any:
        meter = frame[METER]
        meter.left -= cost
        if meter.left < 0:
            meter.spend(0)
        return run(frame)
    return block


def counted_if_there(run: Run) -> Run:
    """Looking at what may not be there costs a step only where it is."""
    def look(frame: Frame) -> Any:
        found = run(frame)
        if found.present:
            frame[METER].spend(ACCESS)
        return found
    return look


def always(value: Any) -> Run:
    return lambda frame: value


def follow(slot: int, keys: tuple[str, ...]) -> Run:
    def walk(frame: Frame) -> Any:
        value = frame[slot]
        for key in keys:
            try:
                value = value[key]
            except (KeyError, TypeError):
                raise Failure(f"no such key: {key}") from None
        if value is None:
            raise Failure(f"no such key: {keys[-1]}")
        return value
    return walk


def plain(run: Callable[..., Any], runs: list[Run]) -> Run:
    match runs:
        case [one]:
            return lambda frame: run(one(frame))
        case [one, other]:
            return lambda frame: run(one(frame), other(frame))
    return lambda frame: run(*[operand(frame) for operand in runs])


def counted(overload: Overload, runs: list[Run]) -> Run:
    run, actual = overload.run, overload.cost.actual

    def call(frame: Frame) -> Any:
        arguments = tuple([operand(frame) for operand in runs])
        result = run(*arguments)
        frame[METER].spend(actual(arguments, result))
        return result
    return call


def decided(terms: list[Run], decisive: bool) -> Run:
    """`&&` and `||`."""
    return lambda frame: settled(terms, decisive, frame)


def settled(terms: Iterable[Run], decisive: bool, frame: Frame) -> bool:
    """The first term that decides does; an error only counts where none does."""
    failure: Failure | None = None
    for term in terms:
        try:
            value = term(frame)
        except Failure as error:
            if error.__class__ is Exhausted:
                raise
            failure = failure or error
            continue
        if value is decisive:
            return bool(decisive)
        if value.__class__ is not bool:
            failure = failure or Failure(NO_OVERLOAD)
    if failure is not None:
        raise failure
    return not decisive


def filled(entries: list[tuple[Run, Run, bool]], frame: Frame) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value, optional in entries:
        name, found = key(frame), value(frame)
        if optional:
            if found.__class__ is not Optional:
                raise Failure(f"cannot initialize optional entry '{name}' from non-optional value {found}")
            if not found.present:
                continue
            found = found.value
        if name.__class__ not in KEYS:
            raise Failure(f"unsupported key type: {type_of(name)}")
        if name in made:
            raise Failure(f"Failed with repeated key: {name}")
        made[name] = found
    return made


KEYS = frozenset({str, int, Uint, bool, float})
"""What keys of maps may be; a double finds the integer of the same value."""


# Which overload a call means.


def only(overloads: list[Overload], kinds: list[Type]) -> Overload | None:
    """The overload that a call means whatever its values are, if there is one."""
    if len(overloads) != 1:
        return None
    pairs = zip(kinds, overloads[0].parameters, strict=True)
    return overloads[0] if all(certain(kind, parameter) for kind, parameter in pairs) else None


def certain(kind: Type, parameter: Type) -> bool:
    """Whether every value of a type is one of the parameter's."""
    return parameter.variable or parameter == DYN or kind == parameter or (
        kind.name == parameter.name and kind.name in types.CONTAINERS | {"type"})


def dispatched(overloads: list[Overload], runs: list[Run]) -> Run:
    """Choose by what the values turn out to be, remembering the choice for their classes."""
    chosen: dict[tuple[type, ...], Overload | None] = {}

    def call(frame: Frame) -> Any:
        arguments = tuple([operand(frame) for operand in runs])
        classes = tuple([argument.__class__ for argument in arguments])
        if classes not in chosen:
            chosen[classes] = next((overload for overload in overloads if accepts(overload, arguments)), None)
        overload = chosen[classes]
        if overload is None:
            raise Failure(NO_OVERLOAD)
        result = overload.run(*arguments)
        frame[METER].spend(overload.cost.actual(arguments, result))
        return result
    return call


def accepts(overload: Overload, arguments: tuple[Any, ...]) -> bool:
    return len(overload.parameters) == len(arguments) and all(
        parameter.variable or parameter.name in ("dyn", "any") or type_of(argument).name == parameter.name
        for parameter, argument in zip(overload.parameters, arguments, strict=True))
