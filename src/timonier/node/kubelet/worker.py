"""One pod's worker: the task that makes the pod what it should be, from its first sight to its last trace.

It asks `plan` what to do and does it, one step after the other, whenever something may have changed: the pod's spec,
a container, a probe's verdict, the clock. A pod that is to be deleted interrupts it. Nothing here decides what a pod
needs, and nothing that is kept here is needed after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable

from timonier.api import times
from timonier.api.types import core_v1
from timonier.kit.clock import Seconds
from timonier.node.cri.contract import NotInRuntime, RuntimeFailure
from timonier.node.kubelet import last_words, names, resize
from timonier.node.kubelet.admit import matches_node
from timonier.node.kubelet.api import Unreachable
from timonier.node.kubelet.backoff import BackOff
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.fields import Addresses
from timonier.node.kubelet.observed import SANDBOX, Ended, Knowledge, Observed, Waiting
from timonier.node.kubelet.plan import ENDED_PHASES, Plan, ended_at, sync_plan
from timonier.node.kubelet.probes.prober import Prober
from timonier.node.kubelet.start import ContainerStart, log_directory, make_sandbox, next_attempt
from timonier.node.kubelet.start_failure import NotStarted
from timonier.node.kubelet.status import pod_status
from timonier.node.kubelet.stop import grace_period, probe_grace, stop_container, stop_pod, together
from timonier.node.kubelet.volumes.contents import VolumeError

log = logging.getLogger(__name__)

VOLUME_FIRST: Seconds = 0.5
VOLUME_LONGEST: Seconds = 122
TROUBLE_FIRST: Seconds = 0.5
TROUBLE_LONGEST: Seconds = 10
DEAD_RUNS_KEPT = 1
"""Runs that are kept of a container beside the newest one, for its last state and its previous log."""


class PodWorker:
    """Everything that happens to one pod on this node. `run` is its task."""

    def __init__(self, context: KubeletContext, pod: core_v1.Pod, rejected: Ended | None = None) -> None:
        self.context, self.uid, self.given = context, pod.metadata.uid, resize.given(pod)
        self.pod = resize.as_it_runs(pod, self.given)
        self.knowledge = Knowledge(ended=rejected, asks_for_other_resources=self.pod is not pod)
        self.knowledge.adopt(pod.status)
        self.knowledge.start_time = times.parse(pod.status.startTime) if pod.status.startTime else context.clock.now()
        self.wake = asyncio.Event()
        self.leaving = asyncio.Event()
        """Set once the pod has to go."""
        self.gone = False
        """The API server no longer has the pod, so there is nobody to report to."""
        self._volumes_at: float | None = None
        self._volume_trouble = BackOff(VOLUME_FIRST, VOLUME_LONGEST)
        self._trouble: Seconds = 0
        self._released = False
        self._told_waiting: dict[str, str] = {}
        if pod.metadata.deletionTimestamp:
            self.leaving.set()

    # From outside.

    def update(self, pod: core_v1.Pod) -> None:
        """The pod as the API server has it now."""
        changed = pod.metadata.labels != self.pod.metadata.labels or \
            pod.metadata.annotations != self.pod.metadata.annotations
        if changed:
            self._volumes_at = None
        generation, self.pod = self.pod.metadata.generation, resize.as_it_runs(pod, self.given)
        self.knowledge.asks_for_other_resources = self.pod is not pod
        if self.pod is not pod and pod.metadata.generation != generation:
            self.context.tell(pod, f"Resize{resize.INFEASIBLE}", resize.told(pod), type="Warning")
        if pod.metadata.deletionTimestamp:
            self.leaving.set()
        self.wake.set()

    def remove(self) -> None:
        """The API server does not have the pod any more."""
        self.gone = True
        self.leaving.set()
        self.wake.set()

    def evict(self, ended: Ended) -> None:
        """The pod may not go on: end it, and tell why."""
        if self.knowledge.ended is None:
            self.knowledge.ended = ended
            self.context.tell(self.pod, ended.reason, ended.message, type="Warning")
            self.wake.set()

    # The task.

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            self.prober = Prober(self.context.runtime, self.context.network, self.context.clock, self.context.tell,
                                 self.knowledge, self.wake.set, self._group)
            self._alarm: asyncio.Task[None] | None = None
            await self._persist(self._confirm_rejection)
            await self._live()
            await self._persist(self._terminate)
            await self._persist(self._clean)
            self.prober.stop()
            self._ring_after(None)

    async def _confirm_rejection(self) -> None:
        """Tell that the pod is turned away; but first ask for the node's labels, which may just have changed."""
        if self.knowledge.ended and self.knowledge.ended.reason == "NodeAffinity":
            node = await self.context.api.node(self.context.settings.node_name)
            if node is not None:
                self.context.node = node
                self.knowledge.ended = None if matches_node(self.pod, node) else self.knowledge.ended
        if rejected := self.knowledge.ended:
            self.context.tell(self.pod, rejected.reason, rejected.message.removeprefix("Pod was rejected: "),
                              type="Warning")

    async def _live(self) -> None:
        """Keep the pod as it should be, until it has to go."""
        while not self.leaving.is_set():
            self.wake.clear()
            sync = self._group.create_task(self._sync_safely(), name=f"sync {names.key(self.pod)}")
            leaving = self._group.create_task(self.leaving.wait(), name=f"leaving {names.key(self.pod)}")
            try:
                await asyncio.wait({sync, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                if not sync.done():
                    sync.cancel()
                    await asyncio.wait({sync})
            if not self.leaving.is_set():
                await self.wake.wait()

    async def _sync_safely(self) -> None:
        """One sync; whatever goes wrong concerns this pod alone, and is tried again."""
        try:
            later = await self._sync()
            self._trouble = 0
        except (RuntimeFailure, OSError, *Unreachable) as error:
            later = self._next_trouble()
            log.warning("pod not in order", extra={"pod": names.key(self.pod), "error": str(error), "retry": later})
        except Exception:
            later = self._next_trouble()
            log.exception("pod sync failed", extra={"pod": names.key(self.pod)})
        self._ring_after(later)

    def _next_trouble(self) -> Seconds:
        self._trouble = min(TROUBLE_LONGEST, self._trouble * 2 or TROUBLE_FIRST)
        return self._trouble

    def _ring_after(self, seconds: Seconds | None) -> None:
        """Look at the pod again after so many seconds, though nothing happens."""
        if self._alarm:
            self._alarm.cancel()
        self._alarm = None
        if seconds is not None:
            self._alarm = self._group.create_task(self._ring(seconds), name=f"alarm {names.key(self.pod)}")

    async def _ring(self, seconds: Seconds) -> None:
        await self.context.clock.sleep(seconds)
        self.wake.set()

    # One sync.

    async def _sync(self) -> Seconds | None:
        """Do what is to be done; seconds after which to look again."""
        while True:
            observed = self._look()
            plan = sync_plan(self.pod, observed, self.knowledge, self.context.clock.now())
            self._note_waiting(plan, observed)
            self.report(observed)
            if not await self._carry_out(plan, observed):
                break
        await self._collect_garbage(observed)
        await self._keep_volumes(observed)
        return plan.later if plan.later is not None and plan.later < self.context.settings.sync_period \
            else self.context.settings.sync_period

    def _look(self, *, terminating: bool = False) -> Observed:
        """What is there, with the last words of what has ended, and probes for what runs."""
        observed = self.context.cache.observed(self.uid)
        runs = list(observed.every_run())
        self.knowledge.forget_absent({run.id for run in runs})
        for run in runs:
            if run.exited and run.id not in self.knowledge.messages:
                self.knowledge.messages[run.id] = last_words.message(run.status)
        self.prober.follow(self.pod, observed, terminating=terminating)
        return observed

    def report(self, observed: Observed, *, over: bool = False) -> None:
        """Tell the API server how the pod is, if that is news."""
        if self.gone:
            return
        reports = self.context.reports
        base = replace_status(self.pod, reports.current(self.uid, self.pod.status))
        reports.write(self.uid, pod_status(base, observed, self.knowledge, self.context.host,
                                           self.context.clock.now(), over=over))

    def _note_waiting(self, plan: Plan, observed: Observed) -> None:
        """Remember and tell which containers have to wait for their back-off."""
        for name, waiting in plan.waiting.items():
            self.knowledge.waiting[name] = waiting
            run = observed.newest(name)
            if waiting.reason == "CrashLoopBackOff" and run and self._told_waiting.get(name) != run.id:
                self._told_waiting[name] = run.id
                self.context.tell(self.pod, "BackOff", f"Back-off restarting failed container {name} in pod "
                                                       f"{names.full_name(self.pod)}", type="Warning",
                                  fieldPath=names.field_path(self.pod, name))

    async def _carry_out(self, plan: Plan, observed: Observed) -> bool:
        """Do a plan's steps; whether something was done, so that another look is due."""
        if plan.ended:
            self.knowledge.ended = plan.ended
            self.context.tell(self.pod, plan.ended.reason, plan.ended.message)
        if plan.kill:
            await together([stop_container(
                self.context, self.pod, kill.run, probe_grace(self.pod, names.container_named(
                    self.pod, kill.run.status.name), kill.reason), kill.message, (observed.ips or ("",))[0])
                for kill in plan.kill])
        if plan.stop_pod:
            await stop_pod(self.context, self.pod, self.context.cache.observed(self.uid), grace_period(self.pod))
            return True
        if plan.create_sandbox is not None:
            return await self._create_sandbox(plan, observed)
        for name in plan.start:
            await self._start(name)
        return bool(plan.kill or plan.start)

    async def _create_sandbox(self, plan: Plan, observed: Observed) -> bool:
        assert plan.create_sandbox is not None
        if plan.replace_sandbox:
            self.context.tell(self.pod, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            await stop_pod(self.context, self.pod, observed, grace_period(self.pod))
        try:
            await self._prepare()
            await make_sandbox(self.context, self.pod, plan.create_sandbox)
        except NotStarted as error:
            self._retry(SANDBOX, error.retry)
        return True

    async def _prepare(self) -> None:
        """Volumes and cgroup, which come before any container. Raises NotStarted, having told the user why."""
        now = self.context.clock.now()
        if self._volumes_at is None:
            try:
                await self.context.volumes.set_up(self.pod, Addresses((), self.context.host.ips))
            except (VolumeError, *Unreachable) as error:
                self._volume_trouble.next(SANDBOX, now, now)
                self.context.tell(self.pod, "FailedMount", str(error), type="Warning")
                raise NotStarted("ContainerCreating", str(error),
                                 self._volume_trouble.delay(SANDBOX, now)) from error
            self._volume_trouble.forget(SANDBOX)
            self._volumes_at = now
        await self.context.cgroups.ensure(self.pod)

    async def _start(self, name: str) -> None:
        """Start one container, or note why it cannot be."""
        observed = self.context.cache.observed(self.uid)
        container, sandbox = names.container_named(self.pod, name), observed.sandbox
        if container is None or sandbox is None:
            return
        before, now = observed.newest(name), self.context.clock.now()
        if before:
            self.knowledge.back_off.next(name, ended_at(before), now)
        self.knowledge.retry_at.pop(name, None)
        try:
            await self._prepare()
            await ContainerStart(self.context, self.pod, container, sandbox,
                                 next_attempt(self.pod, name, observed), self.knowledge).run()
        except NotStarted as error:
            self.knowledge.waiting[name] = Waiting(error.reason, error.message)
            self._retry(name, error.retry)
            return
        self.knowledge.waiting.pop(name, None)
        self.report(self._look())

    def _retry(self, name: str, seconds: Seconds) -> None:
        self.knowledge.retry_at[name] = self.context.clock.now() + seconds

    async def _collect_garbage(self, observed: Observed) -> None:
        """Remove runs that are too old to be of interest, and sandboxes in which nothing is left."""
        kept = set()
        for runs in observed.runs.values():
            for index, run in enumerate(runs):
                if index > DEAD_RUNS_KEPT and not run.running:
                    await self.context.runtime.remove_container(run.id)
                    await self.context.cache.refresh_container(run.id, run.sandbox_id, self.uid)
                else:
                    kept.add(run.sandbox_id)
        for sandbox in observed.sandboxes[1:]:
            if sandbox.sandbox.id not in kept:
                await self.context.runtime.remove_sandbox(sandbox.sandbox.id)
                await self.context.cache.refresh_sandbox(sandbox.sandbox.id, self.uid)

    async def _keep_volumes(self, observed: Observed) -> None:
        """Bring volumes up to date while the pod runs; give them back when it is over."""
        over = self.knowledge.ended or self.context.reports.current(self.uid, self.pod.status).phase in ENDED_PHASES
        if over and not observed.running:
            if not self._released:
                await self.context.volumes.tear_down(self.uid)
                await self.context.cgroups.remove(self.uid)
                self._released = True
            return
        now = self.context.clock.now()
        due = self._volumes_at is None or now - self._volumes_at >= self.context.settings.sync_period
        if observed.sandbox and due and self.context.volumes.changes(self.pod):
            try:
                await self.context.volumes.set_up(self.pod, Addresses(observed.ips, self.context.host.ips))
            except VolumeError as error:
                self.context.tell(self.pod, "FailedMount", str(error), type="Warning")
            self._volumes_at = now

    # The end.

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step of the pod's end until it succeeds, however often it fails."""
        while True:
            try:
                await step()
                return
            except (RuntimeFailure, OSError, *Unreachable) as error:
                pause = self._next_trouble()
                log.warning("pod cannot be ended yet", extra={"pod": names.key(self.pod), "error": str(error)})
            except Exception:
                pause = self._next_trouble()
                log.exception("pod cannot be ended yet", extra={"pod": names.key(self.pod)})
            await self.context.clock.sleep(pause)

    async def _terminate(self) -> None:
        """Stop everything within the grace period, which may be shortened on the way."""
        observed = self._look(terminating=True)
        self.report(observed)
        grace = grace_period(self.pod)
        started = self.context.clock.monotonic()
        stops = [self._stop(observed, grace)]
        while not any(stop.done() for stop in stops):
            self.wake.clear()
            woken = self._group.create_task(self.wake.wait(), name=f"wake {names.key(self.pod)}")
            try:
                await asyncio.wait({woken, *stops}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
            shorter = grace_period(self.pod)
            if shorter < grace:
                grace = shorter
                left = max(0, grace - (self.context.clock.monotonic() - started))
                stops.append(self._stop(self._look(terminating=True), left))
            self.report(self._look(terminating=True))
        for stop in stops:
            if not stop.done():
                stop.cancel()
        await asyncio.wait(stops)
        for stop in stops:
            if not stop.cancelled() and (error := stop.exception()):
                raise error

    def _stop(self, observed: Observed, grace: Seconds) -> asyncio.Task[None]:
        return asyncio.ensure_future(stop_pod(self.context, self.pod, observed, grace))

    async def _clean(self) -> None:
        """Report the end, remove every trace from the node, then the pod from the API server."""
        await self.context.cache.relist()  # what an interrupted step made is not known yet
        self.report(self._look(terminating=True), over=True)
        await self.context.reports.written(self.uid)
        await remove_traces(self.context, self.uid, self.context.cache.observed(self.uid))
        await asyncio.to_thread(shutil.rmtree, log_directory(self.context, self.pod), ignore_errors=True)
        if not self.gone:
            await self.context.api.delete_pod(self.pod)
        self.context.reports.forget(self.uid)


async def remove_traces(context: KubeletContext, uid: str, observed: Observed) -> None:
    """Remove a pod's sandboxes with their containers, its volumes and its cgroup. Raises RuntimeFailure, OSError."""
    for sandbox in observed.sandboxes:
        await context.runtime.stop_sandbox(sandbox.sandbox.id)
        await context.runtime.remove_sandbox(sandbox.sandbox.id)
        await context.cache.refresh_sandbox(sandbox.sandbox.id, uid)
    for run in observed.every_run():
        try:
            await context.runtime.remove_container(run.id)
        except NotInRuntime:
            log.debug("container is gone", extra={"container": run.id})
        await context.cache.refresh_container(run.id, run.sandbox_id, uid)
    await context.volumes.tear_down(uid)
    await context.cgroups.remove(uid)


def replace_status(pod: core_v1.Pod, status: core_v1.PodStatus) -> core_v1.Pod:
    """The same pod with another status."""
    return core_v1.Pod(metadata=pod.metadata, spec=pod.spec, status=status)

