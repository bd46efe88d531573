"""Update and apply: what a write makes of the managers of an object, and an apply of the object too.

Both are generators, because a manager may have written in another version: they yield an `InVersion` and are sent the
`View` of that object in that version, or None where there is no such version any more. `run` drives them where
conversion needs no waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from timonier.api.managed import fields as sets
from timonier.api.managed.compare import Difference, alike, compare
from timonier.api.managed.fields import FieldSet, Path
from timonier.api.managed.fresh import Fresh, fresh
from timonier.api.managed.managers import UPDATE, Manager, Managers, Owned, updater
from timonier.api.managed.mention import mentioned
from timonier.api.managed.merge import merge
from timonier.api.managed.reconcile import settled
from timonier.api.managed.remove import remove
from timonier.api.managed.types import Type

Object = dict[str, Any]
T = TypeVar("T")

BEFORE_FIRST_APPLY, ANCIENT = "before-first-apply", "ancient-changes"
MOST_UPDATERS = 10
"""Updaters that an object remembers one by one."""
SERVER_OWNED = sets.of(*((f"f:{name}",) for name in ("apiVersion", "kind", "metadata")), *(
    ("f:metadata", f"f:{name}") for name in ("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName",
                                             "generation", "managedFields", "resourceVersion")))
"""Fields that say what an object is, and are nobody's."""


@dataclass(frozen=True)
class Door:
    """What objects are written through: their type and version, and the fields that this door does not write."""

    type: Type
    apiVersion: str
    subresource: str = ""
    reset: FieldSet = field(default_factory=dict)
    blank: Object = field(default_factory=dict)
    """An object of the kind that says nothing: what the fields of one that nobody manages yet are held against."""

    @cached_property
    def fresh(self) -> Fresh:
        """What makes the fields that the creator of an object manages: those that `update` finds in it."""
        return fresh(self.type, self.blank, self.reset, SERVER_OWNED)


@dataclass(frozen=True, slots=True)
class View:
    """An object in one version, and the fields that are not written there."""

    type: Type
    obj: Any
    reset: FieldSet = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InVersion:
    """Asks for an object, which is in one version, in another."""

    obj: Any
    apiVersion: str
    wanted: str


