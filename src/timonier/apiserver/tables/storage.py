"""Columns of configuration, volumes and devices."""

from __future__ import annotations

from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import (
    AGE,
    CREATED_AT,
    NAME,
    UNSET,
    Column,
    access_modes,
    at,
    boolean,
    column,
    length,
    path,
    quantity,
    wide,
)

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def storage_class_name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return f"{name} (default)" if at(obj, "metadata.annotations", {}).get(DEFAULT_CLASS) == "true" else name


def class_of(obj: Object) -> str:
    """The storage class of a volume or claim, the old annotation first."""
    return str(at(obj, "metadata.annotations", {}).get(BETA_CLASS) or at(obj, "spec.storageClassName", ""))


def phase(obj: Object) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else str(at(obj, "status.phase", ""))


def claim(volume: Object) -> str:
    found = at(volume, "spec.claimRef")
    return f"{found.get('namespace', '')}/{found.get('name', '')}" if found else ""


def capacity(claim: Object) -> str:
    """What a claim got; nothing until it is bound."""
    return quantity(at(claim, "status.capacity", {}).get("storage")) if at(claim, "spec.volumeName") else ""


def claim_modes(claim: Object) -> str:
    return access_modes(at(claim, "status.accessModes")) if at(claim, "spec.volumeName") else ""


def claim_state(claim: Object) -> str:
    """`pending`, or what holds an allocated device."""
    states = []
    if claim["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if at(claim, "status.allocation"):
        states.append("allocated")
    if at(claim, "status.reservedFor"):
        states.append("reserved")
    return ",".join(states) or "pending"


def storage_flags(name: str, where: str) -> Column:
    return column(name, lambda obj: boolean(at(obj, where)))


STORAGE_COLUMNS: dict[str, tuple[Column, ...]] = {
    "v1/ConfigMap": (NAME, length("Data", "data", "binaryData"), AGE),
    "v1/Secret": (NAME, path("Type", "type"), length("Data", "data"), AGE),
    "v1/PersistentVolume": (
        NAME, column("Capacity", lambda obj: quantity(at(obj, "spec.capacity", {}).get("storage"))),
        column("Access Modes", lambda obj: access_modes(at(obj, "spec.accessModes"))),
        path("Reclaim Policy", "spec.persistentVolumeReclaimPolicy", ""), column("Status", phase),
        column("Claim", claim), column("StorageClass", class_of),
        path("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET),
        path("Reason", "status.reason", ""), AGE, wide("VolumeMode", lambda obj: at(obj, "spec.volumeMode", UNSET))),
    "v1/PersistentVolumeClaim": (
        NAME, column("Status", phase), path("Volume", "spec.volumeName", ""), column("Capacity", capacity),
        column("Access Modes", claim_modes), column("StorageClass", class_of),
        path("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET), AGE,
        wide("VolumeMode", lambda obj: at(obj, "spec.volumeMode", UNSET))),
    "storage.k8s.io/v1/StorageClass": (
        Column("Name", lambda obj, now: storage_class_name(obj), format="name"), path("Provisioner", "provisioner"),
        path("ReclaimPolicy", "reclaimPolicy", "Delete"), path("VolumeBindingMode", "volumeBindingMode", "Immediate"),
        column("AllowVolumeExpansion", lambda obj: bool(obj.get("allowVolumeExpansion")), "boolean"), AGE),
    "storage.k8s.io/v1/VolumeAttributesClass": (NAME, path("DriverName", "driverName"), AGE),
    "storage.k8s.io/v1/CSIDriver": (
        NAME, column("AttachRequired", lambda obj: bool(at(obj, "spec.attachRequired", True)), "boolean"),
        column("PodInfoOnMount", lambda obj: bool(at(obj, "spec.podInfoOnMount", False)), "boolean"),
        column("StorageCapacity", lambda obj: bool(at(obj, "spec.storageCapacity", False)), "boolean"),
        column("TokenRequests", lambda obj: ",".join(
            token.get("audience", "") for token in at(obj, "spec.tokenRequests", ())) or UNSET),
        column("RequiresRepublish", lambda obj: bool(at(obj, "spec.requiresRepublish", False)), "boolean"),
        column("Modes", lambda obj: ",".join(at(obj, "spec.volumeLifecycleModes", ()))), AGE),
    "storage.k8s.io/v1/CSINode": (NAME, length("Drivers", "spec.drivers"), AGE),
    "storage.k8s.io/v1/CSIStorageCapacity": (
        NAME, path("StorageClassName", "storageClassName", ""),
        column("Capacity", lambda obj: quantity(obj.get("capacity")) or UNSET)),
    "storage.k8s.io/v1/VolumeAttachment": (
        NAME, path("Attacher", "spec.attacher"), path("PV", "spec.source.persistentVolumeName", ""),
        path("Node", "spec.nodeName"),
        column("Attached", lambda obj: bool(at(obj, "status.attached", False)), "boolean"), AGE),
    "resource.k8s.io/v1/DeviceClass": (NAME, AGE),
    "resource.k8s.io/v1/DeviceTaintRule": (NAME, CREATED_AT),
    "resource.k8s.io/v1/ResourceClaim": (NAME, column("State", claim_state), AGE),
    "resource.k8s.io/v1/ResourceClaimTemplate": (NAME, AGE),
    "resource.k8s.io/v1/ResourceSlice": (
        NAME, path("Node", "spec.nodeName", UNSET), path("Driver", "spec.driver", ""),
        path("Pool", "spec.pool.name", ""), AGE),
}
