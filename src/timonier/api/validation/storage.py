"""Volumes and claims: PersistentVolume, PersistentVolumeClaim, StorageClass."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.api import names, quantity
from timonier.api.schema import definition
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.scheduling import node_selector

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_SPEC = "io.k8s.api.core.v1.PersistentVolumeSpec"
NOT_SOURCES = frozenset({"accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
                         "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName",
                         "volumeMode"})
CLAIM_FROZEN = ("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                "claims")
SOURCE_FROZEN = "spec.persistentvolumesource is immutable after creation"


def access_modes(modes: Iterable[str], path: str, causes: Causes, missing: str) -> None:
    modes = list(modes)
    if not modes:
        causes.required(path, missing)
    for mode in modes:
        if mode not in ACCESS_MODES:
            causes.unsupported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        causes.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def storage_amount(value: str, path: str, causes: Causes) -> None:
    if quantity.parse(value) <= 0:
        causes.invalid(path, value, "must be greater than zero")


def volume(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    access_modes(spec.get("accessModes", ()), "spec.accessModes", causes, "")
    capacity = spec.get("capacity", {})
    if not capacity:
        causes.required("spec.capacity")
    elif set(capacity) != {"storage"}:
        causes.unsupported("spec.capacity", capacity, ("storage",))
    for name, value in capacity.items():
        storage_amount(value, f"spec.capacity[{name}]", causes)
    if spec.get("persistentVolumeReclaimPolicy") not in RECLAIM_POLICIES:
        causes.unsupported("spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy", ""),
                           RECLAIM_POLICIES)
    kinds = [field for field in spec if field in definition(VOLUME_SPEC)["properties"] and field not in NOT_SOURCES]
    for extra in kinds[1:]:
        causes.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if not kinds:
        causes.required("spec", "must specify a volume type")
    path = spec.get("hostPath", {}).get("path", "")
    if "hostPath" in spec and not path:
        causes.required("spec.hostPath.path")
    elif ".." in path.split("/"):
        causes.invalid("spec.hostPath.path", path, "must not contain '..'")
    if "local" in spec:
        local(spec, causes)
    class_and_mode(spec, causes)
    required = spec.get("nodeAffinity", {}).get("required")
    if required is not None:
        node_selector(required, "spec.nodeAffinity.required", causes)


def local(spec: Obj, causes: Causes) -> None:
    path = spec["local"].get("path", "")
    if not path:
        causes.required("spec.local.path")
    elif ".." in path.split("/"):
        causes.invalid("spec.local.path", path, "must not contain '..'")
    if "nodeAffinity" not in spec:
        causes.required("spec.nodeAffinity", "Local volume requires node affinity")


def class_and_mode(spec: Obj, causes: Causes) -> None:
    name, mode = spec.get("storageClassName"), spec.get("volumeMode")
    if name:
        causes.each_invalid("spec.storageClassName", name, names.dns_subdomain(name))
    if mode is not None and mode not in VOLUME_MODES:
        causes.unsupported("spec.volumeMode", mode, VOLUME_MODES)


def volume_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    if any(spec.get(field) != before.get(field) for field in (set(spec) | set(before)) - NOT_SOURCES):
        causes.forbidden("spec.persistentvolumesource", SOURCE_FROZEN)
    causes.immutable(spec, before, "spec", "volumeMode")


def claim(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    access_modes(spec.get("accessModes", ()), "spec.accessModes", causes, "at least 1 access mode is required")
    if "selector" in spec:
        label_selector(spec["selector"], "spec.selector", causes)
    storage = spec.get("resources", {}).get("requests", {}).get("storage")
    if storage is None:
        causes.required("spec.resources[storage]")
    else:
        storage_amount(storage, "spec.resources[storage]", causes)
    class_and_mode(spec, causes)


def claim_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """A claim may name its volume once, and grow when bound."""
    spec, before = dict(obj.get("spec", {})), dict(old.get("spec", {}))
    bound = old.get("status", {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        spec.pop("volumeName", None)
        before.pop("volumeName", None)
    if not before.get("storageClassName") and "storageClassName" not in before:
        spec.pop("storageClassName", None)
    now, then = (each.pop("resources", {}).get("requests", {}).get("storage", "0") for each in (spec, before))
    for field in ("volumeAttributesClassName", "dataSource", "dataSourceRef"):
        if field == "volumeAttributesClassName" or field not in before:
            spec.pop(field, None)
            before.pop(field, None)
    if spec != before or (now != then and not bound):
        causes.forbidden("spec", CLAIM_FROZEN)
    elif quantity.parse(now) < quantity.parse(then):
        causes.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def storage_class(obj: Obj, causes: Causes) -> None:
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        causes.required("provisioner")
    else:
        causes.each_invalid("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    for key in obj.get("parameters", ()):
        if not key:
            causes.invalid("parameters", key, "field can not be empty.")
    causes.one_of(obj, "", "reclaimPolicy", ("Delete", "Retain"))
    causes.one_of(obj, "", "volumeBindingMode", ("Immediate", "WaitForFirstConsumer"))


def storage_class_update(obj: Obj, old: Obj, causes: Causes) -> None:
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if obj.get(field) != old.get(field):
            causes.forbidden(field, f"updates to {field} are forbidden.")
    causes.immutable(obj, old, "", "volumeBindingMode")
