"""Pod garbage: pods whose node is gone, that were deleted before they had one, or that ended long ago.

Nobody else would finish these: a kubelet finishes what is on its node. Source: kubernetes/pkg/controller/podgc.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from timonier.api import times
from timonier.api.kinds import Kind
from timonier.api.types import core_v1
from timonier.client.client import STRATEGIC_PATCH
from timonier.client.informer import key_of
from timonier.client.wire import kind_of
from timonier.controllers.shared.pods import FINISHED
from timonier.kit.clock import Seconds, Time
from timonier.reconcile.plan import Delete, Patch, Plan, Reference
from timonier.reconcile.snapshot import Snapshot, Watch

QUARANTINE: Seconds = 40.0
"""How long a node has to be missing before its pods are taken for lost."""
FINISHED_KEY = "finished pods"
"""The key under which all finished pods are looked at together."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
BY_NODE, BY_END = "node", "end"


class PodGarbageController:
    """A key is a pod, or `FINISHED_KEY`. Remembers since when it misses a node."""

    name = "pod-garbage-collector"

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._missing: dict[str, Time] = {}

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Pod, self._concerned, {
                    BY_NODE: lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (),
                    BY_END: lambda pod: ("ended",) if pod.status.phase in FINISHED else ()}),
                Watch(core_v1.Node, pods_of_lost)]

    def _concerned(self, pod: core_v1.Pod, snapshot: Snapshot) -> Iterable[str]:
        if pod.status.phase in FINISHED and self._threshold:
            yield FINISHED_KEY
        node = pod.spec.nodeName
        if pod.metadata.deletionTimestamp or (node and lost(snapshot.get(core_v1.Node, node))):
            yield key_of(pod)

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        if key == FINISHED_KEY:
            return self._too_many(snapshot)
        pod = snapshot.get(core_v1.Pod, key)
        if pod is None:
            return Plan()
        if not pod.spec.nodeName:
            return removal(pod, now, "") if pod.metadata.deletionTimestamp else Plan()
        node = snapshot.get(core_v1.Node, pod.spec.nodeName)
        if node is not None:
            self._missing.pop(pod.spec.nodeName, None)
            if pod.metadata.deletionTimestamp and lost(node):
                return removal(pod, now, "PodGC: node is out of service")
            return Plan()
        return self._orphaned(pod, now)

    def _orphaned(self, pod: core_v1.Pod, now: Time) -> Plan:
        left = self._missing.setdefault(pod.spec.nodeName, now) + QUARANTINE - now
        if left > 0:
            return Plan(again=left)
        plan = removal(pod, now, "PodGC: node no longer exists")
        plan.absent = [Reference(node_kind(), pod.spec.nodeName, "", "")]
        return plan

    def _too_many(self, snapshot: Snapshot) -> Plan:
        """The oldest finished pods beyond the threshold."""
        ended = [pod for pod in snapshot.by_index(core_v1.Pod, BY_END, "ended") if not pod.metadata.deletionTimestamp]
        excess = sorted(ended, key=lambda pod: (pod.metadata.creationTimestamp, pod.metadata.name))
        return Plan(delete=[Delete.of(pod, propagation="", grace=0)
                            for pod in excess[:max(0, len(ended) - self._threshold)]])


def node_kind() -> Kind:
    return kind_of(core_v1.Node)


def lost(node: core_v1.Node | None) -> bool:
    """Whether nobody runs this node any more: it is gone, or declared out of service."""
    return node is None or any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def pods_of_lost(node: core_v1.Node, snapshot: Snapshot) -> Iterable[str]:
    current = snapshot.get(core_v1.Node, node.metadata.name)
    return [key_of(pod) for pod in snapshot.by_index(core_v1.Pod, BY_NODE, node.metadata.name)] if lost(current) else ()


def removal(pod: core_v1.Pod, now: Time, why: str) -> Plan:
    """Delete a pod without grace; one that has not ended is marked as failed before."""
    meta = pod.metadata
    patches = []
    if why and pod.status.phase not in FINISHED:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": why,
                     "lastTransitionTime": times.rfc3339(now)}
        patch = {"metadata": {"uid": meta.uid}, "status": {"phase": "Failed", "conditions": [condition]}}
        patches = [Patch(core_v1.Pod, meta.name, meta.namespace, patch, STRATEGIC_PATCH, "status")]
    return Plan(patch=patches, delete=[Delete.of(pod, propagation="", grace=0)])
