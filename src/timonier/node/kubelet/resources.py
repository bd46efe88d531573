"""Requests and limits as the kernel takes them: QoS class, CPU shares and quota, memory limit, OOM score. Pure.

Source: Kubernetes documentation, "Pod Quality of Service Classes" and "Resource Management for Pods and Containers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from timonier.api import quantity
from timonier.api.types import core_v1
from timonier.node.cri.contract import LinuxResources
from timonier.node.kubelet import names

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
CPU_PERIOD = 100_000
MIN_QUOTA = 1_000
MIN_SHARES, MAX_SHARES = 2, 262_144
GUARANTEED_SCORE, BEST_EFFORT_SCORE = -997, 1000
SYSTEM_CRITICAL = 2_000_000_000
COMPUTE = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Amounts:
    """CPU in thousandths, memory in bytes, for requests and limits; 0 where there is none."""

    cpu_request: int = 0
    cpu_limit: int = 0
    memory_request: int = 0
    memory_limit: int = 0


def amount(values: Mapping[str, str], name: str) -> int:
    if name not in values:
        return 0
    return quantity.milli(values[name]) if name == "cpu" else quantity.whole(values[name])


def amounts(requirements: core_v1.ResourceRequirements | None) -> Amounts:
    """What was asked for; a request that is missing is its limit."""
    if requirements is None:
        return Amounts()
    limits = requirements.limits
    requests = {**limits, **requirements.requests}
    return Amounts(amount(requests, "cpu"), amount(limits, "cpu"), amount(requests, "memory"),
                   amount(limits, "memory"))


def qos_class(pod: core_v1.Pod) -> str:
    """Guaranteed: all set and equal. BestEffort: nothing set. Burstable: everything between."""
    whole = pod.spec.resources
    if whole and any(name in {**whole.requests, **whole.limits} for name in COMPUTE):
        return class_of([whole])
    return class_of(container.resources for container in names.every_container(pod))


def class_of(all_requirements: Iterable[core_v1.ResourceRequirements | None]) -> str:
    asked = [amounts(requirements) for requirements in all_requirements]
    if all(one == Amounts() for one in asked):
        return BEST_EFFORT
    if all(one.cpu_limit and one.memory_limit and one.cpu_request == one.cpu_limit
           and one.memory_request == one.memory_limit for one in asked):
        return GUARANTEED
    return BURSTABLE


def pod_amounts(pod: core_v1.Pod) -> Amounts:
    """What a pod needs at most: its containers and sidecars together, or one init container with the sidecars so far.

    A limit is 0 where any container has none. Pod-level resources come before the containers'.
    """
    fields = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
    running = [amounts(c.resources) for c in pod.spec.containers]
    sums = {field: sum(getattr(one, field) for one in running) for field in fields}
    unlimited = {field for field in fields if any(not getattr(one, field) for one in running)}
    sidecars, peak = dict.fromkeys(fields, 0), dict.fromkeys(fields, 0)
    for container in pod.spec.initContainers:
        one = amounts(container.resources)
        unlimited |= {field for field in fields if not getattr(one, field)}
        for field in fields:
            if names.is_sidecar(container):
                sidecars[field] += getattr(one, field)
            peak[field] = max(peak[field], sidecars[field] + (0 if names.is_sidecar(container)
                                                              else getattr(one, field)))
    total = {field: max(sums[field] + sidecars[field], peak[field]) for field in fields}
    total |= dict.fromkeys({field for field in unlimited if field.endswith("limit")}, 0)
    overhead = pod.spec.overhead
    for name in COMPUTE:
        total[f"{name}_request"] += amount(overhead, name)
        total[f"{name}_limit"] += amount(overhead, name) if total[f"{name}_limit"] else 0
    whole = amounts(pod.spec.resources)
    return Amounts(*(getattr(whole, field) or total[field] for field in fields))


def shares(milli_cpu: int) -> int:
    """CPU weight in the kernel's v1 units: 1024 a CPU."""
    return min(MAX_SHARES, max(MIN_SHARES, milli_cpu * 1024 // 1000))


def quota(milli_cpu: int) -> int:
    """Microseconds of CPU time in each period; 0 for no limit."""
    return max(MIN_QUOTA, milli_cpu * CPU_PERIOD // 1000) if milli_cpu else 0


def weight(cpu_shares: int) -> int:
    """`cpu.weight` of cgroup v2 for v1 shares. Source: KEP-2254."""
    return 1 + (cpu_shares - MIN_SHARES) * 9999 // (MAX_SHARES - MIN_SHARES)


def oom_score(pod: core_v1.Pod, container: core_v1.Container, memory_capacity: int) -> int:
    """How soon the kernel kills it when memory runs out: the less it asked for, the sooner."""
    if (pod.spec.priority or 0) >= SYSTEM_CRITICAL:
        return GUARANTEED_SCORE
    match qos_class(pod):
        case "Guaranteed":
            return GUARANTEED_SCORE
        case "BestEffort":
            return BEST_EFFORT_SCORE
    request = amounts(container.resources).memory_request
    score = 1000 - 1000 * request // max(1, memory_capacity)
    return min(max(score, 1000 + GUARANTEED_SCORE), BEST_EFFORT_SCORE - 1)


def linux_resources(pod: core_v1.Pod, container: core_v1.Container, memory_capacity: int, *,
                    unified: bool) -> LinuxResources:
    """A container's resources for the runtime; on cgroup v2 (`unified`) the kernel kills its processes together."""
    asked = amounts(container.resources)
    return LinuxResources(
        cpu_period=CPU_PERIOD if asked.cpu_limit else 0, cpu_quota=quota(asked.cpu_limit),
        cpu_shares=shares(asked.cpu_request), memory_limit=asked.memory_limit,
        oom_score_adj=oom_score(pod, container, memory_capacity),
        unified={"memory.oom.group": "1"} if unified else {})
