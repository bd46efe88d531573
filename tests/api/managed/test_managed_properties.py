"""Properties of sets of fields and of the operations, beside slow and obvious oracles."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from timonier.api.managed import conform, fields, operations
from timonier.api.managed.compare import alike, compare
from timonier.api.managed.managers import Manager, Managers, applier, decode, encode, updater
from timonier.api.managed.mention import mentioned
from timonier.api.managed.merge import merge
from timonier.api.managed.operations import Conflicts, Door
from timonier.api.managed.types import type_of

NAMES = st.sampled_from(["a", "b", "c"])
ITEM = {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 80},
                                         "value": {"type": "string"}, "tags": {
                                             "type": "array", "items": {"type": "string"},
                                             "x-kubernetes-list-type": "set"}}}
SCHEMA = {"type": "object", "properties": {
    "number": {"type": "integer"}, "text": {"type": "string"},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
    "whole": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
    "inner": {"type": "object", "properties": {"left": {"type": "string"}, "right": {"type": "boolean"}}},
    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"],
              "items": ITEM},
    "list": {"type": "array", "items": {"type": "string"}},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}}
KIND = type_of(SCHEMA)
DOOR = Door(KIND, "v1")
NOW = "2026-01-01T00:00:00Z"

WORDS = st.sampled_from(["x", "y", "z"])
ITEMS = st.lists(st.fixed_dictionaries({"name": NAMES}, optional={
    "port": st.sampled_from([80, 443]), "value": WORDS, "tags": st.lists(WORDS, unique=True, min_size=1)}),
    max_size=3, unique_by=lambda item: (item["name"], item.get("port", 80)))
OBJECTS = st.fixed_dictionaries({}, optional={
    "number": st.integers(0, 3), "text": WORDS, "map": st.dictionaries(NAMES, WORDS, min_size=1),
    "whole": st.dictionaries(NAMES, WORDS, min_size=1),
    "inner": st.fixed_dictionaries({}, optional={"left": WORDS, "right": st.booleans()}).filter(bool),
    "items": ITEMS.filter(bool), "list": st.lists(WORDS, max_size=2),
    "free": st.dictionaries(NAMES, st.one_of(WORDS, st.booleans(), st.integers(0, 1)), min_size=1)})
PATHS = st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"a"}', "v:1"]), min_size=1, max_size=3).map(tuple)
SETS = st.lists(PATHS, max_size=8).map(lambda paths: fields.of(*paths))


def members(found: fields.FieldSet) -> set[fields.Path]:
    return set(fields.paths(found))


@given(SETS, SETS)
def test_sets_are_sets_of_paths(a: fields.FieldSet, b: fields.FieldSet) -> None:
    assert members(fields.union(a, b)) == members(a) | members(b)
    assert members(fields.intersection(a, b)) == members(a) & members(b)
    assert members(fields.difference(a, b)) == members(a) - members(b)
    within = {path for path in members(a) if any(path[:len(other)] == other for other in members(b))}
    assert members(fields.pruned(a, b)) == members(a) - within
    assert fields.covers(a, b) == (members(b) <= members(a))
    assert all(fields.contains(a, path) == (path in members(a)) for path in members(a) | members(b))


@given(SETS, SETS)
def test_equal_sets_are_equal_dicts_and_what_is_empty_is_nothing(a: fields.FieldSet, b: fields.FieldSet) -> None:
    for made in (fields.union(a, b), fields.intersection(a, b), fields.difference(a, b), fields.pruned(a, b)):
        assert made == fields.of(*members(made)) == fields.read(made)


@given(OBJECTS, OBJECTS)
def test_a_difference_says_where_two_objects_differ(old: Any, new: Any) -> None:
    found = compare(KIND, old, new)
    assert (not found.changed and not found.removed) == alike(old, new)
    back = compare(KIND, new, old)
    before, after = everything(old), everything(new)
    assert fields.intersection(found.removed, after) == {}
    assert fields.difference(before, fields.union(after, found.removed)) == {}
    assert fields.difference(after, fields.union(before, found.changed)) == {}
    assert fields.difference(found.changed, fields.union(back.changed, back.removed)) == {}


def everything(obj: Any) -> fields.FieldSet:
    """All leaves, items, and the structs on the way to them."""
    return compare(KIND, {}, obj).changed


@given(OBJECTS, OBJECTS)
def test_a_merge_says_what_the_configuration_says_and_loses_nothing(live: Any, config: Any) -> None:
    merged = merge(KIND, live, config)
    assert conform.faults(KIND, merged) == []
    said = compare(KIND, config, merged)
    assert fields.intersection(mentioned(KIND, config), fields.union(said.changed, said.removed)) == {}
    lost = compare(KIND, live, merged).removed
    assert not members(lost) or any(path[:1] in {("f:whole",), ("f:list",), ("f:free",)} for path in members(lost))
    assert alike(merge(KIND, merged, config), merged)


@given(OBJECTS)
def test_merging_with_nothing_or_itself_changes_nothing(obj: Any) -> None:
    assert merge(KIND, obj, {}) == merge(KIND, {}, obj) == merge(KIND, obj, obj) == obj


def applied(live: Any, config: Any, managers: Managers, name: str) -> operations.Applied:
    return operations.run(operations.apply(DOOR, live, config, managers, applier(name), NOW, force=True), nowhere)


def nowhere(wanted: operations.InVersion) -> operations.View | None:
    return None


@given(OBJECTS, OBJECTS, OBJECTS)
def test_applying_twice_is_applying_once(first: Any, second: Any, third: Any) -> None:
    one = applied({}, first, {}, "one")
    two = applied(one.obj, second, one.managers, "two")
    three = applied(two.obj, third, two.managers, "one")
    assert applied(three.obj, third, three.managers, "one") == three


@given(OBJECTS, OBJECTS)
def test_an_applier_manages_what_it_mentions_and_no_more(first: Any, second: Any) -> None:
    one = applied({}, first, {}, "one")
    two = applied(one.obj, second, one.managers, "one")
    owned = two.managers.get(applier("one"))
    assert (owned.fields if owned else {}) == mentioned(KIND, second)
    assert alike(two.obj, second) or not second, "what one applier leaves out goes"


@given(OBJECTS, OBJECTS)
def test_what_another_applier_manages_stays_when_one_leaves(first: Any, second: Any) -> None:
    one = applied({}, first, {}, "one")
    two = applied(one.obj, second, one.managers, "two")
    three = applied(two.obj, {}, two.managers, "one")
    assert applier("one") not in three.managers
    kept = compare(KIND, second, three.obj)
    assert fields.intersection(mentioned(KIND, second), fields.union(kept.changed, kept.removed)) == {}


@given(OBJECTS, OBJECTS)
def test_an_apply_conflicts_where_and_only_where_it_changes_what_another_manages(first: Any, second: Any) -> None:
    one = applied({}, first, {}, "one")
    wanted = merge(KIND, one.obj, second)
    disputed = fields.intersection(mentioned(KIND, first), compare(KIND, one.obj, wanted).changed)
    try:
        operations.run(operations.apply(DOOR, one.obj, second, one.managers, applier("two"), NOW), nowhere)
        found = set()
    except Conflicts as conflicts:
        found = {conflict.path for conflict in conflicts.found}
    assert found == members(disputed)


@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), OBJECTS), min_size=1, max_size=4))
def test_updaters_manage_each_field_that_is_there_and_nothing_else(writes: list[tuple[str, Any]]) -> None:
    obj: Any = {}
    managers: Managers = {}
    for name, new in writes:
        managers = operations.run(operations.update(DOOR, obj, new, managers, updater(name, "v1"), NOW), nowhere)
        obj = new
    owned = [set(members(entry.fields)) for entry in managers.values()]
    assert set().union(*owned) == members(everything(obj))
    assert sum(map(len, owned)) == len(set().union(*owned)), "a field that was updated has one manager"


@given(st.lists(st.tuples(st.builds(Manager, WORDS, st.just("Update"), st.just("v1"), st.sampled_from(["", "status"])),
                          SETS.filter(bool)), max_size=4))
def test_managed_fields_are_read_as_they_were_written(entries: list[tuple[Manager, fields.FieldSet]]) -> None:
    managers = {manager: operations.Owned(owned, "v1", NOW) for manager, owned in entries}
    assert decode(encode(managers)) == decode(encode(managers), known=True) == managers


@given(OBJECTS, OBJECTS, OBJECTS)
def test_nothing_that_was_handed_in_is_changed(live: Any, config: Any, other: Any) -> None:
    before = copy.deepcopy((live, config, other))
    one = applied({}, live, {}, "one")
    kept = copy.deepcopy(one)
    two = applied(one.obj, config, one.managers, "two")
    operations.run(operations.update(DOOR, two.obj, other, two.managers, updater("m", "v1"), NOW), nowhere)
    applied(two.obj, other, two.managers, "one")
    assert (live, config, other) == before
    assert one == kept
