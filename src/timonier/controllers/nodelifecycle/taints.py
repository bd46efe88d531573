"""Which taints a node should have, for the conditions that it is in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timonier.api import times
from timonier.api.types import core_v1
from timonier.kit.clock import Time

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"

BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
OURS = frozenset(BY_CONDITION.values()) | {UNSCHEDULABLE}
PARTIAL, MANY = 0.55, 2
"""A zone of which more than `MANY` nodes and this share are not ready: rather the network is at fault than they are."""


@dataclass(frozen=True, slots=True)
class Zone:
    """How many nodes there are, and how many of them are ready."""

    nodes: int
    ready: int

    @classmethod
    def of(cls, nodes: Iterable[core_v1.Node]) -> Zone:
        states = [readiness(node) for node in nodes]
        return cls(len(states), sum(state == "True" for state in states))

    @property
    def all_silent(self) -> bool:
        """Then it is us who cannot hear, and no pod is evicted."""
        return self.ready == 0

    @property
    def disrupted(self) -> bool:
        silent = self.nodes - self.ready
        return silent > MANY and silent / self.nodes >= PARTIAL


def readiness(node: core_v1.Node) -> str:
    """The status of the Ready condition; empty where there is none."""
    return next((each.status for each in node.status.conditions if each.type == "Ready"), "")


def wanted(node: core_v1.Node, zone: Zone, now: Time) -> list[core_v1.Taint]:
    """All taints that the node should have, those of others as they are; one that stays keeps its `timeAdded`."""
    keys = [(key, NO_SCHEDULE) for each in node.status.conditions
            if (key := BY_CONDITION.get((each.type, each.status)))]
    if node.spec.unschedulable:
        keys.append((UNSCHEDULABLE, NO_SCHEDULE))
    ready = readiness(node)
    if ready in ("False", "Unknown") and not zone.all_silent:
        key = NOT_READY if ready == "False" else UNREACHABLE
        if not zone.disrupted or has(node.spec.taints, key, NO_EXECUTE):
            keys.append((key, NO_EXECUTE))
    kept = [taint for taint in node.spec.taints if not managed(taint, ready) or (taint.key, taint.effect) in keys]
    stamp = times.rfc3339(now)
    return kept + [core_v1.Taint(key=key, effect=effect, timeAdded=stamp) for key, effect in keys
                   if not has(kept, key, effect)]


def managed(taint: core_v1.Taint, ready: str) -> bool:
    """Whether a taint is ours to remove. A node that has not told its state yet keeps what it registered with."""
    if taint.effect == NO_SCHEDULE:
        return taint.key in OURS and (ready != "" or taint.key not in (NOT_READY, UNREACHABLE))
    return taint.effect == NO_EXECUTE and taint.key in (NOT_READY, UNREACHABLE) and ready != ""


def has(taints: Sequence[core_v1.Taint], key: str, effect: str) -> bool:
    return any(each.key == key and each.effect == effect for each in taints)
