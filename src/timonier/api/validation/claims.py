"""What is claimed of storage: the spec of a PersistentVolumeClaim, alone or in a template."""

from __future__ import annotations

from collections.abc import Sequence

from timonier.api import names, quantity
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.metadata import label_selector

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
NOT_POSITIVE = "must be greater than zero"


def claim_spec(spec: Obj, path: str, causes: Causes) -> None:
    modes = spec.get("accessModes", ())
    if not modes:
        causes.required(f"{path}.accessModes", "at least 1 access mode is required")
    if "selector" in spec:
        label_selector(spec["selector"], f"{path}.selector", causes)
    access_modes(modes, f"{path}.accessModes", causes)
    storage = spec.get("resources", {}).get("requests", {}).get("storage")
    if storage is None:
        causes.required(f"{path}.resources[storage]")
    else:
        positive(storage, f"{path}.resources[storage]", causes)
    causes.name(spec, path, "storageClassName", names.dns_subdomain)
    causes.optional(spec, path, "volumeMode", VOLUME_MODES)
    data_sources(spec, path, causes)
    causes.name(spec, path, "volumeAttributesClassName", names.dns_subdomain)


def access_modes(modes: Sequence[str], path: str, causes: Causes) -> None:
    for mode in modes:
        if mode not in ACCESS_MODES:
            causes.unsupported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(mode != "ReadWriteOncePod" for mode in modes if mode in ACCESS_MODES):
        causes.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def positive(value: str, path: str, causes: Causes) -> None:
    if quantity.read(value)[0] <= 0:
        causes.invalid(path, value, NOT_POSITIVE)


def data_sources(spec: Obj, path: str, causes: Causes) -> None:
    """What a new volume is filled with, under its old and its new name, which say the same."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        data_source(source, f"{path}.dataSource", causes)
    if reference is not None:
        data_source(reference, f"{path}.dataSourceRef", causes)
        if namespace := reference.get("namespace"):
            causes.each_invalid(f"{path}.dataSourceRef.namespace", namespace, names.dns_label(namespace))
    if source is None or reference is None:
        return
    if reference.get("namespace"):
        causes.invalid(path, f"{path}.dataSource", "may not be specified when dataSourceRef.namespace is specified")
    elif any(source.get(field) != reference.get(field) for field in ("apiGroup", "kind", "name")):
        causes.invalid(path, f"{path}.dataSource", "must match dataSourceRef")


def data_source(given: Obj, path: str, causes: Causes) -> None:
    causes.required_fields(given, path, "name", "kind")
    group, kind = given.get("apiGroup") or "", given.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        causes.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group:
        causes.each_invalid(f"{path}.apiGroup", group, names.dns_subdomain(group))
