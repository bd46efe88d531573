"""What a controller asks about a pod: does it count, is it ready, for how long, and which one is missed least.

Source: kubernetes/pkg/controller/controller_utils.go, `ActivePodsWithRanks`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

from timonier.api import times
from timonier.api.types import core_v1
from timonier.kit.clock import Seconds, Time

FINISHED = frozenset({"Succeeded", "Failed"})
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def active(pod: core_v1.Pod) -> bool:
    """Neither finished nor being deleted."""
    return pod.status.phase not in FINISHED and not pod.metadata.deletionTimestamp


def terminating(pod: core_v1.Pod) -> bool:
    return bool(pod.metadata.deletionTimestamp) and pod.status.phase not in FINISHED


def condition(pod: core_v1.Pod, type_: str) -> core_v1.PodCondition | None:
    return next((each for each in pod.status.conditions if each.type == type_), None)


def ready(pod: core_v1.Pod) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def ready_since(pod: core_v1.Pod) -> Time:
    """When the pod became ready; 0 where it is not, or did not say."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True" or not found.lastTransitionTime:
        return 0.0
    return times.parse(found.lastTransitionTime)


def available_in(pod: core_v1.Pod, min_ready: Seconds, now: Time) -> Seconds | None:
    """Seconds until a pod has been ready for `min_ready`, 0 if it has; None while it is not ready."""
    if not ready(pod):
        return None
    if min_ready <= 0:
        return 0.0
    since = ready_since(pod)
    return max(0.0, since + min_ready - now) if since else None


def least_useful(pods: Sequence[core_v1.Pod], count: int, now: Time,
                 neighbours: Mapping[str, int] | None = None) -> list[core_v1.Pod]:
    """The pods to delete first. `neighbours` says how many related pods a node has: crowded nodes give first."""
    if count <= 0:
        return []
    return sorted(pods, key=functools.cmp_to_key(order(now, neighbours or {})))[:count]


def order(now: Time, neighbours: Mapping[str, int]) -> Callable[[core_v1.Pod, core_v1.Pod], int]:
    """A comparison: negative where the first pod is to go before the second.

    Ages are compared by their order of magnitude, so that pods of about the same age go at random rather than
    the youngest always.
    """
    def usefulness(pod: core_v1.Pod) -> tuple[int, ...]:
        return (bool(pod.spec.nodeName), PHASES.get(pod.status.phase, 0), ready(pod), deletion_cost(pod),
                -neighbours.get(pod.spec.nodeName, 0))

    def compare(one: core_v1.Pod, other: core_v1.Pod) -> int:
        first, second = usefulness(one), usefulness(other)
        if first != second:
            return -1 if first < second else 1
        if ready(one) and (ready_since(one) != ready_since(other)):
            return by_age(ready_since(one), ready_since(other), one, other, now)
        if restarts(one) != restarts(other):
            return restarts(other) - restarts(one)
        return by_age(created(one), created(other), one, other, now)
    return compare


def by_age(first: Time, second: Time, one: core_v1.Pod, other: core_v1.Pod, now: Time) -> int:
    """Younger first by the logarithm of the age; ties by uid. No time at all counts as youngest."""
    if not first or not second:
        return (first > 0) - (second > 0)
    difference = magnitude(now - first) - magnitude(now - second)
    if difference:
        return difference
    return (one.metadata.uid > other.metadata.uid) - (one.metadata.uid < other.metadata.uid)


def magnitude(age: Seconds) -> int:
    return int(math.log2(age * 1e9)) if age > 0 else -1


def created(pod: core_v1.Pod) -> Time:
    stamp = pod.metadata.creationTimestamp
    return times.parse(stamp) if stamp else 0.0


def restarts(pod: core_v1.Pod) -> int:
    return max((status.restartCount for status in pod.status.containerStatuses), default=0)


def deletion_cost(pod: core_v1.Pod) -> int:
    """What the annotation says; 0 where it says nothing or no number."""
    try:
        return int(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0
