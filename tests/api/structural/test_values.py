"""Values judged by their schema: the words, what may stay wrong, and an independent validator's opinion."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api.structural.values import NEW, compiled, judge

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def said(schema: Any, value: Any, old: Any = NEW) -> list[str]:
    whole = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": schema}}}}
    before = old if old is NEW else {"spec": {"a": old}}
    return [str(cause) for cause in judge(compiled(whole), {"spec": {"a": value}}, before)]


@pytest.mark.parametrize(("schema", "value", "message"), [
    pytest.param(INTEGER | {"minimum": 1}, 0,
                 "spec.a: Invalid value: 0: spec.a in body should be greater than or equal to 1", id="minimum"),
    pytest.param(INTEGER | {"maximum": 3, "exclusiveMaximum": True}, 3,
                 "spec.a: Invalid value: 3: spec.a in body should be less than 3", id="exclusive-maximum"),
    pytest.param({"type": "number", "maximum": 1.5}, 2.25,
                 "spec.a: Invalid value: 2.25: spec.a in body should be less than or equal to 1.5", id="number"),
    pytest.param(INTEGER | {"multipleOf": 5}, 7,
                 "spec.a: Invalid value: 7: spec.a in body should be a multiple of 5", id="multiple"),
    pytest.param(INTEGER, "x", 'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"',
                 id="type"),
    pytest.param(STRING, None, 'spec.a: Invalid value: "null": spec.a in body must be of type string: "null"',
                 id="null"),
    pytest.param({"x-kubernetes-int-or-string": True}, True,
                 'spec.a: Invalid value: "boolean": spec.a in body must be of type integer,string: "boolean"',
                 id="int-or-string"),
    pytest.param(INTEGER | {"format": "int32"}, 2**31,
                 '<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.a',
                 id="int32"),
    pytest.param(STRING | {"enum": ["x", "y"]}, "z", 'spec.a: Unsupported value: "z": supported values: "x", "y"',
                 id="enum"),
    pytest.param(STRING | {"pattern": "^[a-z]+$"}, "A1",
                 "spec.a: Invalid value: \"A1\": spec.a in body should match '^[a-z]+$'", id="pattern"),
    pytest.param(STRING | {"maxLength": 2}, "äöü", "spec.a: Too long: may not be more than 2 bytes", id="too-long"),
    pytest.param(STRING | {"minLength": 2}, "ä",
                 'spec.a: Invalid value: "ä": spec.a in body should be at least 2 chars long',
                 id="too-short"),
    pytest.param(STRING | {"format": "date-time"}, "yesterday",
                 'spec.a: Invalid value: "yesterday": spec.a in body must be of type date-time: "yesterday"',
                 id="format"),
    pytest.param({"type": "array", "items": STRING, "maxItems": 1}, ["x", "y"],
                 "spec.a: Too many: 2: must have at most 1 item", id="too-many"),
    pytest.param({"type": "array", "items": STRING, "minItems": 1}, [],
                 "spec.a: Invalid value: 0: spec.a in body should have at least 1 items", id="too-few"),
    pytest.param({"type": "array", "items": STRING}, ["x", 3],
                 'spec.a[1]: Invalid value: "integer": spec.a[1] in body must be of type string: "integer"',
                 id="element"),
    pytest.param({"type": "object", "required": ["b"], "properties": {"b": STRING}}, {}, "spec.a.b: Required value",
                 id="required"),
    pytest.param({"type": "object", "additionalProperties": INTEGER}, {"x": "y"},
                 'spec.a.x: Invalid value: "string": spec.a.x in body must be of type integer: "string"', id="map"),
    pytest.param({"type": "object", "additionalProperties": STRING, "maxProperties": 1}, {"x": "1", "y": "2"},
                 "spec.a: Too many: 2: must have at most 1 item", id="too-many-properties"),
    pytest.param(INTEGER | {"not": {"minimum": 5}}, 6,
                 '<nil>: Invalid value: "": "spec.a" must not validate the schema (not)', id="not"),
])
def test_what_is_wrong_is_said_in_the_words_of_kubernetes(schema, value, message):
    assert said(schema, value) == [message]


def test_the_branch_that_looked_at_most_is_explained():
    schema = {"type": "object", "properties": {"x": INTEGER, "y": INTEGER}, "oneOf": [
        {"required": ["z"]}, {"properties": {"x": {"minimum": 5}, "y": {"minimum": 5}}}]}
    assert said(schema, {"x": 1, "y": 6}) == [
        '<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found none valid',
        "spec.a.x: Invalid value: 1: spec.a.x in body should be greater than or equal to 5"]


def test_too_many_valid_branches_are_counted():
    schema = INTEGER | {"oneOf": [{"minimum": 1}, {"minimum": 2}]}
    assert said(schema, 3) == ['<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). '
                               "Found 2 valid alternatives"]


def test_what_was_wrong_and_is_unchanged_stays():
    assert said(INTEGER | {"minimum": 5}, 1, old=1) == []
    assert said(INTEGER | {"minimum": 5}, 2, old=1) != []
    assert said(INTEGER, True, old=1) != [], "true is not 1"


def test_elements_of_a_list_are_compared_by_their_key_alone():
    element = {"type": "object", "properties": {"name": STRING, "size": INTEGER | {"minimum": 5}}}
    by_key = {"type": "array", "items": element, "x-kubernetes-list-type": "map",
              "x-kubernetes-list-map-keys": ["name"]}
    old, new = [{"name": "x", "size": 1}], [{"name": "y", "size": 9}, {"name": "x", "size": 1}]
    assert said(by_key, new, old) == []
    assert said({"type": "array", "items": element}, new, old) == [
        "spec.a[1].size: Invalid value: 1: spec.a[1].size in body should be greater than or equal to 5"]


def test_causes_of_a_part_lie_where_the_part_lies():
    check = compiled({"type": "object", "properties": {"ready": INTEGER}, "required": ["phase"]})
    assert [cause.field for cause in judge(check, {"ready": "x"}, NEW, "status")] == ["status.ready", "status.phase"]
    assert [str(cause) for cause in judge(check, 3, NEW, "status")] == [
        'status: Invalid value: "integer":  in body must be of type object: "integer"']


SCALARS = st.one_of(
    st.just(STRING), st.just({"type": "boolean"}),
    st.builds(lambda low: STRING | {"minLength": low}, st.integers(0, 3)),
    st.builds(lambda high: STRING | {"maxLength": high}, st.integers(0, 3)),
    st.builds(lambda values: STRING | {"enum": values}, st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
    st.builds(lambda low, over: INTEGER | {"minimum": low} | ({"exclusiveMinimum": True} if over else {}),
              st.integers(-3, 3), st.booleans()),
    st.builds(lambda high: INTEGER | {"maximum": high}, st.integers(-3, 3)),
    st.builds(lambda factor: {"type": "number", "multipleOf": factor}, st.sampled_from([2, 3, 0.5])))


def composed(inner: Any) -> Any:
    return st.one_of(
        st.builds(lambda item, most: {"type": "array", "items": item, "maxItems": most}, inner, st.integers(0, 3)),
        st.builds(lambda value: {"type": "object", "additionalProperties": value}, inner),
        st.builds(lambda named, required: {"type": "object", "properties": named, "required": required},
                  st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                  st.lists(st.sampled_from("abc"), unique=True, max_size=2)),
        st.builds(lambda name, one, two: {name: [one, two]}, st.sampled_from(["anyOf", "oneOf", "allOf"]), inner,
                  inner),
        st.builds(lambda one: {"not": one}, inner))


SCHEMAS = st.recursive(SCALARS, composed, max_leaves=6)
VALUES = st.recursive(
    st.one_of(st.sampled_from("abc"), st.text(max_size=4), st.integers(-4, 4), st.booleans(),
              st.sampled_from([0.5, 1.5])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6)


def draft7(schema: Any) -> Any:
    """The same schema, with exclusive bounds as JSON Schema has them since."""
    if isinstance(schema, list):
        return [draft7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: draft7(value) for key, value in schema.items()}
    if made.pop("exclusiveMinimum", False):
        made["exclusiveMinimum"] = made.pop("minimum")
    return made


@given(SCHEMAS, VALUES)
def test_an_independent_validator_agrees(schema, value):
    ours = not judge(compiled(schema), copy.deepcopy(value))
    assert ours == jsonschema_rs.validator_for(draft7(schema)).is_valid(value)


@given(SCHEMAS, VALUES)
def test_nothing_unchanged_is_ever_refused(schema, value):
    assert judge(compiled(schema), value, copy.deepcopy(value)) == []
