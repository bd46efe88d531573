"""What an applied configuration makes of a live object: its own values, and around them what it does not mention."""

from __future__ import annotations

from typing import Any

from timonier.api.managed.elements import shown_step
from timonier.api.managed.types import ListOf, MapOf, NoKey, Type


class Unmergeable(Exception):
    """Lists that cannot be merged; the message says where and why."""


def merge(kind: Type, live: Any, config: Any) -> Any:
    """`live` with everything that `config` says. Raises Unmergeable. The result shares parts with both.

    Nothing is removed by this. Items of a list stand as `config` orders them; those that only `live` has keep their
    place before what follows them.
    """
    if config is None:
        return kept_by_null(kind, live)
    if live.__class__ is not config.__class__ or not config:
        empty = live.__class__ is config.__class__ and bool(live) and separable(kind, live)
        return live if empty else config
    if config.__class__ is dict and kind.map and not kind.map.atomic and live:
        return merged_map(kind.map, live, config)
    if config.__class__ is list and kind.list and not kind.list.atomic and live:
        return merged_list(kind.list, live, config)
    return config


def separable(kind: Type, value: Any) -> bool:
    """Whether a value is made of parts that are owned one by one."""
    if value.__class__ is dict:
        return kind.map is not None and not kind.map.atomic
    return value.__class__ is list and kind.list is not None and not kind.list.atomic


def kept_by_null(kind: Type, live: Any) -> Any:
    """What is left where the configuration says null: parts that it does not name, but nothing that is a whole."""
    if live and separable(kind, live) and (live.__class__ is dict or not kind.map):
        return live
    return None


def merged_map(kind: MapOf, live: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    result = dict(live)
    for name, value in config.items():
        below = kind.below(name)
        result[name] = merge(below, live[name], value) if name in live and below else value
    return result


def merged_list(kind: ListOf, live: list[Any], config: list[Any]) -> list[Any]:
    """Both lists as one. An item that `live` has several times becomes the one of `config`, if it has it."""
    ours = steps_of(kind, live)
    theirs = steps_of(kind, config)
    there: dict[str, Any] = {}
    for step, item in zip(ours, live, strict=True):
        there[step] = None if step in there else item
    wanted = dict(zip(theirs, config, strict=True))
    if len(wanted) != len(theirs):
        twice = next(step for place, step in enumerate(theirs) if step in theirs[:place])
        raise Unmergeable(f"duplicate entries for key {shown_step(twice)}")
    result = []
    for step, place in arranged(ours, theirs):
        if step in wanted:
            result.append(merge(kind.items, there[step], wanted[step]) if step in there else wanted[step])
        else:
            result.append(live[place])
    return result


def steps_of(kind: ListOf, values: list[Any]) -> list[str]:
    found = []
    for place, item in enumerate(values):
        try:
            found.append(kind.element(item))
        except NoKey as error:
            raise Unmergeable(f"element {place}: {error}") from None
    return found


def arranged(ours: list[str], theirs: list[str]) -> list[tuple[str, int]]:
    """The order of a merged list: steps, and the place in `ours` of those that are there alone.

    Both lists are read side by side. What both have comes as `theirs` orders it; where `ours` shows such an item before
    its turn, it is passed over.
    """
    wanted, present = set(theirs), set(ours)
    turns = iter([step for step in theirs if step in present])
    turn = next(turns, None)
    result: list[tuple[str, int]] = []
    taken: set[str] = set()
    left = right = 0
    while left < len(ours) or right < len(theirs):
        step = ours[left] if left < len(ours) else None
        if step is not None and right < len(theirs):
            if step == theirs[right]:
                result.append((step, -1))
                taken.add(step)
                left, right, turn = left + 1, right + 1, next(turns, None)
                continue
            if step in wanted and turn is not None and turn != step:
                left += 1
                continue
        if step is not None and step not in wanted:
            result.append((step, left))
            left += 1
            continue
        if step in taken:
            left += 1
        if right < len(theirs):
            result.append((theirs[right], -1))
            taken.add(theirs[right])
            if turn == theirs[right]:
                turn = next(turns, None)
            right += 1
    return result
