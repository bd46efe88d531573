"""What the scheduler tells the API server: bindings, conditions, evictions, events.

Everything here may fail or come too late. A binding carries the pod's uid, a condition its resourceVersion, an eviction
its victim's uid, so nothing is done to a namesake or on the word of an older object.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timonier.api import errors, times
from timonier.api.types import core_v1
from timonier.client.client import STRATEGIC_PATCH, Client
from timonier.kit.clock import Clock
from timonier.kit.http import HttpError
from timonier.reconcile.events import Recorder
from timonier.reconcile.plan import WARNING
from timonier.scheduler.cycle import Bind, Cycle, Report
from timonier.scheduler.request import Request

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Tries to write a condition to a pod that others change too."""
GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"


@dataclass(frozen=True)
class Binder:
    """Carries out what the cycle decided. `current` gives the latest object of a pod by its key."""

    client: Client
    cycle: Cycle
    recorder: Recorder
    clock: Clock
    current: Callable[[str], core_v1.Pod | None]
    host: str

    async def bind(self, task: Bind) -> None:
        pod = task.entry.pod
        try:
            await self.client.bind(pod, task.node)
        except (errors.ApiError, HttpError) as error:
            gone = isinstance(error, errors.NotFound)
            self.cycle.not_bound(task.entry, gone=gone)
            if not gone:
                self.recorder.event(pod, "FailedScheduling", f"Binding rejected: {error}", type=WARNING)
            return
        self.cycle.bound(task.entry)
        self.recorder.event(pod, "Scheduled",
                            f"Successfully assigned {pod.metadata.namespace}/{pod.metadata.name} to {task.node}")

    async def report(self, task: Report) -> None:
        """Write why the pod waits, and evict the victims that it is waiting for then."""
        pod, preemption = task.entry.pod, task.preemption
        self.recorder.event(pod, "FailedScheduling", task.message, type=WARNING)
        await self.write_condition(task.entry.request, "Unschedulable", task.message, preemption.nominated)
        for victim in preemption.victims:
            await self.evict(victim, task.entry.request, preemption.nominated)

    async def write_condition(self, request: Request, reason: str, message: str, nominated: str = "") -> None:
        """Set PodScheduled to False, unless the pod is gone, is assigned, or says so already."""
        for attempt in range(1, ATTEMPTS + 1):
            pod = self.current(request.key)
            if pod is None or pod.metadata.uid != request.uid or pod.spec.nodeName:
                return
            patch = condition_patch(pod, reason, message, nominated, times.rfc3339(self.clock.now()))
            if patch is None:
                return
            try:
                await self.client.patch(core_v1.Pod, request.name, request.namespace, patch,
                                        kind_of_patch=STRATEGIC_PATCH, subresource="status")
                return
            except errors.NotFound:
                return
            except errors.Conflict:
                await self.clock.sleep(0.1 * attempt)  # the watch brings the newer object meanwhile
            except (errors.ApiError, HttpError) as error:
                log.warning("condition not written", extra={"pod": request.key, "error": str(error)})
                return

    async def evict(self, victim: Request, preemptor: Request, node: str) -> None:
        pod = self.current(victim.key)
        if pod is None or pod.metadata.uid != victim.uid or pod.metadata.deletionTimestamp:
            return
        now = times.rfc3339(self.clock.now())
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                     "message": "default-scheduler: preempting to accommodate a higher priority pod",
                     "lastTransitionTime": now}
        patch = {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}}
        try:
            await self.client.patch(core_v1.Pod, victim.name, victim.namespace, patch,
                                    kind_of_patch=STRATEGIC_PATCH, subresource="status")
            await self.client.delete(core_v1.Pod, victim.name, victim.namespace, uid=victim.uid)
        except (errors.NotFound, errors.Conflict):
            return  # gone already
        except (errors.ApiError, HttpError) as error:  # the preemptor tries again after its back-off
            log.warning("victim not evicted", extra={"pod": victim.key, "error": str(error)})
            return
        self.recorder.event(pod, "Preempted", f"Preempted by pod {preemptor.uid} on node {node}")


def condition_patch(pod: core_v1.Pod, reason: str, message: str, nominated: str, now: str) -> dict[str, Any] | None:
    """The patch that makes a pod say why it waits; None where it does."""
    old = next((each for each in pod.status.conditions if each.type == "PodScheduled"), None)
    says_so = old is not None and (old.status, old.reason, old.message) == ("False", reason, message)
    if says_so and pod.status.nominatedNodeName == nominated:
        return None
    since = old.lastTransitionTime if old is not None and old.status == "False" else now
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message,
                 "lastTransitionTime": since or now}
    status: dict[str, Any] = {"conditions": [condition]}
    if nominated or pod.status.nominatedNodeName:
        status["nominatedNodeName"] = nominated or None
    return {"metadata": {"uid": pod.metadata.uid, "resourceVersion": pod.metadata.resourceVersion}, "status": status}
