"""Node health: a node that has not renewed its lease for the grace period is not Ready, and says so in taints.

A heartbeat is a change of the lease or of the Ready condition, timed by our own clock when we see it: clocks of nodes
need not be right, and after our own restart every node has its full grace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from timonier.api import times
from timonier.api.types import coordination_v1, core_v1, meta_v1
from timonier.client.client import STRATEGIC_PATCH
from timonier.controllers.nodelifecycle.taints import Zone, readiness, wanted
from timonier.controllers.shared import pods as podlib
from timonier.kit.clock import Seconds, Time
from timonier.reconcile.plan import WARNING, Note, Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

LEASES = "kube-node-lease"
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
PERIOD: Seconds = 5.0
"""How often a silent node's surroundings are looked at."""
EVICTION_PAUSE: Seconds = 10.0
"""Time between two nodes that begin to lose their pods."""
BY_NODE = "node"


def on_node(pod: core_v1.Pod) -> Iterable[str]:
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()


@dataclass(slots=True)
class Heard:
    """What was last heard from a node, and when."""

    mark: tuple[str, str]
    at: Time
    uid: str
    ready: str = ""


class NodeHealthController:
    """Marks nodes that fall silent. Remembers when it heard of each; `plan` is pure but for that."""

    name = "node-controller"

    def __init__(self, grace: Seconds) -> None:
        self._grace = grace
        self._heard: dict[str, Heard] = {}
        self._last_eviction: Time = float("-inf")

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Node, itself),
                Watch(coordination_v1.Lease, lambda lease, _: (lease.metadata.name,), namespace=LEASES),
                Watch(core_v1.Pod, lambda _pod, _snapshot: (), {BY_NODE: on_node})]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        node = snapshot.get(core_v1.Node, key)
        if node is None:
            return gone(key, self._heard.pop(key, None))
        new = key not in self._heard
        heard = self._listen(node, snapshot.get(coordination_v1.Lease, f"{LEASES}/{key}"), now)
        left = heard.at + self._grace - now
        if left <= 0 and (silent := silenced(node, now)) is not None:
            return Plan(status=silent, again=0.0)
        plan = self._retaint(node, snapshot, now)
        was, heard.ready = heard.ready, readiness(node)
        # what becomes of a node that is not ready depends on the others, so it is looked at now and then
        plan.again = min(filter(None, (left if left > 0 else PERIOD, plan.again,
                                       None if heard.ready == "True" else PERIOD)))
        if heard.ready == "Unknown" or (was == "True" and heard.ready != "True"):
            pods = [pod for pod in snapshot.by_index(core_v1.Pod, BY_NODE, key) if podlib.ready(pod)]
            plan.patch = [*plan.patch, *(unready(pod, now) for pod in pods)]
            plan.events = [Note(pod, "NodeNotReady", "Node is not ready", WARNING) for pod in pods]
        if was == "True" and heard.ready != "True":
            plan.events = [Note(node, "NodeNotReady", f"Node {key} status is now: NodeNotReady"), *plan.events]
        if new:
            plan.events = [Note(node, "RegisteredNode", f"Node {key} event: Registered Node {key} in Controller"),
                           *plan.events]
        return plan

    def _listen(self, node: core_v1.Node, lease: coordination_v1.Lease | None, now: Time) -> Heard:
        """Note a heartbeat, if there is a new one."""
        ready = next((each for each in node.status.conditions if each.type == "Ready"), None)
        mark = (lease.spec.renewTime if lease else "", ready.lastHeartbeatTime if ready else "")
        heard = self._heard.setdefault(node.metadata.name, Heard(mark, now, node.metadata.uid))
        if heard.mark != mark:
            heard.mark, heard.at = mark, now
        return heard

    def _retaint(self, node: core_v1.Node, snapshot: Snapshot, now: Time) -> Plan:
        taints = wanted(node, Zone.of(snapshot.list(core_v1.Node)), now)
        if taints == node.spec.taints:
            return Plan()
        before = {each.key for each in node.spec.taints if each.effect == "NoExecute"}
        if any(each.effect == "NoExecute" and each.key not in before for each in taints):
            wait = self._last_eviction + EVICTION_PAUSE - now
            if wait > 0:
                return Plan(again=wait)
            self._last_eviction = now
        meta = node.metadata
        patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion},
                 "spec": {"taints": msgspec.to_builtins(taints) or None}}
        return Plan(patch=[Patch(core_v1.Node, meta.name, "", patch)])


def gone(name: str, heard: Heard | None) -> Plan:
    """A node that was known is no more."""
    if heard is None:
        return Plan()
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name=name, uid=heard.uid))
    return Plan(events=[Note(node, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")])


def silenced(node: core_v1.Node, now: Time) -> core_v1.Node | None:
    """The node with what we do not know any more marked Unknown; None where it is already."""
    changed, stamp = clone(node), times.rfc3339(now)
    by_type = {each.type: each for each in changed.status.conditions}
    for type_ in CONDITIONS:
        found = by_type.get(type_)
        if found is None:
            changed.status.conditions.append(core_v1.NodeCondition(
                type=type_, status="Unknown", reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.", lastHeartbeatTime=node.metadata.creationTimestamp,
                lastTransitionTime=stamp))
        elif found.status != "Unknown":
            found.status, found.reason = "Unknown", "NodeStatusUnknown"
            found.message, found.lastTransitionTime = "Kubelet stopped posting node status.", stamp
    return changed if changed != node else None


def unready(pod: core_v1.Pod, now: Time) -> Patch:
    """A pod of a silent node gets no traffic: whether it could serve, nobody knows."""
    meta = pod.metadata
    patch = {"metadata": {"uid": meta.uid},
             "status": {"conditions": [{"type": "Ready", "status": "False",
                                        "lastTransitionTime": times.rfc3339(now)}]}}
    return Patch(core_v1.Pod, meta.name, meta.namespace, patch, STRATEGIC_PATCH, "status")
