"""What is all new, by compiled types, beside the slow and general ways to the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import schema_objects

from timonier.api.fill import fill
from timonier.api.managed import operations
from timonier.api.managed.elements import FIELD
from timonier.api.managed.fields import SELF, FieldSet
from timonier.api.managed.fresh import general
from timonier.api.managed.managers import updater
from timonier.api.managed.operations import SERVER_OWNED, Door
from timonier.api.managed.types import NoKey, Type, of_object, type_of
from timonier.api.managed.whole import Incomparable, all_of
from timonier.api.schema import Schema, definition

NOW = "2026-01-01T00:00:00Z"
TEXT: Schema = {"type": "string"}
ITEM: Schema = {"type": "object", "required": ["name"], "properties": {
    "name": TEXT, "port": {"type": "integer", "default": 80}, "on": {"type": "boolean"}, "value": TEXT,
    "tags": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}}}
CUSTOM: Schema = {"type": "object", "properties": {
    "spec": {"type": "object", "properties": {
        "labels": {"type": "object", "additionalProperties": TEXT},
        "whole": {"type": "object", "additionalProperties": TEXT, "x-kubernetes-map-type": "atomic"},
        "struct": {"type": "object", "properties": {"left": TEXT}, "x-kubernetes-map-type": "atomic"},
        "by": {"type": "object", "additionalProperties": ITEM},
        "items": {"type": "array", "items": ITEM, "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["name", "port"]},
        "switches": {"type": "array", "items": ITEM, "x-kubernetes-list-type": "map",
                     "x-kubernetes-list-map-keys": ["on"]},
        "list": {"type": "array", "items": ITEM},
        "numbers": {"type": "array", "items": {"type": "number"}, "x-kubernetes-list-type": "set"},
        "merged": {"type": "array", "items": ITEM, "x-kubernetes-patch-strategy": "merge"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "half": {"type": "object", "properties": {"item": ITEM}, "x-kubernetes-preserve-unknown-fields": True},
        "either": {"x-kubernetes-int-or-string": True}, "any": {},
        "both": {"properties": {"left": TEXT}, "items": TEXT, "x-kubernetes-list-type": "set"},
        "inner": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": ITEM}}}},
    "status": {"type": "object", "properties": {"set": {"type": "array", "items": TEXT,
                                                        "x-kubernetes-list-type": "set"}}}}}
API = "io.k8s.api."
PUBLISHED = [API + name for name in ("core.v1.Pod", "core.v1.Node", "apps.v1.Deployment", "discovery.v1.EndpointSlice",
                                     "autoscaling.v2.HorizontalPodAutoscaler")]
RESETS: list[FieldSet] = [
    {}, {"f:status": {}}, {"f:spec": {}, "f:status": {SELF: {}, "f:conditions": {}}},
    {"f:metadata": {"f:labels": {}}, "f:spec": {"f:template": {"f:spec": {SELF: {}, "f:containers": {}}},
                                                "f:ports": {'k:{"port":80,"protocol":"TCP"}': {}}, "f:items": {}}}]


def everything(kind: Type | None, value: Any) -> FieldSet:
    """The node of a value, slowly."""
    if kind is None or not value:
        return {}
    if isinstance(value, dict) and kind.map and not kind.map.atomic:
        return {SELF: {}, **{FIELD + name: everything(kind.map.below(name), child) for name, child in value.items()}}
    node: FieldSet = {}
    if isinstance(value, list) and kind.list and not kind.list.atomic:
        node[SELF] = {}
        for place, item in enumerate(value):
            try:
                step = kind.list.element(item)
            except NoKey as error:
                raise Incomparable(f"element {place}: {error}") from None
            node[step] = {} if step in node else everything(kind.list.items, item)
    return node


def outcome(made: Callable[[], FieldSet]) -> str:
    """The set that is made, with its steps in order, or why there is none."""
    try:
        return json.dumps(made())
    except Incomparable as error:
        return str(error)


@pytest.mark.parametrize("schema", [pytest.param(CUSTOM, id="custom"),
                                    *(pytest.param({"$ref": name}, id=name) for name in PUBLISHED[:2])])
def test_the_fields_of_a_value_are_those_that_a_slow_look_finds(schema: Schema) -> None:
    kind = type_of(schema)

    @given(schema_objects.values(schema, spoil=True))
    def holds(value: Any) -> None:
        assert outcome(lambda: all_of(kind, value)) == outcome(lambda: everything(kind, value))
    holds()


@pytest.mark.parametrize("name", PUBLISHED)
def test_who_creates_an_object_manages_what_an_update_of_a_blank_one_would_give(name: str) -> None:
    blank: Any = {"apiVersion": "v1", "kind": "Any"}
    fill(blank, name)
    holds_for_new_objects(definition(name), blank)


@pytest.mark.parametrize("blank", [
    pytest.param({}, id="nothing"), pytest.param({"apiVersion": "v1", "kind": "Any"}, id="custom"),
    pytest.param({"kind": "Any", "metadata": {"name": ""}, "status": {}, "spec": {
        "items": [{"name": "", "port": 80}], "numbers": [], "labels": {}, "whole": {}, "by": {"a": {}},
        "half": {"item": {"name": ""}}, "list": [], "either": 0, "free": {}, "any": 0, "merged": []}}, id="all-sorts")])
def test_who_creates_a_custom_object_manages_what_an_update_of_a_blank_one_would_give(blank: Any) -> None:
    holds_for_new_objects(CUSTOM, blank)
    holds_for_new_objects(CUSTOM | {"x-kubernetes-preserve-unknown-fields": True}, blank)


def holds_for_new_objects(schema: Schema, blank: Any) -> None:
    doors = [Door(of_object(schema), "v1", reset=reset, blank=blank) for reset in RESETS]
    metadata = schema_objects.of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", spoil=True)

    @given(st.integers(0, len(doors) - 1), schema_objects.values(schema, spoil=True), metadata, st.booleans())
    def holds(which: int, said: Any, metadata: Any, same: bool) -> None:
        door = doors[which]
        new = {"apiVersion": "v1", "kind": "Any", "metadata": metadata} | said
        new |= copy.deepcopy(blank) if same else {}
        before = copy.deepcopy(new)
        by_update = outcome(lambda: updated(door, new))
        assert outcome(lambda: door.fresh(new)) == by_update
        assert outcome(lambda: general(door.type, blank, door.reset, SERVER_OWNED, new)) == by_update
        assert new == before
    holds()


def updated(door: Door, new: Any) -> FieldSet:
    """What comes to be managed in the way of every other write."""
    me = updater("me", door.apiVersion)
    managers = operations.run(operations.update(door, door.blank, new, {}, me, NOW), lambda wanted: None)
    return managers[me].fields if me in managers else {}
