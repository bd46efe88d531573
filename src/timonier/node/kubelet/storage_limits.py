"""Pods that use more of the node's disk than they may: told apart, and ended with the reason `Evicted`.

What is measured: emptyDir volumes on disk against their sizeLimit, and containers' writable layers with their logs
against their limits of ephemeral-storage, one by one and together. A volume in memory is limited by its file system.
Source: Kubernetes documentation, "Local ephemeral storage".
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timonier.api import quantity
from timonier.api.types import core_v1
from timonier.kit.clock import Seconds
from timonier.node.cri.contract import RuntimeFailure
from timonier.node.kubelet import names
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.observed import Ended
from timonier.node.kubelet.plan import ENDED_PHASES
from timonier.node.kubelet.start import log_directory

log = logging.getLogger(__name__)

STORAGE = "ephemeral-storage"
LOOK_EVERY: Seconds = 10
BLOCK = 512


@dataclass(frozen=True)
class Usage:
    """Bytes on disk: emptyDir volumes and containers by name."""

    volumes: Mapping[str, int] = field(default_factory=dict)
    containers: Mapping[str, int] = field(default_factory=dict)


def is_limited(pod: core_v1.Pod) -> bool:
    return any(True for _ in limited_volumes(pod)) or bool(limits(pod))


def limited_volumes(pod: core_v1.Pod) -> Iterable[core_v1.Volume]:
    """The pod's emptyDir volumes that lie on disk and have a size limit."""
    return (volume for volume in pod.spec.volumes
            if (given := volume.emptyDir) and not given.medium and given.sizeLimit
            and quantity.whole(given.sizeLimit) > 0)


def limits(pod: core_v1.Pod) -> dict[str, str]:
    """The containers' limits of local storage, where they have one."""
    return {container.name: container.resources.limits[STORAGE] for container in names.every_container(pod)
            if container.resources and STORAGE in container.resources.limits}


def verdict(pod: core_v1.Pod, usage: Usage) -> Ended | None:
    """Why a pod has to go, in Kubernetes's words; None where it keeps within its limits."""
    for volume in limited_volumes(pod):
        limit = volume.emptyDir.sizeLimit if volume.emptyDir else ""
        if usage.volumes.get(volume.name, 0) > quantity.whole(limit):
            return Ended("Evicted", f'Usage of EmptyDir volume "{volume.name}" exceeds the limit '
                                    f'"{quantity.canonical(limit)}". ')
    given = limits(pod)
    for name, limit in given.items():
        if usage.containers.get(name, 0) > quantity.whole(limit):
            return Ended("Evicted", f'Container {name} exceeded its local ephemeral storage limit '
                                    f'"{quantity.canonical(limit)}". ')
    total = sum(map(quantity.whole, given.values()))
    everybody = all(container.name in given for container in pod.spec.containers)
    if given and everybody and sum(usage.volumes.values()) + sum(usage.containers.values()) > total:
        return Ended("Evicted", f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. ")
    return None


def size(directory: Path) -> int:
    """Bytes that a directory takes on its own file system; what vanishes meanwhile does not count."""
    try:
        device = directory.stat().st_dev
    except OSError:
        return 0
    total = 0
    for folder, subfolders, files in os.walk(directory):
        for name in (*subfolders, *files):
            try:
                found = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if found.st_dev == device:
                total += found.st_blocks * BLOCK
    return total


@dataclass(frozen=True)
class StorageLimits:
    """The loop. `evict` ends a pod by its uid."""

    context: KubeletContext
    pods: Callable[[], Iterable[core_v1.Pod]]
    evict: Callable[[str, Ended], None]

    async def run(self) -> None:
        while True:
            await self.context.clock.sleep(LOOK_EVERY)
            if limited := [pod for pod in self.pods() if is_limited(pod) and pod.status.phase not in ENDED_PHASES]:
                await self._look(limited)

    async def _look(self, pods: list[core_v1.Pod]) -> None:
        try:
            layers = {stats.id: stats.rootfs_bytes for stats in await self.context.runtime.stats()} \
                if any(map(limits, pods)) else {}
        except RuntimeFailure as error:
            log.warning("disk usage of containers is not known", extra={"error": str(error)})
            return
        for pod in pods:
            if ended := verdict(pod, await asyncio.to_thread(self._usage, pod, layers)):
                self.evict(pod.metadata.uid, ended)

    def _usage(self, pod: core_v1.Pod, layers: Mapping[str, int]) -> Usage:
        volumes = {volume.name: size(self.context.volumes.path(pod.metadata.uid, volume))
                   for volume in pod.spec.volumes if volume.emptyDir and not volume.emptyDir.medium}
        logs, observed = log_directory(self.context, pod), self.context.cache.observed(pod.metadata.uid)
        containers = {name: size(logs / name) + sum(layers.get(run.id, 0) for run in observed.runs.get(name, ()))
                      for name in limits(pod)}
        return Usage(volumes, containers)
