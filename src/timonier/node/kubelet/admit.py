"""Whether this node takes a pod that was bound to it: room, node affinity, sysctls, operating system. Pure.

The scheduler has asked the same before; this catches pods that it did not see to, and races.
Source: Kubernetes documentation, "Node-pressure Eviction", "Assigning Pods to Nodes", "Using sysctls".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from timonier.api import quantity
from timonier.api.types import core_v1
from timonier.node.kubelet import resources
from timonier.node.kubelet.observed import Ended

SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"})


def admit(pod: core_v1.Pod, others: Iterable[core_v1.Pod], node: core_v1.Node, max_pods: int) -> Ended | None:
    """Why the pod is turned away, or None. `others` are the pods that are on the node and not over."""
    others = list(others)
    if pod.spec.os and pod.spec.os.name not in ("", "linux"):
        return rejected("PodOSNotSupported", f"Failed to admit pod as the OS field doesn't match node OS: "
                                             f"{pod.spec.os.name}")
    if not matches_node(pod, node):
        return rejected("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node "
                                        "affinity/selector")
    context = pod.spec.securityContext or core_v1.PodSecurityContext()
    for sysctl in context.sysctls:
        if sysctl.name.replace("/", ".") not in SAFE_SYSCTLS:
            return rejected("SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowlisted')
    if context.supplementalGroupsPolicy == "Strict":
        return rejected("SupplementalGroupsPolicyNotSupported",
                        "SupplementalGroupsPolicy=Strict is not supported in this node")
    if len(others) >= max_pods:
        return lacking("pods", 1, len(others), max_pods)
    return lacking_resource(pod, others, node.status.allocatable)


def rejected(reason: str, why: str) -> Ended:
    return Ended(reason, f"Pod was rejected: {why}")


def lacking(resource: str, requested: int, used: int, capacity: int) -> Ended:
    return rejected(f"OutOf{resource}", f"Node didn't have enough resource: {resource}, requested: {requested}, "
                                        f"used: {used}, capacity: {capacity}")


def lacking_resource(pod: core_v1.Pod, others: Iterable[core_v1.Pod], allocatable: Mapping[str, str]) -> Ended | None:
    asked, taken = resources.pod_amounts(pod), [resources.pod_amounts(other) for other in others]
    for name, field, read in (("cpu", "cpu_request", quantity.milli), ("memory", "memory_request", quantity.whole)):
        if name not in allocatable:
            continue
        wanted, used, capacity = getattr(asked, field), sum(getattr(o, field) for o in taken), read(allocatable[name])
        if wanted and wanted + used > capacity:
            return lacking(name, wanted, used, capacity)
    return None


def matches_node(pod: core_v1.Pod, node: core_v1.Node) -> bool:
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.nodeSelector.items()):
        return False
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    if required is None:
        return True
    fields = {"metadata.name": node.metadata.name}
    return any((term.matchExpressions or term.matchFields)
               and all(holds(one, labels) for one in term.matchExpressions)
               and all(holds(one, fields) for one in term.matchFields) for term in required.nodeSelectorTerms)


def holds(requirement: core_v1.NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    value = values.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    try:
        number, bound = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return number > bound if requirement.operator == "Gt" else number < bound
