"""The FlowSchemas and PriorityLevelConfigurations that every cluster has, as Kubernetes v1.37 suggests them.

Mandatory ones are always as they stand here; suggested ones are until somebody sets their annotation to "false".
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset({"exempt", "catch-all"})
"""Names of the mandatory objects, of both kinds."""
ALL = "*"


def level(name: str, shares: int, lendable: int, queues: tuple[int, int] | None) -> Object:
    """A limited level; `queues` is their number and how many of them one flow uses, None for a level without."""
    response: Object = {"type": "Reject"}
    if queues is not None:
        response = {"type": "Queue", "queuing": {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": 50}}
    return named(name, {"type": "Limited", "limited": {
        "nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}})


def schema(name: str, level_name: str, precedence: int, flow: str, subjects: list[Object],
           resources: list[Object] | None = None, paths: list[Object] | None = None) -> Object:
    """A FlowSchema whose flows are told apart by `flow` (ByUser, ByNamespace, or nothing)."""
    rule: Object = {"subjects": subjects}
    if resources:
        rule["resourceRules"] = resources
    if paths:
        rule["nonResourceRules"] = paths
    spec: Object = {"priorityLevelConfiguration": {"name": level_name}, "matchingPrecedence": precedence}
    if flow:
        spec["distinguisherMethod"] = {"type": flow}
    return named(name, spec | {"rules": [rule]})


def named(name: str, spec: Object) -> Object:
    return {"metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}}, "spec": spec}


def groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def resources(verbs: list[str], group: str, names: list[str], *, cluster: bool) -> Object:
    """Resources of every namespace, and with `cluster` those outside of any."""
    return {"verbs": verbs, "apiGroups": [group], "resources": names, "namespaces": [ALL]} | (
        {"clusterScope": True} if cluster else {})


EVERY_RESOURCE = resources([ALL], ALL, [ALL], cluster=True)
EVERY_PATH: Object = {"verbs": [ALL], "nonResourceURLs": [ALL]}
EVERYBODY = groups("system:unauthenticated", "system:authenticated")
NODES = groups("system:nodes")
CONTROLLERS, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
SYSTEM_ACCOUNTS: list[Object] = [
    {"kind": "ServiceAccount", "serviceAccount": {"name": ALL, "namespace": "kube-system"}}]


def everything(name: str, level_name: str, precedence: int, flow: str, subjects: list[Object]) -> Object:
    """A schema for all that its subjects may ask."""
    return schema(name, level_name, precedence, flow, subjects, [EVERY_RESOURCE], [EVERY_PATH])


LEVELS: tuple[Object, ...] = (
    named("exempt", {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
    level("catch-all", 5, 0, None),
    level("system", 30, 33, (64, 6)),
    level("node-high", 40, 25, (64, 6)),
    level("leader-election", 10, 0, (16, 4)),
    level("workload-high", 40, 50, (128, 6)),
    level("workload-low", 100, 90, (128, 6)),
    level("global-default", 20, 50, (128, 6)),
)

SCHEMAS: tuple[Object, ...] = (
    everything("exempt", "exempt", 1, "", groups("system:masters")),
    everything("catch-all", "catch-all", 10_000, "ByUser", EVERYBODY),
    everything("system-nodes", "system", 500, "ByUser", NODES),
    schema("system-node-high", "node-high", 400, "ByUser", NODES, [
        resources([ALL], "", ["nodes", "nodes/status"], cluster=True),
        resources([ALL], "coordination.k8s.io", ["leases"], cluster=False)]),
    schema("probes", "exempt", 2, "", EVERYBODY, paths=[
        {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]),
    schema("system-leader-election", "leader-election", 100, "ByUser",
           users(CONTROLLERS, SCHEDULER) + SYSTEM_ACCOUNTS,
           [resources(["get", "create", "update"], "coordination.k8s.io", ["leases"], cluster=False)]),
    everything("kube-controller-manager", "workload-high", 800, "ByNamespace", users(CONTROLLERS)),
    everything("kube-scheduler", "workload-high", 800, "ByNamespace", users(SCHEDULER)),
    everything("kube-system-service-accounts", "workload-high", 900, "ByNamespace", SYSTEM_ACCOUNTS),
    everything("service-accounts", "workload-low", 9000, "ByUser", groups("system:serviceaccounts")),
    everything("global-default", "global-default", 9900, "ByUser", EVERYBODY),
)
