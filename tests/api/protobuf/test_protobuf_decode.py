"""Request bodies in protobuf: what a Go client sends becomes what it would have sent as JSON."""

import base64
import json

import pytest

from timonier.api.protobuf import BadProtobuf
from timonier.api.protobuf.envelope import MAGIC, decode
from timonier.api.protobuf.wire import message, varint


def text(field, value):
    return message(field, value.encode())


def number(field, value):
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def envelope(apiVersion, kind, content):
    return MAGIC + message(1, text(1, apiVersion) + text(2, kind)) + message(2, content)


def pod(spec=b"", metadata=b""):
    return decode(envelope("v1", "Pod", message(1, text(1, "web") + metadata) + message(2, spec)))


@pytest.mark.parametrize(("apiVersion", "kind"), [
    ("authentication.k8s.io/v1", "TokenRequest"), ("policy/v1", "Eviction"), ("autoscaling/v1", "Scale"),
    ("v1", "Binding"), ("v1", "DeleteOptions"), ("meta.k8s.io/v1", "DeleteOptions")])
def test_kinds_without_a_row_can_be_sent_too(apiVersion, kind):
    assert decode(envelope(apiVersion, kind, b""))["kind"] == kind


def test_embedded_structs_belong_to_their_parent():
    volume = text(1, "data") + message(2, message(2, b""))
    assert pod(message(1, volume))["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]


def test_a_pointer_to_zero_is_kept_and_a_plain_zero_is_not():
    spec = number(4, 0) + number(11, 0) + number(21, 0)
    made = pod(spec)["spec"]
    assert made["terminationGracePeriodSeconds"] == 0
    assert made["automountServiceAccountToken"] is False
    assert "hostNetwork" not in made


def test_quantities_times_and_ports_are_what_json_has():
    port = message(4, b"")
    probe = message(1, message(2, text(1, "/") + message(2, number(1, 1) + text(3, "http"))))
    limits = message(8, message(1, text(1, "cpu") + message(2, text(1, "100m"))))
    container = text(1, "c") + limits + message(10, probe)
    created = message(8, number(1, 1_700_000_000))
    made = pod(message(2, container), created)
    assert made["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    (found,) = made["spec"]["containers"]
    assert found["resources"]["limits"] == {"cpu": "100m"}
    assert found["livenessProbe"]["httpGet"] == {"path": "/", "port": "http"}
    assert port


def test_an_unset_time_is_absent():
    assert "creationTimestamp" not in pod(metadata=message(8, b""))["metadata"]


def test_bytes_become_base64_and_maps_stay_maps():
    content = message(1, text(1, "s")) + message(2, message(1, b"key") + message(2, b"\x00\xff")) \
        + message(2, message(1, b"empty"))
    made = decode(envelope("v1", "Secret", content))
    assert made["data"] == {"key": base64.b64encode(b"\x00\xff").decode(), "empty": ""}


def test_lists_of_numbers_come_one_by_one_or_packed():
    groups = number(4, 1) + number(4, 2) + message(4, varint(3) + varint(4))
    assert pod(message(14, groups))["spec"]["securityContext"]["supplementalGroups"] == [1, 2, 3, 4]


def test_negative_numbers_are_negative():
    made = decode(envelope("scheduling.k8s.io/v1", "PriorityClass", number(2, -5)))
    assert made["value"] == -5


def test_raw_parts_are_json():
    made = decode(envelope("apps/v1", "ControllerRevision", message(2, message(1, json.dumps({"a": [1]}).encode()))))
    assert made["data"] == {"a": [1]}


def test_unknown_fields_are_skipped_as_protobuf_has_it():
    assert pod(text(900, "x") + number(901, 1) + varint(902 << 3 | 1) + b"12345678")["spec"] == {}


@pytest.mark.parametrize("body", [
    b"", b"{}", b"k8s\x01", MAGIC + b"\xff", MAGIC + message(1, b"\x0a\x05ab"), envelope("v1", "Nothing", b""),
    envelope("v1", "Pod", b"\x0a\xff\xff\xff\xff\x0f"), envelope("v1", "Pod", number(1, 5)),
    envelope("v1", "Pod", message(1, message(1, b"\xff\xfe"))), envelope("v1", "Pod", b"\xff" * 12),
    envelope("apps/v1", "ControllerRevision", message(2, message(1, b"{"))), MAGIC + message(1, number(1, 3))])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(BadProtobuf):
        decode(body)
