"""Nodes, and what hangs on them: leases, priority classes, runtime classes, events."""

from __future__ import annotations

from timonier.api import names, quantity
from timonier.api.validation.causes import NON_NEGATIVE, POSITIVE, Causes, Obj
from timonier.api.validation.scheduling import effect

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITY_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
RESERVED = "priority class names with 'system-' prefix are reserved for system use only"


def node(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    taken: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints", ())):
        path, key, value = f"spec.taints[{index}]", taint.get("key", ""), taint.get("value", "")
        causes.each_invalid(f"{path}.key", key, names.qualified_name(key))
        if wrong := names.label_value(value):
            causes.invalid(f"{path}.value", value, ";".join(wrong))
        effect(taint, path, causes, optional=False)
        if (key, taint.get("effect", "")) in taken:
            causes.duplicate(path, {"key": key, "value": value, "effect": taint.get("effect", "")})
        taken.add((key, taint.get("effect", "")))
    for index, network in enumerate(spec.get("podCIDRs", ())):
        causes.each_invalid(f"spec.podCIDRs[{index}]", network, names.cidr(network))
    for field in ("capacity", "allocatable"):
        for name, value in obj.get("status", {}).get(field, {}).items():
            if quantity.parse(value) < 0:
                causes.invalid(f"status.{field}[{name}]", value, NON_NEGATIVE)


def node_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    if before.get("podCIDRs") and spec.get("podCIDRs", []) != before["podCIDRs"]:
        causes.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        causes.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')


def lease(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        causes.invalid("spec.leaseDurationSeconds", duration, POSITIVE)
    causes.non_negative(spec, "spec", "leaseTransitions")


def priority_class(obj: Obj, causes: Causes) -> None:
    name, value = obj.get("metadata", {}).get("name", ""), obj.get("value", 0)
    if name in SYSTEM_PRIORITY_CLASSES:
        if value != SYSTEM_PRIORITY_CLASSES[name]:
            causes.forbidden("metadata.name", f"{RESERVED}. error: value of {name} PriorityClass must be "
                             f"{SYSTEM_PRIORITY_CLASSES[name]}")
    elif name.startswith("system-"):
        causes.forbidden("metadata.name", f"{RESERVED}. error: {name} is not a known system priority class")
    elif value > HIGHEST_USER_PRIORITY:
        causes.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in ("PreemptLowerPriority", "Never"):
        causes.unsupported("preemptionPolicy", policy, ("Never", "PreemptLowerPriority"))


def priority_class_update(obj: Obj, old: Obj, causes: Causes) -> None:
    if obj.get("value", 0) != old.get("value", 0):
        causes.forbidden("value", "may not be changed in an update.")
    causes.immutable(obj, old, "", "preemptionPolicy")


def runtime_class(obj: Obj, causes: Causes) -> None:
    handler = obj.get("handler", "")
    causes.each_invalid("handler", handler, names.dns_label(handler))


def runtime_class_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "handler")


def event(obj: Obj, causes: Causes) -> None:
    about = obj.get("involvedObject", {}).get("namespace", "")
    event_namespace(obj, about, "involvedObject.namespace", causes)


def new_event(obj: Obj, causes: Causes) -> None:
    """Events of events.k8s.io/v1, which ask for more than those of v1."""
    about = obj.get("regarding", {}).get("namespace", "")
    event_namespace(obj, about, "involvedObject.namespace", causes)
    if not obj.get("eventTime"):
        causes.required("eventTime")
    for field, longest in (("reportingController", 0), ("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = obj.get(field, "")
        if not value:
            causes.required(field)
        elif longest and len(value.encode(errors="surrogatepass")) > longest:
            causes.invalid(field, "", f"can have at most {longest} characters")
    controller = obj.get("reportingController", "")
    if controller:
        causes.each_invalid("reportingController", controller, names.qualified_name(controller))


def event_namespace(obj: Obj, about: str, path: str, causes: Causes) -> None:
    """An event lies where its object does; those of cluster-scoped objects in `default`."""
    namespace = obj.get("metadata", {}).get("namespace", "")
    allowed = (about,) if about else ("default", "kube-system", "")
    if namespace not in allowed:
        causes.invalid(path, about, "does not match event.namespace")
