"""Decoding by the schema: what is accepted, what is said of what is not, and an independent validator's opinion."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import schema_objects

from timonier.api.check import OFF, Unreadable, check, strict
from timonier.api.duplicates import duplicates, in_order, may_repeat
from timonier.api.fill import fill
from timonier.api.schema import definition, definitions, docs

POD, DEPLOYMENT = "io.k8s.api.core.v1.Pod", "io.k8s.api.apps.v1.Deployment"
SPECIAL = {"JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray"}
PREFIX = 'Pod in version "v1" cannot be handled as a Pod: '


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]} | spec}


def test_fields_of_features_that_are_off_are_dropped_without_a_word():
    checked = check(pod(volumes=[{"name": "a", "emptyDir": {"mode": 511, "medium": "Memory"}}]), POD)
    assert checked.obj["spec"]["volumes"] == [{"name": "a", "emptyDir": {"medium": "Memory"}}]
    assert checked.unknown == []
    with pytest.raises(Unreadable):
        check(pod(volumes=[{"name": "a", "emptyDir": {"mode": "all"}}]), POD)


@pytest.mark.parametrize("name", OFF)
def test_fields_that_are_off_are_of_alpha_features(name):
    for field in OFF[name]:
        assert "alpha" in str(docs(f"io.k8s.api.{name}")[1][field]).lower()


@pytest.mark.parametrize(("spec", "why"), [
    pytest.param({"hostNetwork": "yes"},
                 "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool", id="bool"),
    pytest.param({"containers": "web"},
                 "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
                 id="list"),
    pytest.param({"containers": ["web"]},
                 "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
                 id="element"),
    pytest.param({"containers": [{"ports": [{"containerPort": "80"}]}]}, "json: cannot unmarshal string into Go struct "
                 "field ContainerPort.spec.containers.ports.containerPort of type int32", id="int32"),
    pytest.param({"containers": [{"ports": [{"containerPort": 3000000000}]}]}, "json: cannot unmarshal number "
                 "3000000000 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
                 id="too-large"),
    pytest.param({"terminationGracePeriodSeconds": 1.5}, "json: cannot unmarshal number 1.5 into Go struct field "
                 "PodSpec.spec.terminationGracePeriodSeconds of type int64", id="fraction"),
    pytest.param({"nodeSelector": {"disk": 1}}, "json: cannot unmarshal number into Go struct field "
                 "PodSpec.spec.nodeSelector of type string", id="map"),
    pytest.param({"securityContext": 3}, "json: cannot unmarshal number into Go struct field "
                 "PodSpec.spec.securityContext of type v1.PodSecurityContext", id="object"),
    pytest.param({"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}, "quantities must match the regular "
                 "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'", id="quantity"),
    pytest.param({"containers": [{"livenessProbe": {"httpGet": {"port": True}}}]},
                 "json: cannot unmarshal bool into Go value of type int32", id="int-or-string"),
])
def test_wrong_types_are_refused_in_the_words_of_go(spec, why):
    with pytest.raises(Unreadable) as caught:
        check(pod(**spec), POD)
    assert caught.value.why == why
    assert caught.value.message == PREFIX + why
    assert caught.value.code == 400


def test_a_list_is_no_pod():
    with pytest.raises(Unreadable, match=r"cannot unmarshal array into Go value of type v1\.Pod"):
        check([], POD)


def test_unknown_fields_are_dropped_and_named_in_order():
    obj = pod(colour="red", containers=[{"name": "a"}, {"name": "b", "imag": "x"}])
    obj["extra"] = {"deep": 1}
    checked = check(obj, POD)
    assert checked.unknown == ['unknown field "spec.containers[1].imag"', 'unknown field "spec.colour"',
                               'unknown field "extra"']
    assert checked.obj["spec"] == {"containers": [{"name": "a"}, {"name": "b"}]}
    assert strict("v1", "Pod", checked.unknown[:1]).message == \
        PREFIX + 'strict decoding error: unknown field "spec.containers[1].imag"'


def test_nulls_go_from_objects_and_become_zero_in_lists_and_maps():
    obj = pod(nodeName=None, containers=[None], nodeSelector={"disk": None})
    obj["metadata"]["creationTimestamp"] = None
    assert check(obj, POD).obj == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
                                   "spec": {"containers": [{}], "nodeSelector": {"disk": ""}}}


def test_quantities_and_moments_become_canonical():
    obj = pod(containers=[{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "1000m"}}}])
    obj["metadata"]["creationTimestamp"] = "2026-01-02T05:04:05.9+02:00"
    checked = check(obj, POD).obj
    assert checked["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m", "memory": "1Gi"},
                                                            "requests": {"cpu": "1"}}
    assert checked["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(("data", "why"), [
    ({"a": "not base64!"}, "illegal base64 data at input byte 3"),
    ({"a": "YQ"}, "illegal base64 data at input byte 2"),
    ({"a": 1}, "json: cannot unmarshal number into Go value of type []uint8"),
])
def test_secret_data_must_be_base64(data, why):
    with pytest.raises(Unreadable) as caught:
        check({"data": data}, "io.k8s.api.core.v1.Secret")
    assert caught.value.why == why


def test_line_breaks_within_base64_are_ignored():
    checked = check({"data": {"a": "YWJj\nZGVm\r\n"}}, "io.k8s.api.core.v1.Secret")
    assert checked.obj["data"]["a"] == "YWJjZGVm"


def test_schemas_of_custom_resources_are_checked_all_the_way_down():
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    schema = {"type": "object", "properties": {"a": {"items": {"typ": "string"}, "additionalProperties": False}},
              "default": {"any": None}, "$ref": "x"}
    assert check(schema, name).unknown == ['unknown field "properties.a.items.typ"']
    assert schema["default"] == {"any": None}


def test_nesting_without_end_is_refused():
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(Unreadable, match="exceeded max depth"):
        check(deep, name)


def test_duplicate_fields_are_named_in_order():
    text = b'{"a":1,"a":{"b":1,"b":2},"c":[{"d":1,"d":1}]}'
    assert duplicates(text) == ['duplicate field "a"', 'duplicate field "a.b"', 'duplicate field "c[0].d"']
    assert duplicates("[" * 100_000 + "]" * 100_000) == []


def test_complaints_come_in_the_order_in_which_a_decoder_has_reason_for_them() -> None:
    text = rb'{"a":1,"x":[{"y":1,"b":2,"b":3}],"a":2,"\"z":0}'
    complaints = ['duplicate field "a"', 'duplicate field "x[0].b"', 'unknown field "x[0].y"', 'unknown field ""z"']
    assert in_order(text, complaints) == [complaints[2], complaints[1], complaints[0], complaints[3]]


def as_json_schema(node: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """A definition as a JSON Schema that forbids what is unknown and allows what Go does: null anywhere but on top."""
    if "$ref" in node:
        return {"anyOf": [{"$ref": f"#/$defs/{node['$ref']}"}, {"type": "null"}]}
    result: dict[str, Any] = {}
    match node.get("type"), node.get("format"):
        case "string", "int-or-string":
            result = {"type": ["integer", "string"], "minimum": -2**31, "maximum": 2**31 - 1}
        case "string", "quantity":
            result = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[+-]?[0-9.]+"}]}
        case "string", "date-time":
            result = {"type": "string", "pattern": "^[0-9]{4}-"}
        case "string", "byte":
            result = {"type": "string", "pattern": "^(....)*$"}
        case "integer", size:
            bits = 31 if size == "int32" else 63
            result = {"type": "integer", "minimum": -2**bits, "maximum": 2**bits - 1}
        case "array", _:
            result = {"type": "array", "items": as_json_schema(node["items"])}
        case "object", _:
            result = {"type": "object"}
            if "additionalProperties" in node:
                result["additionalProperties"] = as_json_schema(node["additionalProperties"])
            if "properties" in node:
                result["properties"] = {name: as_json_schema(child) for name, child in node["properties"].items()}
                result["additionalProperties"] = False
        case (str(kind), _):
            result = {"type": kind}
    return result if top or not result else {"anyOf": [result, {"type": "null"}]}


DEFS = {name: as_json_schema(node, top=True) for name, node in definitions().items()}
ORACLES = {name: jsonschema_rs.validator_for({"$ref": f"#/$defs/{name}", "$defs": DEFS}) for name in (
    POD, DEPLOYMENT, "io.k8s.api.core.v1.Service", "io.k8s.api.core.v1.Secret",
    "io.k8s.api.networking.v1.NetworkPolicy")}


@pytest.mark.parametrize("name", list(ORACLES))
def test_check_agrees_with_an_independent_validator(name):
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema_objects.of(name, spoil=True))
    def agree(obj):
        valid = ORACLES[name].is_valid(obj)
        try:
            accepted = not check(copy.deepcopy(obj), name).unknown
        except Unreadable:
            accepted = False
        assert accepted is valid, obj
    agree()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema_objects.of(POD))
def test_checking_twice_changes_nothing_more(obj):
    once = copy.deepcopy(check(obj, POD).obj)
    twice = check(obj, POD)
    assert twice.obj == once
    assert twice.unknown == []


def test_fill_writes_what_go_never_leaves_out():
    obj: dict[str, Any] = {"spec": {"containers": [{"name": "a"}], "serviceAccountName": "robot"},
                           "status": {"containerStatuses": [{"name": "a"}]}}
    fill(obj, POD)
    assert obj["metadata"] == {}
    assert obj["spec"]["containers"][0]["resources"] == {}
    assert obj["spec"]["serviceAccount"] == "robot"
    assert obj["status"]["containerStatuses"][0] == {"name": "a", "ready": False, "restartCount": 0, "image": "",
                                                     "imageID": "", "state": {}, "lastState": {}}


def test_fill_leaves_optional_fields_absent():
    obj: dict[str, Any] = {"metadata": {"name": "x"}}
    fill(obj, "io.k8s.api.core.v1.ConfigMap")
    assert obj == {"metadata": {"name": "x"}}


@pytest.mark.parametrize("name", sorted(definitions()))
def test_every_definition_compiles_and_fills(name):
    if definition(name).get("type") == "object" and name.rpartition(".")[2] not in SPECIAL:
        obj: dict[str, Any] = {}
        check(obj, name)
        fill(obj, name)
        assert check(obj, name).unknown == []


@pytest.mark.parametrize(("text", "may"), [
    pytest.param(b'{"a": {"b": [{"c": 1}, {"c": 2}]}}', False, id="the-same-key-in-two-places"),
    pytest.param(b'{"a" : 1, "a":2}', True, id="with-space-before-the-colon"),
    pytest.param(b'{"a": {"b": 1, "b": 1}}', True, id="deep-down"),
    pytest.param(b'{"a": "say \\"b\\": c"}', False, id="what-looks-like-a-key-in-a-string"),
    pytest.param(b'{"a": "\\u0022:"}', False, id="a-quote-written-as-a-number"),
    pytest.param(b'{"a": "\\u003c"}', False, id="another-character-written-as-a-number"),
    pytest.param(b'{"a": "\\u003A"}', True, id="a-colon-written-as-a-number"),
    pytest.param(b'{"a": 123456789012345678901234567890}', True, id="what-cannot-be-written-again"),
    pytest.param(b'["a", "b"]', False, id="no-keys"),
])
def test_repeated_keys_are_suspected_by_counting(text, may):
    assert may_repeat(text, json.loads(text)) is may


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_key_that_is_there_twice_is_never_overlooked(value):
    text = json.dumps({"x": value, "y": 1})
    assert may_repeat(text[:-1].encode() + b', "y": 2}', json.loads(text))
