"""Storage: volumes and claims, their classes, and what CSI drivers say of themselves."""

from __future__ import annotations

import posixpath
from typing import Any

from timonier.api import names, quantity
from timonier.api.patches.clone import clone
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.claims import VOLUME_MODES, access_modes, claim_spec, positive
from timonier.api.validation.declared import (
    at_least,
    between,
    both,
    declare,
    each,
    field,
    fixed,
    form,
    items,
    judged,
    kept,
    non_negative,
    one_of,
    present,
    required,
    required_with,
    selector,
)
from timonier.api.validation.resources import INTEGER
from timonier.api.validation.scheduling import node_selector
from timonier.api.validation.sources import PLACES, PORTAL_TEXT, each_source, source, too_long_portal

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
CLAIM_FROZEN = ("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                "claims")
SOURCE_FROZEN = "spec.persistentvolumesource is immutable after creation"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
MOST_PARAMETERS, LARGEST_PARAMETERS = 512, 256 * 1024
TO_GENERAL = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os", "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
"""Labels of nodes by their beta names, and by the names that they have now."""
RESIZING = ("ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
            "NodeResizeInfeasible")


def volume(obj: Obj, causes: Causes) -> None:
    volume_spec(obj.get("spec", {}), obj.get("metadata", {}).get("name", ""), "spec", causes)


def volume_spec(spec: Obj, name: str, path: str, causes: Causes) -> None:
    """A PersistentVolume's spec; one without a name is inline, in a VolumeAttachment."""
    modes, capacity = spec.get("accessModes", ()), spec.get("capacity", {})
    if not modes:
        causes.required(f"{path}.accessModes")
    access_modes(modes, f"{path}.accessModes", causes)
    if not capacity:
        causes.required(f"{path}.capacity")
    elif set(capacity) != {"storage"}:
        causes.unsupported(f"{path}.capacity", capacity, ("storage",))
    for each_name, value in capacity.items():
        positive(value, f"{path}.capacity[{each_name}]", causes)
    causes.optional(spec, path, "persistentVolumeReclaimPolicy", RECLAIM_POLICIES)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if "required" not in affinity:
            causes.required(f"{path}.nodeAffinity.required", "must specify required node constraints")
        else:
            node_selector(affinity["required"], f"{path}.nodeAffinity.required", causes)
    for kind in each_source(spec, path, causes):
        volume_source(kind, spec, name, path, causes)
    host = spec.get("hostPath")
    if host is not None and posixpath.normpath(host.get("path", "")) in ("/", "//") \
            and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        causes.forbidden(f"{path}.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    class_and_mode(spec, name, path, causes)


def volume_source(kind: str, spec: Obj, name: str, path: str, causes: Causes) -> None:
    given, at = spec[kind], f"{path}.{kind}"
    if kind == "csi":
        csi_source(given, at, causes)
        return
    source(kind, given, path, causes)
    if kind == "iscsi" and too_long_portal(given, name):
        causes.invalid(f"{at}.targetportal", given.get("targetPortal", ""), PORTAL_TEXT)
    if kind in ("iscsi", "cinder") and "secretRef" in given:
        causes.required_fields(given["secretRef"], f"{at}.secretRef",
                               *(("name",) if kind == "iscsi" else ("namespace",)))
    if kind == "local" and "nodeAffinity" not in spec:
        causes.required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    if kind == "azureFile" and given.get("secretNamespace") == "":
        causes.required(f"{at}.secretNamespace")
    if kind == "glusterfs" and (namespace := given.get("endpointsNamespace")) is not None:
        causes.each_invalid(f"{at}.endpointsNamespace", namespace, names.dns_label(namespace) if namespace else
                            ("if the endpointnamespace is set, it must be a valid namespace name",))


def csi_source(given: Obj, path: str, causes: Causes) -> None:
    causes.required_name(given, path, "driver", names.csi_driver)
    causes.required_fields(given, path, "volumeHandle")
    for field_name in ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef",
                       "nodeStageSecretRef", "nodeExpandSecretRef"):
        if field_name in given:
            causes.required_fields(given[field_name], f"{path}.{field_name}", "name", "namespace")


def class_and_mode(spec: Obj, name: str, path: str, causes: Causes) -> None:
    if spec.get("storageClassName") and not name:
        causes.forbidden(f"{path}.storageClassName", "may not be specified in the context of inline volumes")
    else:
        causes.name(spec, path, "storageClassName", names.dns_subdomain)
    if not name and spec.get("volumeMode", "Filesystem") != "Filesystem":
        causes.forbidden(f"{path}.volumeMode",
                         "may not specify volumeMode other than Filesystem in the context of inline volumes")
    elif name:
        causes.optional(spec, path, "volumeMode", VOLUME_MODES)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        at = f"{path}.volumeAttributesClassName"
        if not attributes:
            causes.required(at, "an empty string is disallowed")
        else:
            causes.each_invalid(at, attributes, names.dns_subdomain(attributes))
        if "csi" not in spec:
            causes.required(f"{path}.csi", "has to be specified when using volumeAttributesClassName")


def volume_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    now, then = ({kind: each_spec[kind] for kind in each_spec if kind in PLACES} for each_spec in (spec, before))
    if "csi" in now and "controllerExpandSecretRef" not in then.get("csi", {"controllerExpandSecretRef": None}):
        now["csi"] = {key: value for key, value in now["csi"].items() if key != "controllerExpandSecretRef"}
    if now != then:
        causes.forbidden("spec.persistentvolumesource", SOURCE_FROZEN)
    if spec.get("volumeMode") != before.get("volumeMode"):
        causes.invalid("volumeMode", spec.get("volumeMode"), "field is immutable")
    affinity = before.get("nodeAffinity")
    if affinity is not None and general(spec.get("nodeAffinity"), affinity) != affinity:
        causes.invalid("nodeAffinity", spec.get("nodeAffinity"),
                       "field is immutable, except for updating from beta label to GA")
    if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        causes.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


def general(now: Any, then: Any) -> Any:
    """The new node affinity with those labels by their beta names that the old one had so."""
    if isinstance(now, dict) and isinstance(then, dict):
        result = {key: general(value, then.get(key)) for key, value in now.items()}
        if "key" in now and TO_GENERAL.get(then.get("key", "")) == now["key"]:
            result["key"] = then["key"]
        return result
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [general(*pair) for pair in zip(now, then, strict=True)]
    return now


def claim(obj: Obj, causes: Causes) -> None:
    claim_spec(obj.get("spec", {}), "spec", causes)


def claim_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """A claim may name its volume and its class once, and grow when bound."""
    spec, before = clone(obj.get("spec", {})), clone(old.get("spec", {}))
    bound = obj.get("status", {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        put(spec, before, "volumeName")
    class_update(spec, before, obj, old, causes)
    now, then = (each_spec.get("resources", {}).get("requests", {}).get("storage", "0") for each_spec in (spec, before))
    attributes, attributes_before = (each_spec.get("volumeAttributesClassName") for each_spec in (spec, before))
    if bound:
        if "storage" in spec.get("resources", {}).get("requests", {}):
            spec["resources"]["requests"]["storage"] = then
        if attributes is not None:
            put(spec, before, "volumeAttributesClassName")
    if spec != before:
        causes.forbidden("spec", CLAIM_FROZEN)
    capacity = old.get("status", {}).get("capacity", {}).get("storage", "0")
    if quantity.parse(now) < quantity.parse(then) and quantity.parse(now) <= quantity.parse(capacity):
        causes.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if spec.get("volumeMode") != before.get("volumeMode"):
        causes.invalid("volumeMode", spec.get("volumeMode"), "field is immutable")
    if attributes_before is not None and attributes != attributes_before and not attributes:
        causes.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"
                         if attributes is None else "update from non-nil value to an empty string is forbidden")


def put(spec: Obj, before: Obj, name: str) -> None:
    """Have a field as it was."""
    if name in before:
        spec[name] = before[name]
    else:
        spec.pop(name, None)


def class_update(spec: Obj, before: Obj, obj: Obj, old: Obj, causes: Causes) -> None:
    """A class that was named nowhere, or in the annotation of old, may be named in its field."""
    now, then = (each_obj.get("metadata", {}).get("annotations", {}).get(CLASS_ANNOTATION) for each_obj in (obj, old))
    wanted = spec.get("storageClassName")
    if then is not None and "storageClassName" not in before and wanted == then and now in (None, then):
        put(spec, before, "storageClassName")
        return
    if now != then:
        causes.invalid(f"metadata.annotations[{CLASS_ANNOTATION}]", now or "", "field is immutable")
    if wanted is not None and "storageClassName" not in before and then in (None, wanted):
        put(spec, before, "storageClassName")


def claim_status(obj: Obj, old: Obj, causes: Causes) -> None:
    status = obj.get("status", {})
    for name, value in status.get("capacity", {}).items():
        if quantity.read(value)[0] < 0:
            causes.invalid(f"status.capacity[{name}]", value, "must be a valid resource quantity")
    for name, state in status.get("allocatedResourceStatuses", {}).items():
        if state not in RESIZING:
            causes.unsupported("status.allocatedResourceStatus", name, sorted(RESIZING))
    for name, value in status.get("allocatedResources", {}).items():
        if quantity.read(value)[0] % quantity.NANO:
            causes.invalid(f"status.allocatedResources[{name}]", value, INTEGER)


def parameters(given: Obj, path: str, causes: Causes) -> None:
    listed = given.get("parameters", {})
    if len(listed) > MOST_PARAMETERS:
        causes.too_long("parameters", MOST_PARAMETERS)
        return
    for key in listed:
        if not key:
            causes.invalid("parameters", key, "field can not be empty.")
    if sum(len(key.encode(errors="replace")) + len(value.encode(errors="replace"))
           for key, value in listed.items()) > LARGEST_PARAMETERS:
        causes.too_long("parameters", LARGEST_PARAMETERS)


def topologies(given: Obj, path: str, causes: Causes) -> None:
    """Where volumes of a class may be: terms of labels, none like another."""
    taken: list[dict[str, set[str]]] = []
    for index, term in enumerate(given.get("allowedTopologies", ())):
        at, found = f"allowedTopologies[{index}]", dict[str, set[str]]()
        for place, rule in enumerate(term.get("matchLabelExpressions", ())):
            where, key, values = f"{at}.matchLabelExpressions[{place}]", rule.get("key", ""), rule.get("values", ())
            if not values:
                causes.required(f"{where}.values")
            for position, value in enumerate(values):
                if value in values[:position]:
                    causes.duplicate(f"{where}.values[{position}]", value)
            causes.each_invalid(f"{where}.key", key, names.qualified_name(key))
            if key in found:
                causes.duplicate(f"{where}.key", key)
            found[key] = set(values)
        if found in taken:
            causes.duplicate(f"{at}.matchLabelExpressions", "")
        taken.append(found)


def provisioner(value: Any, path: str, causes: Causes) -> None:
    if not value:
        causes.required(path)
    else:
        causes.each_invalid(path, value, names.qualified_name(value.lower()))


storage_class = declare(field("provisioner", provisioner), judged(parameters),
                        field("reclaimPolicy", one_of("Delete", "Retain")),
                        field("volumeBindingMode", present, one_of("Immediate", "WaitForFirstConsumer")),
                        judged(topologies))
storage_class_update = both(kept("parameters", "provisioner", "reclaimPolicy"), fixed("volumeBindingMode"))

attributes_class = declare(field("driverName", required, form(names.csi_driver)),
                           field("parameters", required_with("must contain at least one key/value pair")),
                           judged(parameters))
attributes_class_update = kept("driverName", "parameters")


def attached(obj: Obj, path: str, causes: Causes) -> None:
    """What is attached: a PersistentVolume, or one that is spelt out."""
    given, at = obj.get("spec", {}).get("source", {}), "spec.source"
    name, inline = given.get("persistentVolumeName"), given.get("inlineVolumeSpec")
    if name is None and inline is None:
        causes.required(at, ONE_SOURCE)
    elif name is not None and inline is not None:
        causes.forbidden(at, ONE_SOURCE)
    elif name == "":
        causes.required(f"{at}.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif inline is not None:
        volume_spec(inline, "", f"{at}.inlineVolumeSpec", causes)


volume_attachment = declare(field("spec.attacher", required, form(names.csi_driver)), judged(attached),
                            field("spec.nodeName", required, form(names.dns_subdomain)))
volume_attachment_update = fixed("spec")

TOKEN_LIMITS = (at_least(600, "may not specify a duration less than 10 minutes"),
                between(-2**63, 2**32, "may not specify a duration larger than 2^32 seconds"))

csi_driver = declare(
    field("spec.attachRequired", present), field("spec.podInfoOnMount", present),
    field("spec.storageCapacity", present),
    field("spec.fsGroupPolicy", one_of("File", "None", "ReadWriteOnceWithFSType")),
    each("spec.tokenRequests", field("expirationSeconds", *TOKEN_LIMITS), unique="audience"),
    field("spec.volumeLifecycleModes", items(one_of("Ephemeral", "Persistent"))),
    field("spec.seLinuxMount", present),
    field("spec.nodeAllocatableUpdatePeriodSeconds", at_least(10, "must be greater than or equal to 10 seconds")))
csi_driver_update = fixed("spec.attachRequired", "spec.volumeLifecycleModes")


def node_id(value: Any, path: str, causes: Causes) -> None:
    if value and len(value) > 192:
        causes.invalid(path, value, "must be 192 characters or less")


csi_node = declare(each(
    "spec.drivers", field("name", required, form(names.csi_driver)), field("nodeID", required, node_id),
    field("allocatable.count", non_negative),
    field("topologyKeys", items(required, form(names.qualified_name), unique=True)), unique="name"))


def csi_node_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """Drivers come and go, but for what they can hold they stay what they are."""
    before = {driver.get("name"): driver for driver in old.get("spec", {}).get("drivers", ())}
    for index, driver in enumerate(obj.get("spec", {}).get("drivers", ())):
        there = before.get(driver.get("name"), driver)
        if driver | {"allocatable": None} != there | {"allocatable": None}:
            causes.invalid(f"spec.drivers[{index}]", driver, "field is immutable")


def amount(value: Any, path: str, causes: Causes) -> None:
    if value is not None and quantity.read(value)[0] < 0:
        causes.invalid(path, value, NON_NEGATIVE)


storage_capacity = declare(field("storageClassName", required, form(names.dns_subdomain)), field("capacity", amount),
                           field("maximumVolumeSize", amount), field("nodeTopology", selector))
storage_capacity_update = fixed("nodeTopology", "storageClassName")
