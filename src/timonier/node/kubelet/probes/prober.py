"""The probes of one pod: a task for each probe of each running container, which reports when a verdict changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from timonier.api.types import core_v1
from timonier.kit.clock import Clock
from timonier.node.cri.contract import Runtime
from timonier.node.kubelet import names
from timonier.node.kubelet.api import Tell
from timonier.node.kubelet.observed import Knowledge, Observed, Run
from timonier.node.kubelet.probes import attempt, verdict
from timonier.node.kubelet.probes.attempt import Network, Outcome
from timonier.node.kubelet.probes.verdict import LIVENESS, READINESS, STARTUP, Series


@dataclass
class Prober:
    """Probes of one pod. `group` owns the tasks, `changed` is called when the pod has to be looked at again."""

    runtime: Runtime
    network: Network
    clock: Clock
    tell: Tell
    knowledge: Knowledge
    changed: Callable[[], None]
    group: asyncio.TaskGroup
    tasks: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)

    def follow(self, pod: core_v1.Pod, observed: Observed, *, terminating: bool = False) -> None:
        """Have a task for each probe that is due, and none for what no longer runs.

        A pod that is being deleted is still asked whether it is ready, and no longer whether it lives.
        """
        wanted: dict[tuple[str, str], tuple[core_v1.Container, core_v1.Probe, Run]] = {}
        for container in names.every_container(pod):
            run = observed.active(container.name)
            if run is None or not run.running:
                continue
            for kind, probe in verdict.probes_of(container).items():
                if not terminating or kind == READINESS:
                    wanted[run.id, kind] = (container, probe, run)
        for key in [key for key in self.tasks if key not in wanted]:
            self.tasks.pop(key).cancel()
        for key, (container, probe, run) in wanted.items():
            if key not in self.tasks:
                kind = key[1]
                self.tasks[key] = self.group.create_task(
                    self._probe(pod, container, probe, run, kind, observed.ips),
                    name=f"{kind} probe of {container.name} in {names.key(pod)}")

    def stop(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.tasks.clear()

    async def _probe(self, pod: core_v1.Pod, container: core_v1.Container, probe: core_v1.Probe, run: Run, kind: str,
                     ips: tuple[str, ...]) -> None:
        """Probe until there is no point in it; the startup probe holds the others back."""
        adopted = (kind == READINESS and run.id in self.knowledge.ready) or \
            (kind == STARTUP and run.id in self.knowledge.started)
        series = Series.begin(probe, kind, True if adopted else None)
        await self.clock.sleep(verdict.first_at(probe, run.status.started_at) - self.clock.now())
        while not series.settled:
            if kind == STARTUP or container.startupProbe is None or run.id in self.knowledge.started:
                outcome = await self._attempt(pod, container, probe, run, ips)
                if outcome.broken:
                    self._warn(pod, container, "ProbeError", f"{kind.capitalize()} probe errored and resulted in "
                                                             f"unknown state: {outcome.output}")
                else:
                    if not outcome.success:
                        self._warn(pod, container, "Unhealthy",
                                   f"{kind.capitalize()} probe failed: {outcome.output}")
                    if series.add(outcome.success):
                        self._report(run, kind, outcome.success)
            if not series.settled:
                await self.clock.sleep(verdict.period(probe))

    def _report(self, run: Run, kind: str, success: bool) -> None:
        known = self.knowledge
        if kind == READINESS:
            (known.ready.add if success else known.ready.discard)(run.id)
        elif kind == STARTUP and success:
            known.started.add(run.id)
        elif kind in (LIVENESS, STARTUP) and not success:
            known.unhealthy[run.id] = kind
        self.changed()

    async def _attempt(self, pod: core_v1.Pod, container: core_v1.Container, probe: core_v1.Probe, run: Run,
                       ips: tuple[str, ...]) -> Outcome:
        ip, within = (ips or (pod.status.podIP or pod.status.hostIP,))[0], verdict.limit(probe)
        try:
            if probe.exec:
                return await attempt.execute(self.runtime, run.id, probe.exec.command, within)
            if probe.httpGet:
                url, headers = attempt.http_url(container, probe.httpGet, ip)
                return await self.network.http(url, headers, within)
            if probe.tcpSocket:
                port = attempt.port_number(container, probe.tcpSocket.port)
                return await self.network.tcp(probe.tcpSocket.host or ip, port, within)
            if probe.grpc:
                return await self.network.grpc(ip, probe.grpc.port, probe.grpc.service, within)
        except attempt.BadPort as error:
            return Outcome(False, str(error), broken=True)
        return Outcome(False, f"missing probe handler for {names.full_name(pod)}:{container.name}", broken=True)

    def _warn(self, pod: core_v1.Pod, container: core_v1.Container, reason: str, message: str) -> None:
        self.tell(pod, reason, message, type="Warning", fieldPath=names.field_path(pod, container.name))
