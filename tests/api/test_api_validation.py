"""Validation: every cause at once, in the words of Kubernetes, and never an exception.

What is said of which object stands in `validation/*.yaml`.
"""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from support import schema_objects

from timonier.api.check import check
from timonier.api.defaults import default
from timonier.api.errors import invalid
from timonier.api.fill import fill
from timonier.api.kinds import BY_ID, KINDS
from timonier.api.patches import clone, merge_patch
from timonier.api.validation import RULES, validate
from timonier.api.validation.causes import Causes
from timonier.api.validation.pod_changes import ephemeral_containers

REASONS = {"FieldValueRequired", "FieldValueInvalid", "FieldValueNotSupported", "FieldValueDuplicate",
           "FieldValueForbidden", "FieldValueNotFound", "FieldValueTooLong", "FieldValueTooMany"}
POD = {"spec": {"containers": [{"name": "a", "image": "nginx:1"}]}}


def cases() -> list[Any]:
    found = []
    for file in sorted((Path(__file__).parent / "validation").glob("*.yaml")):
        found += [pytest.param(case, id=f"{file.stem}: {case['case']}") for case in yaml.safe_load(file.read_text())]
    return found


def prepared(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    """An object as validation gets it, with a name and a namespace where it says nothing of them."""
    row = BY_ID[kind]
    result = merge_patch({"metadata": {"name": "x"} | ({"namespace": "default"} if row.namespaced else {})}, obj)
    default(row, check(result, row.definition).obj)
    return result


def wrong(kind: str, obj: dict[str, Any], change: dict[str, Any] | None = None) -> list[str]:
    before = prepared(kind, obj)
    if change is None:
        return [str(cause) for cause in validate(BY_ID[kind], before)]
    return [str(cause) for cause in validate(BY_ID[kind], prepared(kind, merge_patch(before, change)), before)]


@pytest.mark.parametrize("case", cases())
def test_what_is_said_of(case):
    assert wrong(case["kind"], case["object"], case.get("change")) == case["causes"]
    if not case["causes"] and "change" not in case:
        assert wrong(case["kind"], case["object"], {}) == []


def test_labels_are_checked_by_key_and_by_value():
    first, second = wrong("v1/ConfigMap", {"metadata": {"labels": {"a b": "x", "c": "-"}}})
    assert first.startswith('metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters')
    assert second.startswith('metadata.labels: Invalid value: "-": a valid label must be an empty string or consist of')


@pytest.mark.parametrize(("kind", "name", "good"), [
    ("v1/Pod", "a.b", True), ("v1/Namespace", "a.b", False), ("v1/Service", "1a", False),
    ("apps/v1/StatefulSet", "a.b", False), ("rbac.authorization.k8s.io/v1/ClusterRole", "system:node", True),
    ("v1/ConfigMap", "a:b", False), ("rbac.authorization.k8s.io/v1/Role", "a/b", False),
    ("rbac.authorization.k8s.io/v1/Role", "..", False), ("v1/Secret", "a/../b", False),
])
def test_each_kind_has_its_own_form_of_names(kind, name, good):
    found = [text for text in wrong(kind, {"metadata": {"name": name}}) if text.startswith("metadata.name")]
    assert (not found) is good


@pytest.mark.parametrize(("kind", "obj", "cause"), [
    ("v1/ConfigMap", {"data": {"a": "x" * 1048577}}, "[]: Too long: may not be more than 1048576 bytes"),
    ("v1/Secret", {"data": {"a": base64.b64encode(b"x" * 1048577).decode()}},
     "data: Too long: may not be more than 1048576 bytes"),
    ("v1/ConfigMap", {"metadata": {"annotations": {"a": "x" * 262144}}},
     "metadata.annotations: Too long: may not be more than 262144 bytes"),
    ("discovery.k8s.io/v1/EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
     "endpoints: Too many: 1001: must have at most 1000 items"),
], ids=["config-map", "secret", "annotations", "endpoints"])
def test_sizes_are_bounded(kind, obj, cause):
    assert wrong(kind, obj) == [cause]


def test_finalizers_cannot_be_added_to_what_is_being_deleted():
    old = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}}
    assert wrong("v1/ConfigMap", old, {"metadata": {"finalizers": ["a/b", "c/d"]}}) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"c/d"}']


