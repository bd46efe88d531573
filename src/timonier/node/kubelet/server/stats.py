"""What pods and containers use: /stats/summary as JSON, /metrics/resource for metrics-server, from the runtime's stats.

Usage per second needs two readings; `Rates` remembers the last one of each container, as cAdvisor does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.api import times
from timonier.component.metrics import Sample, family
from timonier.kit.clock import Time
from timonier.node.cri.contract import ContainerStats, Sandbox, SandboxState
from timonier.node.kubelet.server.host import Host

SHORTEST_WINDOW = 1.0
"""Seconds that two readings must be apart to say anything about a rate."""


@dataclass
class Rates:
    """CPU use in nanocores, from successive readings of totals."""

    _last: dict[str, tuple[Time, int, int]] = field(default_factory=dict)

    def nanocores(self, key: str, at: Time, total: int) -> int:
        """The rate since a reading that is at least a moment old; 0 until there is one."""
        before, was, rate = self._last.get(key, (at, total, 0))
        if at - before >= SHORTEST_WINDOW or total < was:
            rate = max(0, int((total - was) / (at - before))) if at > before else 0
            self._last[key] = (at, total, rate)
        else:
            self._last.setdefault(key, (at, total, 0))
        return rate

    def forget_all_but(self, keys: set[str]) -> None:
        for key in self._last.keys() - keys:
            del self._last[key]


@dataclass(frozen=True, slots=True)
class PodStats:
    """A sandbox that is up and what its containers use."""

    sandbox: Sandbox
    containers: Sequence[ContainerStats]


async def pod_stats(host: Host) -> list[PodStats]:
    """The stats of every running pod, by the runtime's word."""
    sandbox_of = {each.id: each.sandbox_id for each in await host.runtime.containers()}
    grouped: dict[str, list[ContainerStats]] = defaultdict(list)
    for each in await host.runtime.stats():
        if each.id in sandbox_of:
            grouped[sandbox_of[each.id]].append(each)
    return [PodStats(sandbox, sorted(grouped[sandbox.id], key=lambda each: each.name))
            for sandbox in await host.runtime.sandboxes() if sandbox.state is SandboxState.READY]


async def summary(host: Host, rates: Rates) -> dict[str, Any]:
    """`/stats/summary`, with the fields that CRI gives."""
    pods = await pod_stats(host)
    rates.forget_all_but({"", *(each.id for pod in pods for each in pod.containers)})
    now = host.clock.now()
    node = {"nodeName": host.node_name, "cpu": cpu(rates, "", now, node_cpu_nanos()), "memory": node_memory(now)}
    return {"node": node, "pods": [pod_summary(pod, rates, now) for pod in pods]}


def pod_summary(pod: PodStats, rates: Rates, now: Time) -> dict[str, Any]:
    containers = [container_summary(each, rates) for each in pod.containers]
    sandbox, at = pod.sandbox, times.rfc3339(now)
    return {"podRef": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid},
            "startTime": times.rfc3339(sandbox.created_at),
            "containers": containers,
            "cpu": {"time": at, "usageNanoCores": sum(each["cpu"]["usageNanoCores"] for each in containers),
                    "usageCoreNanoSeconds": sum(each.cpu_nanos for each in pod.containers)},
            "memory": {"time": at, "workingSetBytes": sum(each.memory_working_set for each in pod.containers)},
            "ephemeral-storage": {"time": at, "usedBytes": sum(each.rootfs_bytes for each in pod.containers)}}


def container_summary(stats: ContainerStats, rates: Rates) -> dict[str, Any]:
    at = times.rfc3339(stats.at)
    return {"name": stats.name, "cpu": cpu(rates, stats.id, stats.at, stats.cpu_nanos),
            "memory": {"time": at, "workingSetBytes": stats.memory_working_set},
            "rootfs": {"time": at, "usedBytes": stats.rootfs_bytes, "inodesUsed": stats.rootfs_inodes}}


def cpu(rates: Rates, key: str, at: Time, total: int) -> dict[str, Any]:
    return {"time": times.rfc3339(at), "usageNanoCores": rates.nanocores(key, at, total),
            "usageCoreNanoSeconds": total}


async def resource_metrics(host: Host) -> bytes:
    """`/metrics/resource` in Prometheus's text format, as metrics-server reads it."""
    pods, now = await pod_stats(host), host.clock.now()
    memory = node_memory(now)
    lines = [*metric("node_cpu_usage_seconds_total", "counter", [({}, node_cpu_nanos() / 1e9, now)]),
             *metric("node_memory_working_set_bytes", "gauge", [({}, memory["workingSetBytes"], now)])]
    rows = [(labels_of(pod.sandbox, each.name), each) for pod in pods for each in pod.containers]
    lines += metric("container_cpu_usage_seconds_total", "counter",
                    [(labels, each.cpu_nanos / 1e9, each.at) for labels, each in rows])
    lines += metric("container_memory_working_set_bytes", "gauge",
                    [(labels, each.memory_working_set, each.at) for labels, each in rows])
    lines += metric("container_start_time_seconds", "gauge",
                    [(labels_of(pod.sandbox, each.name), pod.sandbox.created_at, now)
                     for pod in pods for each in pod.containers])
    lines += metric("pod_cpu_usage_seconds_total", "counter",
                    [(labels_of(pod.sandbox), sum(each.cpu_nanos for each in pod.containers) / 1e9, now)
                     for pod in pods])
    lines += metric("pod_memory_working_set_bytes", "gauge",
                    [(labels_of(pod.sandbox), sum(each.memory_working_set for each in pod.containers), now)
                     for pod in pods])
    lines += metric("resource_scrape_error", "gauge", [({}, 0, None)])
    return ("\n".join(lines) + "\n").encode()


def metric(name: str, kind: str, samples: Sequence[Sample]) -> Iterator[str]:
    return family(name, kind, HELP[name], samples)


HELP = {
    "node_cpu_usage_seconds_total": "Cumulative cpu time consumed by the node in core-seconds",
    "node_memory_working_set_bytes": "Current working set of the node in bytes",
    "container_cpu_usage_seconds_total": "Cumulative cpu time consumed by the container in core-seconds",
    "container_memory_working_set_bytes": "Current working set of the container in bytes",
    "container_start_time_seconds": "Start time of the container since unix epoch in seconds",
    "pod_cpu_usage_seconds_total": "Cumulative cpu time consumed by the pod in core-seconds",
    "pod_memory_working_set_bytes": "Current working set of the pod in bytes",
    "resource_scrape_error": "1 if there was an error while getting container metrics, 0 otherwise",
}


def labels_of(sandbox: Sandbox, container: str = "") -> dict[str, str]:
    return {**({"container": container} if container else {}), "namespace": sandbox.namespace, "pod": sandbox.name}


def node_cpu_nanos(stat: Path = Path("/proc/stat")) -> int:
    """CPU time that the machine has spent on anything but idling."""
    ticks = [int(part) for part in stat.read_text().split("\n", 1)[0].split()[1:]]
    idle = sum(ticks[3:5])
    return (sum(ticks[:8]) - idle) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def node_memory(now: Time, meminfo: Path = Path("/proc/meminfo")) -> dict[str, Any]:
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    total, available = (int(rows[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    return {"time": times.rfc3339(now), "availableBytes": available, "usageBytes": total - available,
            "workingSetBytes": total - available}
