"""What differs between two states of an object, as the fields that changed and the fields that went.

Compiled types make this cheap where it is needed most: equal parts are not entered, and what is all new or all gone is
walked without looking for its other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import FieldSet, children, joined
from timonier.api.managed.types import ListOf, NoKey, Type
from timonier.api.managed.whole import Incomparable, all_of


class Absent:
    """The one value of a field that is not there."""


ABSENT: Final = Absent()


@dataclass(slots=True)
class Difference:
    """What lies between two states. Neither holds a field only because something in it differs."""

    changed: FieldSet
    """Fields that are new or have another value."""
    removed: FieldSet


def compare(kind: Type, old: Any, new: Any) -> Difference:
    """The difference between two values of a type. Raises Incomparable."""
    both = old.__class__ is dict and new.__class__ is dict and kind.map  # mostly they differ: ask their fields at once
    changed, removed = maps(kind, old, new) if both else differ(kind, old, new)
    return Difference(changed or {}, removed or {})


Nodes = tuple[FieldSet | None, FieldSet | None]
"""The nodes of what changed and what went, None where nothing did."""
SAME: Nodes = (None, None)


def differ(kind: Type, old: Any, new: Any) -> Nodes:
    if old is ABSENT:
        return all_of(kind, new), None
    if new is ABSENT:
        return None, all_of(kind, old)
    if old == new and (not kind.loose or alike(old, new)):
        return SAME
    before, after = form(kind, old), form(kind, new)
    if before == after:
        return FORMS[after](kind, old, new)
    changed, removed = FORMS[before](kind, old, new)
    other_changed, other_removed = FORMS[after](kind, old, new)
    return merged(changed, other_changed), merged(removed, other_removed)


def form(kind: Type, value: Any) -> str:
    """How a value is looked at: as what it is where the type has that, else as the first that the type has."""
    if value.__class__ is dict:
        if kind.map:
            return "map"
    elif value.__class__ is list:
        if kind.list:
            return "list"
    elif value is not None and kind.scalar:
        return "scalar"
    return "map" if kind.map else "scalar" if kind.scalar else "list"


def merged(a: FieldSet | None, b: FieldSet | None) -> FieldSet | None:
    """A node of two that stand for the same field, seen in two forms."""
    return joined(a, b) if a is not None and b is not None else b if a is None else a


def scalars(kind: Type, old: Any, new: Any) -> Nodes:
    return SAME if alike(old, new) else ({}, None)


def maps(kind: Type, old: Any, new: Any) -> Nodes:
    assert kind.map is not None
    before: dict[str, Any] = old if old.__class__ is dict else {}
    after: dict[str, Any] = new if new.__class__ is dict else {}
    if kind.map.atomic or (not before and not after):
        return scalars(kind, old, new)
    if not before:
        return children(all_of(kind, after)), None
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, value in after.items():
        step, below = kind.map.steps.get(name) or (FIELD + name, kind.map.values)
        if name in before:
            other = before[name]
            if value is other:
                continue
            if value.__class__ is str and other.__class__ is str:  # as most fields are
                if value != other:
                    changed[step] = {}
                continue
            here, gone = differ(below, other, value) if below else scalars(kind, other, value)
            if gone is not None:
                removed[step] = gone
        else:
            here = all_of(below, value) if below else {}
        if here is not None:
            changed[step] = here
    for name, value in before.items():
        if name not in after:
            step, below = kind.map.steps.get(name) or (FIELD + name, kind.map.values)
            removed[step] = all_of(below, value) if below else {}
    return changed or None, removed or None


def lists(kind: Type, old: Any, new: Any) -> Nodes:
    assert kind.list is not None
    before: list[Any] = old if old.__class__ is list else []
    after: list[Any] = new if new.__class__ is list else []
    if kind.list.atomic or (not before and not after):
        return scalars(kind, old, new)
    if not before:
        return children(all_of(kind, after)), None
    changed: FieldSet = {}
    removed: FieldSet = {}
    was, now = grouped(kind.list, before), grouped(kind.list, after)
    for step in [*was, *(step for step in now if step not in was)]:
        here, gone = items(kind.list.items, was.get(step, ()), now.get(step, ()))
        if here is not None:
            changed[step] = here
        if gone is not None:
            removed[step] = gone
    return changed or None, removed or None


def grouped(kind: ListOf, values: list[Any]) -> dict[str, list[Any]]:
    """The items of a list by their steps."""
    found: dict[str, list[Any]] = {}
    for place, item in enumerate(values):
        try:
            step = kind.element(item)
        except NoKey as error:
            raise Incomparable(f"element {place}: {error}") from None
        found.setdefault(step, []).append(item)
    return found


def items(kind: Type, old: Iterable[Any], new: Iterable[Any]) -> Nodes:
    """The items of one step. Where there are several, they count as one thing that nothing can be said within."""
    before, after = list(old), list(new)
    if len(before) <= 1 and len(after) <= 1:
        return differ(kind, before[0] if before else ABSENT, after[0] if after else ABSENT)
    if len(before) > 1 and len(after) > 1:
        return SAME if alike(before, after) else ({}, None)
    if len(before) > 1:
        return (all_of(kind, after[0]) if after else None), {}
    return {}, (all_of(kind, before[0]) if before else None)


FORMS: dict[str, Callable[[Type, Any, Any], Nodes]] = {"map": maps, "list": lists, "scalar": scalars}


def alike(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, and none of them true or false."""
    if a.__class__ is dict and b.__class__ is dict:
        return len(a) == len(b) and all(name in b and alike(child, b[name]) for name, child in a.items())
    if a.__class__ is list and b.__class__ is list:
        return len(a) == len(b) and all(map(alike, a, b))
    return bool(a == b) and (a.__class__ is bool) is (b.__class__ is bool)
