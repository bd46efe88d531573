"""One pod as the kubelet sees it: what the runtime has, and what only the kubelet knows. Data, and how to read it.

Deciding is `plan`, telling is `status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from timonier.api.types import core_v1
from timonier.kit.clock import Time
from timonier.node.cri.contract import ContainerState, ContainerStatus, Namespace, SandboxState, SandboxStatus
from timonier.node.kubelet.backoff import BackOff

SANDBOX = ""
"""Stands for the pod's volumes, cgroup and sandbox where containers go by their names."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container, in one sandbox."""

    sandbox_id: str
    status: ContainerStatus

    @property
    def id(self) -> str:
        return self.status.id

    @property
    def running(self) -> bool:
        return self.status.state is ContainerState.RUNNING

    @property
    def exited(self) -> bool:
        return self.status.state is ContainerState.EXITED


@dataclass(frozen=True)
class Observed:
    """What the runtime has of one pod: sandboxes newest first, and each container's runs newest first."""

    sandboxes: tuple[SandboxStatus, ...] = ()
    runs: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The sandbox that containers can be started in."""
        newest = self.sandboxes[0] if self.sandboxes else None
        return newest if newest and usable(newest) else None

    @property
    def ips(self) -> tuple[str, ...]:
        return self.sandbox.ips if self.sandbox else ()

    def newest(self, name: str) -> Run | None:
        runs = self.runs.get(name, ())
        return runs[0] if runs else None

    def active(self, name: str) -> Run | None:
        """The newest run, if it is in the sandbox that is current."""
        run = self.newest(name)
        return run if run and self.sandbox and run.sandbox_id == self.sandbox.sandbox.id else None

    def every_run(self) -> Iterable[Run]:
        return (run for runs in self.runs.values() for run in runs)

    @property
    def running(self) -> list[Run]:
        return [run for run in self.every_run() if run.running]


def usable(sandbox: SandboxStatus) -> bool:
    """Whether it is ready, with an address where it has a network of its own."""
    return sandbox.sandbox.state is SandboxState.READY and (sandbox.network is Namespace.NODE or bool(sandbox.ips))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run, as its status says it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The kubelet's own verdict that a pod is over: `DeadlineExceeded`, `OutOfcpu`, …"""

    reason: str
    message: str


@dataclass
class Knowledge:
    """What is known of a pod beside what the runtime has; lost when the kubelet ends, and never needed for safety."""

    back_off: BackOff = field(default_factory=BackOff)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """By container name: why it was not started the last time."""
    retry_at: dict[str, Time] = field(default_factory=dict)
    """By container name: when to try again what could not be started; `SANDBOX` stands for what comes before."""
    ready: set[str] = field(default_factory=set)
    """Ids of containers whose readiness probe succeeds."""
    started: set[str] = field(default_factory=set)
    """Ids of containers whose startup probe has succeeded."""
    unhealthy: dict[str, str] = field(default_factory=dict)
    """Ids of containers to be killed, and the probe that says so: `liveness` or `startup`."""
    hooks_pending: set[str] = field(default_factory=set)
    """Ids of containers whose postStart hook has not returned."""
    messages: dict[str, str] = field(default_factory=dict)
    """What containers left at their termination message path, by id."""
    asks_for_other_resources: bool = False
    """Whether the pod was resized since its containers were given what they have."""
    ended: Ended | None = None
    start_time: Time = 0.0

    def adopt(self, status: core_v1.PodStatus) -> None:
        """Take over from an earlier kubelet which containers were ready and started."""
        for one in (*status.initContainerStatuses, *status.containerStatuses):
            container_id = one.containerID.rpartition("/")[2]
            if container_id and one.ready:
                self.ready.add(container_id)
            if container_id and one.started:
                self.started.add(container_id)

    def forget_absent(self, present: set[str]) -> None:
        """Drop what is known of containers that no longer exist."""
        self.ready &= present
        self.started &= present
        self.hooks_pending &= present
        for table in (self.unhealthy, self.messages):
            for container_id in [one for one in table if one not in present]:
                del table[container_id]

    def has_started(self, container: core_v1.Container, run: Run) -> bool:
        """Whether a container runs and has passed its postStart hook and its startup probe."""
        return run.running and run.id not in self.hooks_pending and (
            container.startupProbe is None or run.id in self.started)

    def is_ready(self, container: core_v1.Container, run: Run) -> bool:
        return self.has_started(container, run) and (container.readinessProbe is None or run.id in self.ready)
