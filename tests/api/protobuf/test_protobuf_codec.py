"""Objects become messages and messages objects, as Google's protobuf has it, for every kind."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import protobuf_oracle as oracle
from support import schema_objects

from timonier.api.check import check
from timonier.api.errors import ApiError
from timonier.api.fill import fill
from timonier.api.kinds import KINDS
from timonier.api.protobuf import BadProtobuf, envelope
from timonier.api.protobuf.decode import decoder
from timonier.api.protobuf.encode import encoder
from timonier.api.protobuf.wire import message, varint

CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
OTHERS = ["io.k8s.apimachinery.pkg.apis.meta.v1.Status", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
          "io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.authentication.v1.TokenRequest",
          "io.k8s.api.policy.v1.Eviction"]


@pytest.mark.parametrize("definition", [*(kind.definition for kind in KINDS), *OTHERS])
@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_we_write_and_read_what_google_does(definition, data):
    obj = check(data.draw(schema_objects.of(definition)), definition).obj
    theirs = oracle.encode(obj, definition)
    ours = encoder(definition)(obj)
    expected = oracle.decode(theirs, definition)
    assert oracle.decode(ours, definition) == expected
    assert decoder(definition)(theirs) == expected
    assert decoder(definition)(ours) == expected


def test_what_was_read_reads_the_same_when_written_again():
    pod = {"metadata": {"name": "web", "labels": {"a": "b" * 200, "": ""}, "creationTimestamp": "2026-01-02T03:04:05Z"},
           "spec": {"volumes": [{"name": "data", "emptyDir": {}}], "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": False, "priority": -5, "hostNetwork": True,
                    "containers": [{"name": "app", "resources": {"limits": {"cpu": "100m"}},
                                    "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 10}}],
                    "securityContext": {"supplementalGroups": [1, 2**40, -1]}}}
    name = "io.k8s.api.core.v1.Pod"
    assert decoder(name)(encoder(name)(pod)) == pod


@pytest.mark.parametrize(("field", "value"), [
    ("additionalProperties", True), ("additionalProperties", False), ("additionalProperties", {"type": "string"}),
    ("items", {"type": "string"}), ("items", [{"type": "string"}, {}]), ("dependencies", {"a": ["b", "c"], "d": {}}),
    ("default", {"a": [1, None]}), ("default", 0), ("enum", ["a", 1, None]), ("maximum", 1.5), ("minimum", 0),
    ("properties", {"a": {"type": "object", "properties": {"b": {"$ref": "x"}}}}),
    ("x-kubernetes-preserve-unknown-fields", False)])
def test_schemas_of_custom_resources_survive(field, value):
    schema = {field: value}
    name = CRD + "JSONSchemaProps"
    assert decoder(name)(encoder(name)(schema)) == schema


def test_lists_in_maps_survive():
    review = {"spec": {"user": "u", "extra": {"a/b": ["c", "d"], "empty": []}}}
    name = "io.k8s.api.authorization.v1.SubjectAccessReview"
    assert decoder(name)(encoder(name)(review)) == review


def test_null_is_left_out():
    assert encoder("io.k8s.api.core.v1.ConfigMap")({"data": None, "immutable": None}) == b""


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 70000])
def test_texts_of_any_length_survive(size):
    data = {"data": {"k" * size: "v" * size}, "metadata": {"name": "x" * size or "n"}}
    name = "io.k8s.api.core.v1.ConfigMap"
    assert decoder(name)(encoder(name)(data)) == data


def test_a_message_that_comes_twice_is_merged_and_of_a_scalar_the_last_counts():
    body = envelope.body({"metadata": {"name": "a", "resourceVersion": "1"}}, "v1", "ConfigMap")
    expected = {"metadata": {"name": "a", "resourceVersion": "300"}}
    assert decoder("io.k8s.api.core.v1.ConfigMap")(envelope.with_revision(body, 300)) == expected
    assert oracle.decode(envelope.with_revision(body, 300), "io.k8s.api.core.v1.ConfigMap") == expected


def test_a_list_is_made_of_the_messages_of_its_items():
    items = [envelope.body({"metadata": {"name": name}}, "v1", "ConfigMap") for name in "ab"]
    content = envelope.envelope("v1", "ConfigMapList", envelope.list_body({"resourceVersion": "7"}, items))
    assert envelope.decode(content) == {
        "kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}


def test_an_event_is_a_watch_event_behind_its_length():
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
    frame = envelope.event(b"ADDED", envelope.encode(obj))
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decoder("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")(frame[4:]) == {"type": "ADDED", "object": obj}


def test_what_does_not_say_what_it_is_is_what_was_expected():
    content = envelope.MAGIC + message(2, encoder("io.k8s.api.core.v1.ConfigMap")({"metadata": {"name": "a"}}))
    assert envelope.decode(content, "v1", "ConfigMap")["kind"] == "ConfigMap"
    with pytest.raises(BadProtobuf):
        envelope.decode(content)


@settings(max_examples=300)
@given(st.sampled_from(["Pod", "Secret", "Node", "Event", "Service"]), st.binary(max_size=80))
def test_no_bytes_do_worse_than_be_refused(kind, content):
    with contextlib.suppress(BadProtobuf):
        json.dumps(envelope.decode(envelope.envelope("v1", kind, content)))


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_envelope_does_worse_than_be_refused(content):
    with contextlib.suppress(BadProtobuf):
        json.dumps(envelope.decode(envelope.MAGIC + content))


def test_too_deep_a_message_is_refused():
    content = b""
    for _ in range(400):
        content = message(28, content)
    schema = message(6, message(1, content))
    with pytest.raises(BadProtobuf, match="depth"):
        decoder(CRD + "CustomResourceDefinitionVersion")(message(4, message(1, content)) + schema[:0])


def test_a_number_that_never_ends_is_refused():
    with pytest.raises(BadProtobuf, match="overflow"):
        decoder("io.k8s.api.core.v1.PodSpec")(varint(4 << 3) + b"\xff" * 11)


@pytest.mark.parametrize("definition", [
    "io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.Node", "io.k8s.api.core.v1.Secret", "io.k8s.api.events.v1.Event",
    CRD + "CustomResourceDefinition"])
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_whatever_passes_the_check_can_be_written(definition, data):
    """One object that could not would break the lists of all."""
    with contextlib.suppress(ApiError):
        obj = check(data.draw(schema_objects.of(definition, spoil=True)), definition).obj
        fill(obj, definition)
        decoder(definition)(encoder(definition)(obj))
