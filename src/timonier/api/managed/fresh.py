"""What the creator of an object manages: all that a new object says and a blank one does not.

The general way is to compare the two and to take from what changed the fields that a door resets and those that are
nobody's: `general`. But all of this save the object itself is known beforehand. So `fresh` compiles it into a walk that
makes nothing that does not stay. It looks itself at the few fields on the way to what the blank object says and to what
is taken away; all others are `whole`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.managed import fields as sets
from timonier.api.managed.compare import ABSENT, compare, differ
from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import SELF, FieldSet, children, member
from timonier.api.managed.types import ATOMIC, MapOf, Type
from timonier.api.managed.whole import MOST_PLANS, compiled, leaf

Object = dict[str, Any]
Fresh = Callable[[Object], FieldSet]
"""Takes a new object and returns what its creator manages. Raises Incomparable."""
Part = Callable[[Any], FieldSet | None]
"""Takes the value of a field and returns its node, None where nothing is left of it. Raises Incomparable, Odd."""


class Odd(Exception):
    """A value that is no map although it has to be one."""


def general(kind: Type, blank: Object, reset: FieldSet, nobodys: FieldSet, new: Object) -> FieldSet:
    """What `new` says and `blank` does not, without the fields of `reset` and all within, and without `nobodys`."""
    return sets.difference(sets.pruned(compare(kind, blank, new).changed, reset), nobodys)


def fresh(kind: Type, blank: Object, reset: FieldSet, nobodys: FieldSet) -> Fresh:
    """Does what `general` does, for objects of one type. No list in `blank` may be Incomparable."""
    assert kind.map
    walk = struct(kind.map, blank, reset, nobodys, itself=False)

    def managed(new: Object) -> FieldSet:
        try:
            return walk(new) or {}
        except Odd:
            return general(kind, blank, reset, nobodys, new)
    return managed


def part(kind: Type, blank: Any, reset: FieldSet, nobodys: FieldSet, *, gone: bool, free: bool) -> Part:
    """For a field of which the blank object says `blank`, or which is ABSENT there.

    `gone` says that it is reset with all within, `free` that it is nobody's; `reset` and `nobodys` are what is so of
    the fields within it.
    """
    if (gone or free) and not kind.divisible:
        return nothing
    if gone:
        return judged(kind)
    absent = blank is ABSENT
    if kind.map and kind.map.fields and not kind.map.atomic and (absent or blank.__class__ is dict):
        return struct(kind.map, {} if absent else blank, reset, nobodys, itself=absent and not free)
    otherwise = compared(kind, blank, reset, nobodys, free=free)
    if kind.list and not kind.list.atomic and blank == [] and not (reset or nobodys or free):
        return elements(kind, otherwise)
    return otherwise


def nothing(value: Any) -> None:
    """For a field that is taken away, whatever its value."""


def judged(kind: Type) -> Part:
    """For a field that is taken away, but may make the whole object Incomparable."""
    whole = compiled(kind)

    def part(value: Any) -> None:
        whole(value)
    return part


def elements(kind: Type, otherwise: Part) -> Part:
    """For a list that is empty in the blank object."""
    whole = compiled(kind)

    def part(value: Any) -> FieldSet | None:
        return children(whole(value)) if value and value.__class__ is list else otherwise(value)
    return part


def compared(kind: Type, blank: Any, reset: FieldSet, nobodys: FieldSet, *, free: bool) -> Part:
    """For any field, in the general way."""
    taken = {SELF: {}, **nobodys} if free else nobodys

    def part(value: Any) -> FieldSet | None:
        node = differ(kind, blank, value)[0]
        if node is None:
            return None
        rest = sets.pruned({FIELD: node}, {FIELD: reset}) if reset else {FIELD: node}
        return (sets.difference(rest, {FIELD: taken}) if taken else rest).get(FIELD)
    return part


Plan = tuple[FieldSet, list[tuple[str, str, Part]]]
"""The steps in a struct, each a member by itself, and name, step and maker of those fields that may be otherwise."""


def struct(kind: MapOf, blank: Object, reset: FieldSet, nobodys: FieldSet, *, itself: bool) -> Part:
    """For what is on the way to other fields. `itself` says whether it is a member, and not only what lies in it."""
    taken = {step.removeprefix(FIELD) for step in (*reset, *nobodys) if step.startswith(FIELD)}
    on_the_way = {name: field(kind, name, blank, reset, nobodys) for name in taken.union(blank)}
    plans: dict[tuple[str, ...], Plan] = {}
    known = plans.get

    def maker(name: str) -> Part:
        below = kind.below(name)
        return on_the_way[name] if name in on_the_way else compiled(below) if below else leaf

    def plan(names: tuple[str, ...]) -> Plan:
        made = [(name, FIELD + name, make) for name in names if (make := maker(name)) is not nothing]
        if len(plans) >= MOST_PLANS:
            plans.clear()
        steps: FieldSet = ({SELF: {}} if itself else {}) | {step: {} for _, step, _ in made}
        plans[names] = found = steps, [each for each in made if each[-1] is not leaf]
        return found

    def walk(value: Any) -> FieldSet | None:
        if value.__class__ is not dict:
            raise Odd
        names = tuple(value)
        steps, inner = known(names) or plan(names)
        node = steps.copy()
        for name, step, make in inner:
            found = make(value[name])
            if found is None:
                del node[step]
            else:
                node[step] = found
        if itself:
            return node if len(node) > 1 else {}
        return node or None
    return walk


def field(kind: MapOf, name: str, blank: Object, reset: FieldSet, nobodys: FieldSet) -> Part:
    """For a field of a struct, of which all this is said."""
    gone, free = reset.get(FIELD + name), nobodys.get(FIELD + name)
    return part(kind.below(name) or ATOMIC, blank.get(name, ABSENT), children(gone or {}), children(free or {}),
                gone=gone is not None and member(gone), free=free is not None and member(free))
