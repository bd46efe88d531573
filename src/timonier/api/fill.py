"""What Go writes although nobody said it: zero values of required fields, and structs that are never absent.

A store holds what the API server answers, so `fill` comes last, after validation: a missing `name` is first refused as
missing. Empty lists are `[]` where Go would write `null`, which some clients refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from timonier.api.schema import Schema, definition, definitions
from timonier.api.schema.walk import Visit, below, holders

CORE, APPS, NETWORKING = "io.k8s.api.core.v1.", "io.k8s.api.apps.v1.", "io.k8s.api.networking.v1."

PRESENT: dict[str, tuple[str, ...]] = {
    CORE + "Container": ("resources",),
    CORE + "EphemeralContainer": ("resources",),
    CORE + "ContainerStatus": ("state", "lastState"),
    CORE + "PersistentVolumeClaimSpec": ("resources",),
    CORE + "ServiceStatus": ("loadBalancer",),
    CORE + "NodeStatus": ("daemonEndpoints", "nodeInfo"),
    CORE + "Event": ("source", "reportingComponent", "reportingInstance"),
    APPS + "DeploymentSpec": ("strategy",),
    APPS + "DaemonSetSpec": ("updateStrategy",),
    APPS + "StatefulSetSpec": ("updateStrategy", "serviceName"),
    APPS + "StatefulSetOrdinals": ("start",),
    APPS + "ReplicaSetSpec": ("template",),
    APPS + "ControllerRevision": ("revision",),
    APPS + "StatefulSetStatus": ("availableReplicas",),
    NETWORKING + "IngressStatus": ("loadBalancer",),
    NETWORKING + "IngressServiceBackend": ("port",),
    NETWORKING + "NetworkPolicySpec": ("podSelector",),
    CORE + "PodTemplate": ("template",),
    CORE + "ResourceFieldSelector": ("divisor",),
    CORE + "ProjectedVolumeSource": ("sources",),
    CORE + "NodeDaemonEndpoints": ("kubeletEndpoint",),
    "io.k8s.api.policy.v1.PodDisruptionBudgetStatus": ("disruptionsAllowed", "currentHealthy", "desiredHealthy",
                                                       "expectedPods"),
    "io.k8s.api.discovery.v1.EndpointSlice": ("endpoints", "ports"),
    "io.k8s.api.discovery.v1.Endpoint": ("conditions",),
    "io.k8s.api.scheduling.v1.PriorityClass": ("value",),
    "io.k8s.api.storage.v1.CSINodeDriver": ("topologyKeys",),
    "io.k8s.api.rbac.v1.Role": ("rules",),
    "io.k8s.api.rbac.v1.ClusterRole": ("rules",),
    "io.k8s.api.resource.v1.ResourceClaimSpec": ("devices",),
    "io.k8s.api.resource.v1.AllocationResult": ("devices",),
}
"""Fields that Go writes always, of which the schema does not know: they count as optional there."""

FORMER_NAMES = {CORE + "PodSpec": ("serviceAccount", "serviceAccountName")}
"""Fields that repeat another one under the name that it had: admission sets the new one, Go writes both."""

STRUCTS = frozenset({"metadata", "spec", "status"})
"""Objects of these names are never pointers in Go."""

ZEROS: dict[str, Callable[[], Any]] = {"string": str, "boolean": bool, "integer": int, "number": int, "array": list,
                                       "object": dict}
FILLERS: dict[str, Visit] = {}
"""By definition; an entry is made before what it holds is looked at."""


def fill(obj: dict[str, Any], name: str) -> None:
    """Write out, in place, what an object of that definition is never without."""
    if name in needing():
        filler_of(name)(obj)


def filler_of(name: str) -> Visit:
    """What fills objects of a definition that needs it."""
    if name in FILLERS:
        return FILLERS[name]
    node = definition(name)
    zeros = [(field, zero) for field, child in node.get("properties", {}).items()
             if (zero := zero_of(name, field, child, node))]
    former, present = FORMER_NAMES.get(name, ("", ""))
    inner: dict[str, Visit] = {}
    visit_of = inner.get

    def filler(obj: dict[str, Any]) -> None:
        if present and obj.get(present):
            obj[former] = obj[present]
        for field, zero in zeros:
            if field not in obj:
                obj[field] = zero()
        for field, child in obj.items():  # which has few of the fields that there are
            if visit := visit_of(field):
                visit(child)

    FILLERS[name] = filler
    inner.update(below(name, filler_of, needing()))
    if len(zeros) == 1 and not inner and not present:
        FILLERS[name] = only(*zeros[0])
    return FILLERS[name]


def only(field: str, zero: Callable[[], Any]) -> Visit:
    """What fills objects that are never without one field, and hold nothing: most of those that come in long lists."""
    def filler(obj: dict[str, Any]) -> None:
        if field not in obj:
            obj[field] = zero()
    return filler


def zero_of(name: str, field: str, child: Schema, owner: Schema) -> Callable[[], Any] | None:
    """What an absent field is written as; None where it stays absent."""
    target = definition(child["$ref"]) if "$ref" in child else child
    struct = "properties" in target or target.get("type") == "object"
    if field in owner.get("required", ()) or field in PRESENT.get(name, ()) or ("$ref" in child and struct
                                                                                and field in STRUCTS):
        match target.get("format"):
            case "date-time":
                return None  # Go writes null, which says no more than absence
            case "quantity":
                return lambda: "0"
            case "int-or-string":
                return int
        return ZEROS.get(target.get("type", ""))
    return None


@cache
def needing() -> frozenset[str]:
    """The definitions that need filling, or hold one that does."""
    return holders(name for name, node in definitions().items()
                   if any(zero_of(name, field, child, node) for field, child in node.get("properties", {}).items()))
