"""What the kubelet's API asks of the kubelet, and how it finds the container or sandbox that a request names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.api.types import core_v1
from timonier.component.answers import Refused
from timonier.kit.clock import Clock, SystemClock
from timonier.node.cri.contract import Container, ContainerState, Runtime, SandboxState


def nothing() -> Mapping[str, Any]:
    return {}


def nothing_measured() -> bytes:
    return b""


def healthy() -> str:
    return ""


@dataclass(frozen=True)
class Host:
    """The kubelet, as far as its API needs it."""

    node_name: str
    runtime: Runtime
    pods: Callable[[], Sequence[core_v1.Pod]]
    """Every pod of this node, static ones included, each with its status as last computed."""
    configuration: Callable[[], Mapping[str, Any]] = nothing
    """The settings in force, for /configz."""
    unhealthy: Callable[[], str] = healthy
    """What is wrong with the kubelet; empty while nothing is."""
    metrics: Callable[[], bytes] = nothing_measured
    """What the kubelet counts about itself, in Prometheus's text format; added to what its API knows."""
    log_dir: Path | None = None
    """Directory of the node's own log files, served under /logs/."""
    clock: Clock = field(default_factory=SystemClock)

    def pod(self, namespace: str, name: str, uid: str = "") -> core_v1.Pod:
        """The pod; Refused with 404 where it is not of this node, or is a namesake of the one meant."""
        for pod in self.pods():
            meta = pod.metadata
            if meta.name == name and meta.namespace == namespace and uid in ("", meta.uid):
                return pod
        raise Refused(404, "pod does not exist")

    async def container_id(self, pod: core_v1.Pod, container: str) -> str:
        """The running container of that name; Refused where there is none."""
        sandboxes = {sandbox.id for sandbox in await self.runtime.sandboxes() if sandbox.uid == pod.metadata.uid}
        running = [each for each in await self.runtime.containers()
                   if each.sandbox_id in sandboxes and each.name == container
                   and each.state is ContainerState.RUNNING]
        if not running:
            raise Refused(500, f'container not found ("{container}")')
        return max(running, key=attempt).id

    async def sandbox_id(self, pod: core_v1.Pod) -> str:
        """The pod's ready sandbox; Refused where it has none."""
        ready = [each for each in await self.runtime.sandboxes()
                 if each.uid == pod.metadata.uid and each.state is SandboxState.READY]
        if not ready:
            raise Refused(500, f'sandbox of pod "{pod.metadata.name}" not found')
        return max(ready, key=lambda each: (each.attempt, each.created_at)).id


def attempt(container: Container) -> tuple[int, float]:
    return container.attempt, container.created_at


def container_names(pod: core_v1.Pod) -> list[str]:
    """Names of all containers of a pod, in the order in which they start."""
    spec = pod.spec
    return [*(each.name for each in spec.initContainers), *(each.name for each in spec.containers),
            *(each.name for each in spec.ephemeralContainers)]


def container_status(pod: core_v1.Pod, name: str) -> core_v1.ContainerStatus | None:
    status = pod.status
    for each in (*status.initContainerStatuses, *status.containerStatuses, *status.ephemeralContainerStatuses):
        if each.name == name:
            return each
    return None
