"""All the fields of a value: those of what is all new, or all gone.

Most of what is written is new, so each type is compiled once into closures. Objects of a kind mostly have the same few
sets of fields; for each of them it is found out once which steps there are, and which of them lead further. A value
that has nothing further is the same node every time.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import SELF, FieldSet
from timonier.api.managed.types import ListOf, MapOf, NoKey, Type, Whole


class Incomparable(Exception):
    """A list whose items cannot be told apart; the message says where and why."""


def all_of(kind: Type, value: Any) -> FieldSet:
    """The node of a value: everything in it, itself, and the structs in between. Raises Incomparable."""
    return compiled(kind)(value)


def compiled(kind: Type) -> Whole:
    """What makes the nodes of all values of a type."""
    if kind.whole is None:
        of_map = map_of(kind.map) if kind.map and not kind.map.atomic else None
        of_list = list_of(kind.list) if kind.list and not kind.list.atomic else None
        kind.whole = either(of_map, of_list) if of_map and of_list else of_map or of_list or leaf
    return kind.whole


def leaf(value: Any) -> FieldSet:
    """The node of what is owned as a whole."""
    return {}


def either(of_map: Whole, of_list: Whole) -> Whole:
    def whole(value: Any) -> FieldSet:
        return of_map(value) if value.__class__ is dict else of_list(value)
    return whole


def map_of(kind: MapOf) -> Whole:
    """For a struct or a map; what is neither, or empty, is a field and no more."""
    return dictionary(kind) if kind.values and kind.values.divisible else struct(kind)


def dictionary(kind: MapOf) -> Whole:
    """For a map with values that have parts, by whatever names, and maybe fields that are known besides."""
    steps, values = kind.steps, kind.values
    assert values

    def whole(value: Any) -> FieldSet:
        if not value or value.__class__ is not dict:
            return {}
        node: FieldSet = {SELF: {}}
        for name, child in value.items():
            step, below = steps.get(name) or (FIELD + name, values)
            node[step] = compiled(below)(child) if child else {}
        return node
    return whole


Plan = tuple[FieldSet, list[tuple[str, str, Whole]]]
"""The steps in a map, each a member by itself, and name, step and maker of those fields that have parts."""
MOST_PLANS, MOST_NAMES = 32, 32
"""Plans that a map remembers, and fields of a map whose plan is remembered."""


def struct(kind: MapOf) -> Whole:
    """For a map whose fields have parts only where they are known by name: a struct, or labels."""
    plans: dict[tuple[str, ...], Plan] = {}
    known = plans.get

    def plan(names: tuple[str, ...]) -> Plan:
        found = [(name, *kind.steps[name]) for name in names if name in kind.steps]
        steps: FieldSet = {SELF: {}, **{FIELD + name: {} for name in names}} if names else {}
        made = steps, [(name, step, compiled(below)) for name, step, below in found if below.divisible]
        if len(plans) >= MOST_PLANS:
            plans.clear()
        if len(names) <= MOST_NAMES:
            plans[names] = made
        return made

    def whole(value: Any) -> FieldSet:
        if value.__class__ is not dict:
            return {}
        names = tuple(value)
        node, inner = known(names) or plan(names)
        if inner:
            node = node.copy()
            for name, step, below in inner:
                if child := value[name]:
                    node[step] = below(child)
        return node
    return whole


MOST_STEPS = 256
"""Steps that a list remembers: the same few texts are the keys of most items."""


def list_of(kind: ListOf) -> Whole:
    """For a set, or a list whose items have keys. Of several items with one key nothing is said within."""
    key_of: Callable[[Any], Any] = itemgetter(*kind.keys) if kind.keys else itself
    steps: dict[str, str] = {}
    known = steps.get

    def step_to(item: Any, place: int, key: Any) -> str:
        try:
            step = kind.element(item)
        except NoKey as error:
            raise Incomparable(f"element {place}: {error}") from None
        if key.__class__ is str:  # of all that Python takes for equal, texts alone are the same
            if len(steps) >= MOST_STEPS:
                steps.clear()
            steps[key] = step
        return step

    def whole(value: Any) -> FieldSet:
        if not value or value.__class__ is not list:
            return {}
        below = compiled(kind.items)
        node: FieldSet = {SELF: {}}
        for place, item in enumerate(value):
            try:
                key = key_of(item)
                step = known(key)
            except (KeyError, TypeError):
                key = step = None
            if step is None:
                step = step_to(item, place, key)
            node[step] = {} if step in node else below(item)
        return node
    return whole


def itself(value: Any) -> Any:
    """What tells an item of a set from the others."""
    return value