def test_a_cluster_address_stays():
    old = {"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}}
    assert wrong("v1/Service", old, {"spec": {"clusterIP": "10.96.0.6", "clusterIPs": ["10.96.0.6"]}}) == \
        ['spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set']


@pytest.mark.parametrize("kind", ["v1/ConfigMap", "v1/Secret"])
def test_what_is_immutable_stays_so(kind):
    old = {"data": {"a": "YQ=="}, "immutable": True}
    assert wrong(kind, old, {"immutable": False}) == [
        "immutable: Forbidden: field is immutable when `immutable` is set"]
    assert wrong(kind, old, {"data": {"n": "YQ=="}}) == ["data: Forbidden: field is immutable when `immutable` is set"]


@pytest.mark.parametrize("kind", ["v1/Pod", "apps/v1/StatefulSet", "v1/Service", "v1/PersistentVolumeClaim"])
def test_zero_values_that_only_the_stored_object_spells_out_are_no_change(kind):
    obj = next(case.values[0]["object"] for case in cases() if case.id == f"good: {kind}")
    stored = prepared(kind, obj)
    fill(stored, BY_ID[kind].definition)
    if kind == "v1/Pod":
        stored["spec"] |= {"serviceAccountName": "default", "serviceAccount": "default"}
        obj = merge_patch(obj, {"spec": {"serviceAccountName": "default", "hostAliases": []}})
    assert validate(BY_ID[kind], prepared(kind, obj), stored) == []


@pytest.mark.parametrize(("change", "count"), [
    ({"spec": {"ephemeralContainers": [{"name": "d", "image": "x:1"}, {"name": "e", "image": "x:1"}]}}, 0),
    ({"spec": {"ephemeralContainers": []}}, 1),
    ({"spec": {"ephemeralContainers": [{"name": "d", "image": "y:1"}]}}, 1),
    ({"spec": {"ephemeralContainers": [{"name": "d", "image": "x:1"}, {"name": "a", "image": "x:1"}]}}, 1),
], ids=["added", "removed", "changed", "of-a-taken-name"])
def test_ephemeral_containers_can_only_be_added(change, count):
    old = prepared("v1/Pod", merge_patch(POD, {"spec": {"ephemeralContainers": [{"name": "d", "image": "x:1"}]}}))
    causes = Causes()
    ephemeral_containers(prepared("v1/Pod", merge_patch(old, change)), old, causes)
    assert len(causes) == count


def test_a_negative_count_is_refused_with_all_that_it_is_less_than():
    status = {"replicas": -1, "readyReplicas": -2}
    said = validate(BY_ID["apps/v1/StatefulSet"], {"metadata": {"name": "x"}, "status": status},
                    {"metadata": {"name": "x"}}, "status")
    assert ("status.updatedReplicas", "Invalid value: 0: cannot be greater than status.replicas") in {
        (cause.field, cause.message) for cause in said}


def test_all_causes_become_one_answer():
    obj = prepared("v1/Pod", {"spec": {"containers": [{}]}})
    status = invalid("", "Pod", "x", validate(BY_ID["v1/Pod"], obj)).status()
    assert status["message"] == ('Pod "x" is invalid: [spec.containers[0].name: Required value, '
                                 "spec.containers[0].image: Required value]")
    assert status["code"] == 422
    assert status["details"]["causes"][0] == {"reason": "FieldValueRequired", "message": "Required value",
                                              "field": "spec.containers[0].name"}


JUDGED = [kind for kind in KINDS if kind.storage == kind.apiVersion or kind.judged]


@pytest.mark.parametrize("kind", JUDGED, ids=lambda kind: kind.id)
def test_whatever_decodes_can_be_validated_and_filled(kind):
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema_objects.of(kind.definition), schema_objects.of(kind.definition))
    def never_raises(obj, old):
        for each in (obj, old):
            default(kind, check(each, kind.definition).obj)
        before = copy.deepcopy((obj, old))
        through = [validate(kind, obj, old, subresource) for subresource in RULES[kind.id].doors]
        for causes in (validate(kind, obj), validate(kind, obj, old), *through):
            assert {cause.reason for cause in causes} <= REASONS
            assert all(cause.message for cause in causes)
        assert validate(kind, obj) == validate(kind, clone(obj))
        assert (obj, old) == before
        fill(obj, kind.definition)
    never_raises()


def test_every_kind_has_its_rules():
    assert {kind.id for kind in JUDGED} == set(RULES)


def test_groups_of_their_own_take_any_finalizer():
    found = validate(BY_ID["apiextensions.k8s.io/v1/CustomResourceDefinition"],
                     {"metadata": {"finalizers": ["customresourcecleanup.apiextensions.k8s.io"]}})
    assert not [cause for cause in found if "finalizers" in cause.field]


@pytest.mark.parametrize(("kind", "spec"), [
    pytest.param("storage.k8s.io/v1/CSINode", {"drivers": []}, id="a-node-without-drivers"),
    pytest.param("storagemigration.k8s.io/v1/StorageVersionMigration", {"resource": {"group": "", "resource": "pods"}},
                 id="the-core-group"),
])
def test_required_fields_whose_emptiness_says_something(kind: str, spec: dict[str, Any]):
    assert validate(BY_ID[kind], {"metadata": {"name": "a"}, "spec": spec}) == []
