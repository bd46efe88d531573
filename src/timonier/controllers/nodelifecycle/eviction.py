"""Taint eviction: a pod leaves a node with a NoExecute taint at once, or as long as it tolerates the taint.

The time runs from when the taint was added, or the pod came if that was later, so that our restart does not prolong it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from timonier.api import times
from timonier.api.types import core_v1
from timonier.client.client import STRATEGIC_PATCH
from timonier.controllers.nodelifecycle.health import BY_NODE, on_node
from timonier.controllers.nodelifecycle.taints import NO_EXECUTE
from timonier.controllers.shared.pods import FINISHED
from timonier.kit.clock import Time
from timonier.reconcile.plan import Delete, Note, Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

NEVER = float("inf")


class TaintEvictionController:
    """A key is a pod."""

    name = "taint-eviction-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Pod, itself, {BY_NODE: on_node}), Watch(core_v1.Node, pods_on)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        pod = snapshot.get(core_v1.Pod, key)
        if pod is None or not pod.spec.nodeName or pod.metadata.deletionTimestamp or pod.status.phase in FINISHED:
            return Plan()
        node = snapshot.get(core_v1.Node, pod.spec.nodeName)
        due = eviction_time(pod, no_execute(node), now) if node is not None else NEVER
        if due == NEVER:
            return Plan()
        if due > now:
            return Plan(again=due - now)
        note = Note(pod, "TaintManagerEviction", f"Marking for deletion Pod {key}")
        return Plan(patch=[disrupted(pod, "DeletionByTaintManager",
                                     "Taint manager: deleting due to NoExecute taint", now)],
                    delete=[Delete.of(pod, propagation="")], events=[note])


def pods_on(node: core_v1.Node, snapshot: Snapshot) -> Iterable[str]:
    """The pods that a taint of their node may concern; none as long as there is no such taint."""
    if not no_execute(node):
        return ()
    return [f"{pod.metadata.namespace}/{pod.metadata.name}"
            for pod in snapshot.by_index(core_v1.Pod, BY_NODE, node.metadata.name)]


def no_execute(node: core_v1.Node) -> list[core_v1.Taint]:
    return [taint for taint in node.spec.taints if taint.effect == NO_EXECUTE]


def eviction_time(pod: core_v1.Pod, taints: Sequence[core_v1.Taint], now: Time) -> Time:
    """When the pod has to go: `now` where it does not tolerate one of the taints, NEVER where it tolerates all."""
    due = NEVER
    here = times.parse(pod.status.startTime or pod.metadata.creationTimestamp) \
        if pod.status.startTime or pod.metadata.creationTimestamp else now
    for taint in taints:
        tolerations = [each for each in pod.spec.tolerations if tolerates(each, taint)]
        if not tolerations:
            return now
        since = max(times.parse(taint.timeAdded), here) if taint.timeAdded else here
        limits = [each.tolerationSeconds for each in tolerations if each.tolerationSeconds is not None]
        if limits:
            due = min(due, since + max(0, min(limits)))
    return due


def tolerates(toleration: core_v1.Toleration, taint: core_v1.Taint) -> bool:
    """Source: Kubernetes docs, "Taints and Tolerations"."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value


def disrupted(pod: core_v1.Pod, reason: str, message: str, now: Time) -> Patch:
    """Says in the pod's own conditions that it is not its fault."""
    meta = pod.metadata
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
                 "lastTransitionTime": times.rfc3339(now)}
    patch = {"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}}
    return Patch(core_v1.Pod, meta.name, meta.namespace, patch, STRATEGIC_PATCH, "status")
