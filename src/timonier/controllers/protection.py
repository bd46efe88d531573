"""Protection: volumes, claims and attributes classes that are deleted while they are in use go once they are not.

Admission holds them by a finalizer from the start; these controllers take it away, and add it to what was made without.
Source: Kubernetes documentation, "Storage Object in Use Protection"; KEP-3751 for attributes classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from timonier.api.types import core_v1, storage_v1
from timonier.client.wire import Object
from timonier.kit.clock import Time
from timonier.reconcile.plan import Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

BY_CLAIM, BY_CLASS = "claim", "attributesClass"
BOUND = "Bound"


def protected(obj: Object, finalizer: str, *, used: bool) -> Plan:
    """Hold an object by the finalizer until it is to go and nothing uses it any more."""
    meta = obj.metadata
    if meta.deletionTimestamp:
        if used or finalizer not in meta.finalizers:
            return Plan()
        wanted = [each for each in meta.finalizers if each != finalizer]
    elif finalizer in meta.finalizers:
        return Plan()
    else:
        wanted = [*meta.finalizers, finalizer]
    patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, "finalizers": wanted}}
    return Plan(patch=[Patch(type(obj), meta.name, meta.namespace, patch)])


class ClaimProtectionController:
    """A key is a claim; pods that have a node use claims."""

    name = "pvc-protection-controller"
    finalizer = "kubernetes.io/pvc-protection"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.PersistentVolumeClaim, itself),
                Watch(core_v1.Pod, lambda pod, _: claims_of(pod), {BY_CLAIM: claims_of})]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        claim = snapshot.get(core_v1.PersistentVolumeClaim, key)
        if claim is None:
            return Plan()
        used = any(pod.spec.nodeName for pod in snapshot.by_index(core_v1.Pod, BY_CLAIM, key))
        return protected(claim, self.finalizer, used=used)


def claims_of(pod: core_v1.Pod) -> Iterator[str]:
    """Keys of the claims that a pod uses, those that are made for it alone included."""
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            yield f"{pod.metadata.namespace}/{volume.persistentVolumeClaim.claimName}"
        elif volume.ephemeral is not None:
            yield f"{pod.metadata.namespace}/{pod.metadata.name}-{volume.name}"


class VolumeProtectionController:
    """A key is a volume; it is used as long as it is bound to a claim."""

    name = "pv-protection-controller"
    finalizer = "kubernetes.io/pv-protection"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.PersistentVolume, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        volume = snapshot.get(core_v1.PersistentVolume, key)
        return Plan() if volume is None else protected(volume, self.finalizer, used=volume.status.phase == BOUND)


class AttributesClassProtectionController:
    """A key is a VolumeAttributesClass; volumes and claims use it."""

    name = "volumeattributesclass-protection-controller"
    finalizer = "kubernetes.io/vac-protection"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(storage_v1.VolumeAttributesClass, itself),
                Watch(core_v1.PersistentVolume, lambda volume, _: class_of(volume), {BY_CLASS: class_of}),
                Watch(core_v1.PersistentVolumeClaim, lambda claim, _: classes_of(claim), {BY_CLASS: classes_of})]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        found = snapshot.get(storage_v1.VolumeAttributesClass, key)
        if found is None:
            return Plan()
        used = any(snapshot.by_index(cls, BY_CLASS, key)
                   for cls in (core_v1.PersistentVolume, core_v1.PersistentVolumeClaim))
        return protected(found, self.finalizer, used=used)


def class_of(volume: core_v1.PersistentVolume) -> Iterable[str]:
    return [volume.spec.volumeAttributesClassName] if volume.spec.volumeAttributesClassName else []


def classes_of(claim: core_v1.PersistentVolumeClaim) -> Iterable[str]:
    """The class that a claim wants, the one that it has, and the one that it is being given."""
    change = claim.status.modifyVolumeStatus
    named = {claim.spec.volumeAttributesClassName, claim.status.currentVolumeAttributesClassName,
             change.targetVolumeAttributesClassName if change is not None else ""}
    return sorted(name for name in named if name)
