"""The fields that field selectors may name, kind by kind, and how to read them from an object.

Source: Kubernetes documentation, "Field Selectors": `metadata.name` for every kind, `metadata.namespace` for those in a
namespace, and the rows below. A selector on anything else is refused, as it would silently match the wrong objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.errors import BadRequest
from timonier.api.kinds import Kind
from timonier.api.selectors import Fields

Object = dict[str, Any]

REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
CORE_EVENT = (*(f"involvedObject.{part}" for part in REFERENCE), "reason", "reportingComponent", "source", "type")
FIELDS: dict[str, tuple[str, ...]] = {
    "v1/Event": CORE_EVENT,
    "events.k8s.io/v1/Event": (*(f"regarding.{part}" for part in REFERENCE), "reason", "reportingController", "type"),
    "v1/Namespace": ("status.phase", "name"),
    "v1/Node": ("spec.unschedulable",),
    "v1/Pod": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
               "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
    "v1/ReplicationController": ("status.replicas",),
    "v1/Secret": ("type",),
    "v1/Service": ("spec.clusterIP", "spec.type"),
    "v1/PersistentVolume": ("name",),
    "v1/PersistentVolumeClaim": ("name",),
    "apps/v1/ReplicaSet": ("status.replicas",),
    "batch/v1/Job": ("status.successful",),
    "certificates.k8s.io/v1/CertificateSigningRequest": ("spec.signerName",),
    "certificates.k8s.io/v1/ClusterTrustBundle": ("spec.signerName",),
    "certificates.k8s.io/v1/PodCertificateRequest": ("spec.signerName", "spec.podName", "spec.nodeName"),
    "networking.k8s.io/v1/IPAddress": ("spec.parentRef.name",),
    "resource.k8s.io/v1/ResourceSlice": ("spec.driver", "spec.nodeName"),
    "apiregistration.k8s.io/v1/APIService": ("spec.service.namespace", "spec.service.name"),
}
"""By kind: what else may be selected on."""

ALIASES = {"regarding": "involvedObject", "reportingController": "reportingComponent"}
"""Events are stored as core events; these are the other version's names for the same fields."""


def source(obj: Object) -> str:
    """`source` of an event is the component that reported it, by its older or its newer field."""
    return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")


SPECIAL: dict[str, Callable[[Object], str]] = {
    "source": source,
    "name": lambda obj: str(obj["metadata"].get("name", "")),
    "status.successful": lambda obj: str((obj.get("status") or {}).get("succeeded", 0)),
    "status.replicas": lambda obj: str((obj.get("status") or {}).get("replicas", 0)),
    "status.podIPs": lambda obj: ",".join(ip.get("ip", "") for ip in (obj.get("status") or {}).get("podIPs") or ()),
    "spec.unschedulable": lambda obj: truth((obj.get("spec") or {}).get("unschedulable")),
    "spec.hostNetwork": lambda obj: truth((obj.get("spec") or {}).get("hostNetwork")),
}


def truth(value: Any) -> str:
    return "true" if value else "false"


def read(obj: Object, field: str) -> str:
    """One selectable field of a stored object, as the text that selectors compare with."""
    if special := SPECIAL.get(field):
        return special(obj)
    first, *rest = field.split(".")
    value: Any = obj.get(ALIASES.get(first, first))
    for part in rest:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else truth(value) if isinstance(value, bool) else str(value)


def check(kind: Kind, selector: Fields) -> None:
    """Raise BadRequest where the selector names a field that the kind does not offer."""
    offered = FIELDS.get(kind.id) if kind.custom is None else kind.custom.selectable
    for term in selector.terms:
        if term.field == "metadata.name" or (term.field == "metadata.namespace" and kind.namespaced):
            continue
        if offered is None:
            raise BadRequest(f'"{term.field}" is not a known field selector: '
                             'only "metadata.name", "metadata.namespace"')
        if term.field not in offered:
            raise BadRequest(f"field label not supported: {term.field}")
