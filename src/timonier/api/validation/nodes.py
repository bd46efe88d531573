"""Nodes, and what hangs on them: leases, priority classes, runtime classes."""

from __future__ import annotations

import ipaddress

from timonier.api import names
from timonier.api.validation.causes import POSITIVE, Causes, Obj
from timonier.api.validation.metadata import labels
from timonier.api.validation.resources import requirements, wrong_amount
from timonier.api.validation.scheduling import taints, tolerations

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITY_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
RESERVED = "priority class names with 'system-' prefix are reserved for system use only"


def node(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    taints(spec.get("taints", ()), "metadata.taints", causes)
    node_resources(obj, causes)
    ranges = spec.get("podCIDRs", [])
    for index, network in enumerate(ranges):
        causes.each_invalid(f"spec.podCIDRs[{index}]", network, names.cidr(network))
    if len(ranges) > 1 and not any(map(names.cidr, ranges)):
        versions = {ipaddress.ip_network(network, strict=False).version for network in ranges}
        if len(ranges) > 2 or len(versions) < 2:
            causes.invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family")
        for index, network in enumerate(ranges):
            if network in ranges[:index]:
                causes.duplicate(f"spec.podCIDRs[{index}]", network)


def node_resources(obj: Obj, causes: Causes) -> None:
    for field in ("capacity", "allocatable"):
        for name, value in obj.get("status", {}).get(field, {}).items():
            causes.each_invalid(f"status.{field}.{name}", value, wrong_amount(name, value))


def node_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through either door: what a node is once, it stays."""
    spec, before = obj.get("spec", {}), old.get("spec", {})
    node_resources(obj, causes)
    addresses = obj.get("status", {}).get("addresses", [])
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            causes.duplicate(f"status.addresses[{index}]", address)
    if before.get("podCIDRs") and spec.get("podCIDRs", []) != before["podCIDRs"]:
        causes.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        causes.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
    taints(spec.get("taints", ()), "metadata.taints", causes)
    if spec.get("externalID") != before.get("externalID"):
        causes.forbidden("spec.externalID", "may not be updated")


def lease(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    duration, strategy, preferred = spec.get("leaseDurationSeconds"), spec.get("strategy"), spec.get("preferredHolder")
    if duration is not None and duration <= 0:
        causes.invalid("spec.leaseDurationSeconds", duration, POSITIVE)
    causes.non_negative(spec, "spec", "leaseTransitions")
    if strategy is not None:
        strategy_name(strategy, causes)
    if preferred and not strategy:
        causes.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


def strategy_name(value: str, causes: Causes) -> None:
    """How leaders of coordinated elections are chosen: Kubernetes's way, or one with a domain."""
    if value != "OldestEmulationVersion" and "/" not in value:
        causes.invalid("spec.strategy", value, "must be a domain-prefixed path (such as \"acme.io/foo\")")


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
    handler, scheduling = obj.get("handler", ""), obj.get("scheduling", {})
    causes.each_invalid("handler", handler, names.dns_label(handler))
    if "overhead" in obj:
        requirements({"limits": obj["overhead"].get("podFixed", {})}, "overhead.podFixed", causes)
    if "nodeSelector" in scheduling:
        labels(scheduling["nodeSelector"], "scheduling.nodeSelector", causes)
    listed = scheduling.get("tolerations", [])
    tolerations(listed, "scheduling.tolerations", causes)
    for index, toleration in enumerate(listed):
        if toleration in listed[:index]:
            causes.duplicate(f"scheduling.tolerations[{index}]", toleration)


def runtime_class_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "handler")