Operation = Generator[InVersion, View | None, T]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply comes to."""

    obj: Object
    managers: Managers


@dataclass(frozen=True, slots=True)
class Conflict:
    manager: Manager
    path: Path


class Conflicts(Exception):
    """Fields that somebody else manages and that an apply would change, by manager and path."""

    def __init__(self, found: list[Conflict]) -> None:
        super().__init__(f"{len(found)} conflicts")
        self.found = found


def run(operation: Operation[T], convert: Callable[[InVersion], View | None]) -> T:
    """The result of an operation, with conversions made at once."""
    try:
        wanted = next(operation)
        while True:
            wanted = operation.send(convert(wanted))
    except StopIteration as end:
        result: T = end.value
        return result


def update(door: Door, old: Object, new: Object, managers: Managers, me: Manager, now: str) -> Operation[Managers]:
    """The managers after `me` has made `new` of `old`: it manages what it changed, and nobody what is gone."""
    write = Write(door, old, new)
    if not write.difference.changed and not write.difference.removed:
        return managers
    mine, before = sets.difference(write.difference.changed, SERVER_OWNED), managers.get(me)
    if before and not write.difference.removed and sets.covers(before.fields, mine):
        # Most updates change again what the same program changed before: it keeps what it has.
        rest = {manager: owned for manager, owned in managers.items() if manager != me}
        kept, _ = yield from write.others(rest, None)
        kept[me] = Owned(before.fields, door.apiVersion, now) if mine else before
        return kept
    kept, _ = yield from write.others(managers, None)
    if mine:
        before = kept.get(me)
        kept[me] = Owned(sets.union(before.fields, mine) if before else mine, door.apiVersion, now)
    return capped(kept)


def apply(door: Door, live: Object, config: Object, managers: Managers, me: Manager, now: str, *,
          force: bool = False) -> Operation[Applied]:
    """What applying `config` makes of `live`. Raises Conflicts, unless forced to take fields from their managers.

    Where nobody managed anything, one manager is made for all that there was.
    """
    if not managers:
        managers = yield from update(door, door.blank, live, {},
                                     updater(BEFORE_FIRST_APPLY, door.apiVersion, door.subresource), now)
    return (yield from managed_apply(door, live, config, managers, me, now, force=force))


def managed_apply(door: Door, live: Object, config: Object, managers: Managers, me: Manager, now: str, *,
                  force: bool) -> Operation[Applied]:
    """`apply` to an object that is managed: the applier comes to manage exactly what it mentions.

    What it mentioned before, and neither it nor anybody else manages now, is removed.
    """
    asked = sets.pruned(mentioned(door.type, config), door.reset)
    claims = {**managers, me: Owned(asked, door.apiVersion)}
    wanted = merge(door.type, live, config)
    wanted = yield from without_dropped(door, wanted, claims, managers.get(me))
    changes = not alike(live, wanted)
    kept, conflicts = yield from Write(door, live, wanted).others(claims, me)
    if conflicts and not force:
        raise Conflicts(conflicts)
    kept.pop(me)
    mine, before = sets.difference(asked, SERVER_OWNED), managers.get(me)
    if mine:
        moved = changes or before is None or before.fields != mine
        kept[me] = Owned(mine, door.apiVersion, now if moved or before is None else before.time)
    return Applied((wanted if changes else live) or {}, kept)


class Write:
    """One change of an object, seen in every version that its managers wrote in."""

    def __init__(self, door: Door, old: Object, new: Object) -> None:
        self.door, self.old, self.new = door, old, new
        self.difference = between(View(door.type, old, door.reset), new)
        self.seen: dict[str, tuple[Type, Difference] | None] = {door.apiVersion: (door.type, self.difference)}

    def within(self, version: str) -> Operation[tuple[Type, Difference] | None]:
        """The type of a version, and what changed as seen there; None where the version is gone."""
        if version not in self.seen:
            before = yield InVersion(self.old, self.door.apiVersion, version)
            after = yield InVersion(self.new, self.door.apiVersion, version)
            self.seen[version] = (before.type, between(before, after.obj)) if before and after else None
        return self.seen[version]

    def others(self, managers: Managers, me: Manager | None) -> Operation[tuple[dict[Manager, Owned], list[Conflict]]]:
        """What the managers still manage, and what an apply by `me` takes from the others. Nobody asks that of an
        update, which has no `me`.
        """
        kept: dict[Manager, Owned] = {}
        conflicts: list[Conflict] = []
        for manager, owned in managers.items():
            if manager == me:
                kept[manager] = owned
                continue
            found = yield from self.within(owned.apiVersion)
            if found is None:
                continue
            kind, difference = found
            theirs = settled(kind, owned.fields)
            if taken := sets.intersection(theirs, difference.changed):
                if me:
                    conflicts += [Conflict(manager, path) for path in sets.paths(taken)]
                theirs = sets.difference(theirs, taken)
            if difference.removed:
                theirs = sets.difference(theirs, difference.removed)
            if theirs:
                kept[manager] = owned if theirs is owned.fields else replace(owned, fields=theirs)
        return kept, sorted(conflicts, key=lambda conflict: conflict.manager)


def between(before: View, after: Any) -> Difference:
    """What changed, but for the fields that are not written."""
    found, reset = compare(before.type, before.obj, after), before.reset
    return Difference(sets.pruned(found.changed, reset), sets.pruned(found.removed, reset)) if reset else found


def without_dropped(door: Door, wanted: Object, claims: Managers, last: Owned | None) -> Operation[Object]:
    """The merged object without what the applier mentioned last time, and neither it nor anybody manages now."""
    if last is None or not last.fields:
        return wanted
    managed: dict[str, FieldSet] = {last.apiVersion: {}}
    for owned in claims.values():
        managed[owned.apiVersion] = sets.union(managed.get(owned.apiVersion, {}), owned.fields)
    if last.apiVersion == door.apiVersion and not sets.difference(last.fields, managed[door.apiVersion]):
        return wanted
    view = yield from seen(door, wanted, door.apiVersion, last.apiVersion)
    if view is None:
        return wanted
    kind, whole = view.type, view.obj
    before = named(kind, settled(kind, last.fields))
    rest = remove(kind, whole, before)
    rest = yield from with_managed(door, whole, rest, last.apiVersion, managed)
    gone = sets.difference(named(kind, mentioned(kind, whole)), named(kind, mentioned(kind, rest)))
    result = remove(kind, whole, sets.intersection(gone, before))
    back = yield from seen(door, result, last.apiVersion, door.apiVersion)
    return back.obj if back else wanted


def with_managed(door: Door, whole: Any, rest: Any, version: str, managed: dict[str, FieldSet]) -> Operation[Any]:
    """What is left of an object after removing, with everything put back that is managed in any version."""
    start = version
    for target, theirs in managed.items():
        complete = yield from seen(door, whole, version, target)
        partial = yield from seen(door, rest, version, target)
        if complete is None or partial is None:
            continue
        kind, version, whole = complete.type, target, complete.obj
        keep = sets.union(named(kind, mentioned(kind, partial.obj)), named(kind, theirs))
        rest = remove(kind, whole, sets.difference(named(kind, mentioned(kind, whole)), keep))
    back = yield from seen(door, rest, version, start)
    return back.obj if back else whole


def seen(door: Door, obj: Any, version: str, wanted: str) -> Operation[View | None]:
    """An object in the version that is wanted."""
    if version == wanted == door.apiVersion:
        return View(door.type, obj)
    return (yield InVersion(obj, version, wanted))


def named(kind: Type | None, fields: FieldSet) -> FieldSet:
    """The set together with every struct field on the way to its members, which sets do not hold by themselves."""
    result = {}
    for step, node in fields.items():
        if not node or step == sets.SELF:
            result[step] = node
            continue
        below, field_of_struct = None, False
        if step.startswith("f:") and kind and kind.map:
            below, field_of_struct = kind.map.below(step[2:]), step[2:] in kind.map.fields
        elif step.startswith("k:") and kind and kind.list:
            below = kind.list.items
        result[step] = named(below, sets.marked(node) if field_of_struct else node)
    return result


def capped(managers: dict[Manager, Owned]) -> dict[Manager, Owned]:
    """The managers with no more than `MOST_UPDATERS` updaters: the oldest of a version become one."""
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    surplus = len(updaters) - MOST_UPDATERS
    if surplus <= 0:
        return managers
    kept = dict(managers)
    first: dict[str, Manager] = {}
    for manager in sorted(updaters, key=lambda manager: (managers[manager].time, manager)):
        if surplus <= 0:
            break
        version = manager.apiVersion
        if version not in first:
            first[version] = manager
            continue
        bucket = updater(ANCIENT, version)
        if bucket not in kept:
            kept[bucket] = kept.pop(first[version])
        theirs = kept.pop(manager)
        kept[bucket] = Owned(sets.union(kept[bucket].fields, theirs.fields), version, theirs.time)
        surplus -= 1
    return kept
