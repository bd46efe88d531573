"""Pods decided a second over 5,000 nodes, beside the bare array core: what numpy needs for the same answer, no more.

The core knows one pod, adds up CPU, memory and pod counts, scores free shares and the replicas that a node has already,
and takes the best. What we add is everything else: objects, all filters and scores, the queue, and explaining.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from table import Row, in_turns, main

from timonier.api.types import core_v1, meta_v1
from timonier.scheduler.cycle import Bind, Cycle
from timonier.scheduler.settings import SchedulerSettings

NODES, PODS, ZONES = 5000, 3000, 10
Shape = dict[str, object]

PLAIN: Shape = {}
SELECTOR = {"matchLabels": {"app": "web"}}
SPREAD: Shape = {"topologySpreadConstraints": [
    {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
     "labelSelector": SELECTOR}]}
APART: Shape = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "kubernetes.io/hostname", "labelSelector": SELECTOR}]}}}
HUGE: Shape = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1000"}}}]}
SHAPES = {"plain": PLAIN, "zone spread": SPREAD, "anti-affinity": APART, "none fits, explained": HUGE}


def measure() -> list[Row]:
    core, *ours = in_turns(array_core, *(partial(decisions, shape) for shape in SHAPES.values()))
    return [Row(f"pods decided, {NODES:,} nodes, {name}", figure, core, "/s", "bare array core")
            for name, figure in zip(SHAPES, ours, strict=True)]


def array_core() -> float:
    allocatable = np.tile(np.array([32_000, 64 << 30, 110]), (NODES, 1)).T.copy()
    requested, replicas = np.zeros_like(allocatable), np.zeros(NODES, dtype=np.int64)
    wanted = np.array([100, 200 << 20, 1])

    def once() -> None:
        free = allocatable - requested - wanted[:, None]
        fits = (free >= 0).all(axis=0)
        score = (free[0] * 100 // allocatable[0] + free[1] * 100 // allocatable[1]) // 2 - replicas * 100
        best = int(np.argmax(np.where(fits, score, -(2**62))))
        requested[:, best] += wanted
        replicas[best] += 1

    return rate(once, PODS)


def decisions(shape: Shape) -> float:
    """Decisions a second of the whole cycle, its queue included; bindings are taken for done."""
    cycle = Cycle(SchedulerSettings(Path()), time.monotonic)
    for number in range(NODES):
        cycle.node_changed(None, node(number))
    count = PODS if shape is not HUGE else 50
    for number in range(count):
        cycle.pod_changed(None, pod(number, shape))

    def once() -> None:
        task = cycle.turn()
        assert task is not None
        if isinstance(task, Bind):
            cycle.bound(task.entry)

    return rate(once, count)


def rate(once: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        once()
    return count / (time.perf_counter() - start)


def node(number: int) -> core_v1.Node:
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=f"n{number}", labels={
            "kubernetes.io/hostname": f"n{number}", "topology.kubernetes.io/zone": f"z{number % ZONES}"}),
        status=core_v1.NodeStatus(allocatable={"cpu": "32", "memory": "64Gi", "pods": "110"}))


def pod(number: int, shape: Shape) -> core_v1.Pod:
    plain = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}]}
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=f"web-{number}", namespace="default", uid=f"u{number}", labels={"app": "web"},
                                    ownerReferences=[meta_v1.OwnerReference(uid="set", controller=True)]),
        spec=msgspec.convert(plain | shape, core_v1.PodSpec))


if __name__ == "__main__":
    main(measure, "Scheduling")
