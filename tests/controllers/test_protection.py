"""Protection controllers: what is in use goes once it is used no more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from timonier.api.types import core_v1, storage_v1
from timonier.controllers.protection import (
    AttributesClassProtectionController,
    ClaimProtectionController,
    VolumeProtectionController,
    claims_of,
    class_of,
    classes_of,
)
from timonier.reconcile.snapshot import Memory, Snapshot

GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def made(cls: Any, name: str, namespace: str = "", metadata: Any = None, **fields: Any) -> Any:
    meta = {"name": name, "uid": "u", "resourceVersion": "7"} | ({"namespace": namespace} if namespace else {})
    return msgspec.convert({"metadata": meta | (metadata or {})} | fields, cls)


def claim(*finalizers: str, **metadata: Any) -> core_v1.PersistentVolumeClaim:
    return made(core_v1.PersistentVolumeClaim, "data", "ns", {"finalizers": list(finalizers)} | metadata)


def pod(node: str, *volumes: Any) -> core_v1.Pod:
    return made(core_v1.Pod, "web", "ns", spec={"nodeName": node, "volumes": list(volumes)})


MOUNTED: Any = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}


def claims(found: core_v1.PersistentVolumeClaim, *pods: core_v1.Pod) -> Snapshot:
    return Snapshot({core_v1.PersistentVolumeClaim: Memory([found]), core_v1.Pod: Memory(pods, {"claim": claims_of})})


def finalizers(plan: Any) -> Any:
    return plan.patch[0].patch["metadata"]["finalizers"] if plan.patch else None


@pytest.mark.parametrize(("found", "pods", "left"), [
    pytest.param(claim(), [], ["kubernetes.io/pvc-protection"], id="made-without"),
    pytest.param(claim("kubernetes.io/pvc-protection"), [], None, id="held"),
    pytest.param(claim("a/b", "kubernetes.io/pvc-protection", **GOING), [], ["a/b"], id="unused"),
    pytest.param(claim("kubernetes.io/pvc-protection", **GOING), [pod("n1", MOUNTED)], None, id="used"),
    pytest.param(claim("kubernetes.io/pvc-protection", **GOING), [pod("", MOUNTED)], [], id="not-yet-scheduled"),
    pytest.param(claim("kubernetes.io/pvc-protection", **GOING), [pod("n1", {"name": "v", "emptyDir": {}})], [],
                 id="other-volume"),
])
def test_a_claim_goes_once_no_pod_on_a_node_uses_it(found, pods, left):
    assert finalizers(ClaimProtectionController().plan("ns/data", claims(found, *pods), 0.0)) == left


def test_a_claim_that_was_made_for_a_pod_s_volume_is_used_by_it():
    ephemeral: Any = {"name": "scratch", "ephemeral": {}}
    assert list(claims_of(pod("n1", ephemeral, MOUNTED))) == ["ns/web-scratch", "ns/data"]


@pytest.mark.parametrize(("phase", "left"), [("Bound", None), ("Released", [])])
def test_a_volume_goes_once_no_claim_is_bound_to_it(phase, left):
    volume = made(core_v1.PersistentVolume, "v", metadata=GOING | {"finalizers": ["kubernetes.io/pv-protection"]},
                  status={"phase": phase})
    snapshot = Snapshot({core_v1.PersistentVolume: Memory([volume])})
    assert finalizers(VolumeProtectionController().plan("v", snapshot, 0.0)) == left


@pytest.mark.parametrize(("spec", "left"), [({"volumeAttributesClassName": "fast"}, None), ({}, [])])
def test_an_attributes_class_goes_once_nothing_names_it(spec, left):
    found = made(storage_v1.VolumeAttributesClass, "fast", driverName="d",
                 metadata=GOING | {"finalizers": ["kubernetes.io/vac-protection"]})
    snapshot = Snapshot({
        storage_v1.VolumeAttributesClass: Memory([found]),
        core_v1.PersistentVolume: Memory([], {"attributesClass": class_of}),
        core_v1.PersistentVolumeClaim: Memory([made(core_v1.PersistentVolumeClaim, "c", "ns", spec=spec)],
                                              {"attributesClass": classes_of})})
    assert finalizers(AttributesClassProtectionController().plan("fast", snapshot, 0.0)) == left
