"""Objects of a custom kind: what is pruned, written out and refused."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.api.check import Unreadable
from timonier.api.structural.shape import Custom

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def shape(spec: dict[str, Any], status: dict[str, Any] | None = None, **version: Any) -> Custom:
    fields = {"spec": spec} | ({"status": status} if status else {})
    schema = {"type": "object", "properties": fields}
    return Custom("Foo", {"name": "v1", "schema": {"openAPIV3Schema": schema}} | version)


def foo(spec: Any = None, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Foo",
            "metadata": {"name": "x", "namespace": "default"}} | ({} if spec is None else {"spec": spec}) | rest


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(("schema", "given", "left", "unknown"), [
    pytest.param(fields(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["spec.b"], id="field"),
    pytest.param(fields(a=fields(b=STRING)), {"a": {"c": {"d": 1}, "b": "x"}}, {"a": {"b": "x"}}, ["spec.a.c"],
                 id="deep"),
    pytest.param(fields(a={"type": "array", "items": fields(b=STRING)}), {"a": [{"b": "x"}, {"c": 1}]},
                 {"a": [{"b": "x"}, {}]}, ["spec.a[1].c"], id="element"),
    pytest.param(fields(a={"type": "object", "additionalProperties": fields(b=STRING)}), {"a": {"k": {"c": 1}}},
                 {"a": {"k": {}}}, ["spec.a.k.c"], id="map"),
    pytest.param(fields(a=ANYTHING | {"properties": {"b": fields(c=STRING)}}), {"a": {"x": {"y": 1}, "b": {"z": 1}}},
                 {"a": {"x": {"y": 1}, "b": {}}}, ["spec.a.b.z"], id="preserved-but-for-what-is-named"),
    pytest.param(fields(a={"type": "object", "additionalProperties": True}), {"a": {"k": "v", "o": {"x": 1}}},
                 {"a": {"k": "v", "o": {}}}, ["spec.a.o.x"], id="values-of-no-schema"),
    pytest.param(fields(a=STRING, b=STRING | {"nullable": True}, c=STRING | {"default": "x"}),
                 {"a": None, "b": None, "c": None}, {"b": None, "c": None}, [], id="nulls"),
])
def test_what_the_schema_does_not_name_goes_and_is_reported(schema, given, left, unknown):
    result = shape(schema).check(foo(given))
    assert result.obj["spec"] == left
    assert result.unknown == [f'unknown field "{path}"' for path in unknown]


def test_metadata_is_decoded_like_that_of_any_object():
    result = shape(fields()).check(foo({}, metadata={"name": "x", "labels": {"a": "b"}, "colour": "red"}))
    assert result.obj["metadata"] == {"name": "x", "labels": {"a": "b"}}
    assert result.unknown == ['unknown field "metadata.colour"']
    with pytest.raises(Unreadable) as caught:
        shape(fields()).check(foo({}, metadata={"name": "x", "labels": {"a": 1}}))
    assert caught.value.message == ('Foo in version "v1" cannot be handled as a Foo: json: cannot unmarshal number '
                                    "into Go struct field ObjectMeta.labels of type string")


EMBEDDED = ANYTHING | {"x-kubernetes-embedded-resource": True}


def test_the_metadata_of_embedded_resources_is_decoded_and_judged():
    custom = shape(fields(pod=EMBEDDED))
    result = custom.check(foo({"pod": {"kind": "Pod", "metadata": {"name": "x", "colour": "red"}, "spec": {"a": 1}}}))
    assert result.obj["spec"]["pod"] == {"kind": "Pod", "metadata": {"name": "x"}, "spec": {"a": 1}}
    assert result.unknown == ['unknown field "spec.pod.metadata.colour"']
    assert [str(cause) for cause in custom.validate(result.obj, None)] == ["spec.pod.apiVersion: Required value"]


def test_defaults_are_written_where_nothing_or_an_unwanted_null_is():
    schema = fields(a=INTEGER | {"default": 1}, b=STRING | {"default": "x", "nullable": True},
                    c=fields(d=STRING | {"default": "y"}) | {"default": {}},
                    e={"type": "array", "items": fields(f=INTEGER | {"default": 2})},
                    g={"type": "object", "additionalProperties": fields(f=INTEGER | {"default": 3})})
    obj = foo({"a": None, "b": None, "e": [{}], "g": {"k": {}}})
    shape(schema).default(obj)
    assert obj["spec"] == {"a": 1, "b": None, "c": {"d": "y"}, "e": [{"f": 2}], "g": {"k": {"f": 3}}}
    again = foo({})
    shape(schema).default(again)
    again["spec"]["c"]["d"] = "z"
    other = foo({})
    shape(schema).default(other)
    assert other["spec"]["c"] == {"d": "y"}, "a default is nobody's own"


@pytest.mark.parametrize(("kind", "given", "said"), [
    pytest.param({"x-kubernetes-list-type": "set", "items": STRING}, ["a", "b", "a", "a"],
                 ['spec.l[2]: Duplicate value: "a"'], id="set"),
    pytest.param({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                  "items": fields(name=STRING)},
                 [{"name": "a"}, {"name": "a"}], ['spec.l[1]: Duplicate value: {"name":"a"}'], id="map"),
    pytest.param({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                  "items": fields(port=INTEGER, protocol=STRING)},
                 [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}, {"port": 1, "protocol": "TCP"}],
                 ['spec.l[2]: Duplicate value: {"port":1,"protocol":"TCP"}'], id="map-with-two-keys"),
])
def test_sets_and_maps_have_no_equal_elements(kind, given, said):
    custom = shape(fields(l={"type": "array"} | kind))
    assert [str(cause) for cause in custom.validate(foo({"l": given}), None)] == said
    assert custom.validate(foo({"l": given}), foo({"l": given}), "") == [], "what was so may stay so"


def test_status_alone_is_judged_behind_its_own_door():
    custom = shape(fields(a=INTEGER), fields(ready=INTEGER), subresources={"status": {}})
    obj = foo({"a": "wrong"}, status={"ready": "wrong"})
    assert [cause.field for cause in custom.validate(obj, foo(), "status")] == ["status.ready"]
    assert [cause.field for cause in custom.validate(obj, foo())] == ["spec.a", "status.ready"]


def test_the_paths_of_scale_hold_numbers():
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.sel"}
    custom = shape(ANYTHING, ANYTHING, subresources={"scale": paths})
    assert [str(cause) for cause in custom.validate(foo({"size": -1}, status={"size": "x", "sel": 3}), None)] == [
        ".spec.size: Invalid value: -1: should be a non-negative integer",
        ".status.size: Invalid value: 0: .status.size accessor error: x is of the type string, expected int64",
        '.status.sel: Invalid value: "": .status.sel accessor error: 3 is of the type int64, expected string']


def test_names_are_those_of_any_object():
    bad = foo({}, metadata={"name": "Not A Name", "namespace": "default"})
    assert [cause.field for cause in shape(fields()).validate(bad, None)] == ["metadata.name"]
