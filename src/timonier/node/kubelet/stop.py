"""Stop containers and pods: preStop hook, stop signal, and the kill when the grace period is over.

One grace period holds for all: hooks use it up, sidecars stop after the other containers with what is left of it.
Source: Kubernetes documentation, "Termination of Pods".
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds
from timonier.node.kubelet import names
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.hooks import failure_message
from timonier.node.kubelet.observed import Observed, Run
from timonier.node.kubelet.probes.verdict import probes_of

DEFAULT_GRACE: Seconds = 30
LEAST_GRACE: Seconds = 2
"""What a container gets after its preStop hook, however long that took."""


def grace_period(pod: core_v1.Pod) -> int:
    """The pod's own grace period, or the one that it is being deleted with."""
    if pod.metadata.deletionTimestamp and pod.metadata.deletionGracePeriodSeconds is not None:
        return pod.metadata.deletionGracePeriodSeconds
    given = pod.spec.terminationGracePeriodSeconds
    return int(DEFAULT_GRACE) if given is None else given


def probe_grace(pod: core_v1.Pod, container: core_v1.Container | None, kind: str) -> Seconds:
    """The grace period for a container that a probe condemns."""
    probe = probes_of(container).get(kind) if container else None
    own = probe.terminationGracePeriodSeconds if probe else None
    return grace_period(pod) if own is None else own


async def stop_container(context: KubeletContext, pod: core_v1.Pod, run: Run, grace: Seconds, message: str = "",
                         ip: str = "") -> None:
    """Stop one container within a grace period; returns when it has ended. Raises RuntimeFailure."""
    container, name = names.container_named(pod, run.status.name), run.status.name
    context.tell(pod, "Killing", message or f"Stopping container {name}", fieldPath=names.field_path(pod, name))
    started = context.clock.monotonic()
    hook = container.lifecycle.preStop if container and container.lifecycle else None
    if container and hook and grace > 0:
        outcome = await context.hooks.run(container, hook, run.id, ip, grace)
        if not outcome.success:
            context.tell(pod, "FailedPreStopHook", failure_message("PreStop", pod, container, hook, outcome),
                         type="Warning", fieldPath=names.field_path(pod, name))
    left = grace - (context.clock.monotonic() - started)
    await context.runtime.stop_container(run.id, max(left, min(LEAST_GRACE, grace)))
    await context.cache.refresh_container(run.id, run.sandbox_id, pod.metadata.uid)


async def stop_pod(context: KubeletContext, pod: core_v1.Pod, observed: Observed, grace: Seconds) -> None:
    """Stop every container, sidecars last and in reverse order, then the sandboxes. Raises RuntimeFailure."""
    started, ip = context.clock.monotonic(), (observed.ips or ("",))[0]
    sidecars = [container.name for container in pod.spec.initContainers if names.is_sidecar(container)]
    first = [run for run in observed.running if run.status.name not in sidecars]

    def left() -> Seconds:
        return max(grace - (context.clock.monotonic() - started), min(LEAST_GRACE, grace))

    await together([stop_container(context, pod, run, grace, ip=ip) for run in first])
    for name in reversed(sidecars):
        await together([stop_container(context, pod, run, left(), ip=ip)
                        for run in observed.running if run.status.name == name])
    for sandbox in observed.sandboxes:
        await context.runtime.stop_sandbox(sandbox.sandbox.id)
        await context.cache.refresh_sandbox(sandbox.sandbox.id, pod.metadata.uid)


async def together(steps: list[Coroutine[Any, Any, None]]) -> None:
    """Do all at once; when all are done, raise what the first of those that failed raised."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
