"""What to do about one pod: a plan computed from its spec, what was observed and what is known. Pure.

The order of a pod's life stands here: sandbox, init containers one after the other, containers; and who is started
again. Carrying a plan out, and everything that takes time, is `worker`.
Source: Kubernetes documentation, "Pod Lifecycle", "Init Containers", "Sidecar Containers".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds, Time
from timonier.node.cri.contract import ContainerState, SandboxState
from timonier.node.kubelet import names
from timonier.node.kubelet.backoff import go_duration
from timonier.node.kubelet.observed import SANDBOX, Ended, Knowledge, Observed, Run, Waiting

ENDED_PHASES = ("Succeeded", "Failed")
DEADLINE = Ended("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one container because of what `message` says."""

    run: Run
    message: str
    reason: str = ""
    """`liveness` or `startup`: the probe whose own grace period counts; empty for other causes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are done. An empty plan means that all is as it should be."""

    stop_pod: bool = False
    """Stop every container and sandbox that is left: the pod is over."""
    ended: Ended | None = None
    """The verdict to report, where the kubelet ends the pod."""
    replace_sandbox: bool = False
    """Stop the old sandboxes first."""
    create_sandbox: int | None = None
    """The attempt of the sandbox to make."""
    kill: tuple[Kill, ...] = ()
    start: tuple[str, ...] = ()
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """Containers that are due but have to wait, and why."""
    later: Seconds | None = None
    """When to look again though nothing happens."""


def sync_plan(pod: core_v1.Pod, observed: Observed, knowledge: Knowledge, now: Time) -> Plan:
    """The plan for a pod that is meant to run; one that is being deleted is not asked about here."""
    if knowledge.ended or pod.status.phase in ENDED_PHASES:
        return stop(observed)
    left = deadline_left(pod, knowledge, now)
    if left is not None and left <= 0:
        return stop(observed, DEADLINE)
    builder = Builder(pod, observed, knowledge, now, later=left)
    if observed.sandbox is None:
        return builder.without_sandbox()
    return builder.with_sandbox()


def stop(observed: Observed, ended: Ended | None = None) -> Plan:
    ready = any(sandbox.sandbox.state is SandboxState.READY for sandbox in observed.sandboxes)
    return Plan(stop_pod=ready or bool(observed.running) or ended is not None, ended=ended)


def deadline_left(pod: core_v1.Pod, knowledge: Knowledge, now: Time) -> Seconds | None:
    """Seconds until spec.activeDeadlineSeconds is over; None without one."""
    if pod.spec.activeDeadlineSeconds is None or not knowledge.start_time:
        return None
    return knowledge.start_time + pod.spec.activeDeadlineSeconds - now


def should_run(pod: core_v1.Pod, container: core_v1.Container, run: Run | None) -> bool:
    """Whether a container that does not run is to be started: it never ran, or its restart policy says so."""
    if run is None or not run.exited:
        return True
    if matches_restart_rule(container, run.status.exit_code):
        return True
    match container.restartPolicy or pod.spec.restartPolicy:
        case "Never":
            return False
        case "OnFailure":
            return run.status.exit_code != 0
    return True


def matches_restart_rule(container: core_v1.Container, exit_code: int) -> bool:
    """Whether one of the container's own rules restarts it after this exit code. Source: KEP-5307."""
    for rule in container.restartPolicyRules:
        codes = rule.exitCodes
        if codes and rule.action == "Restart" and (exit_code in codes.values) == (codes.operator == "In"):
            return True
    return False


def has_initialised(pod: core_v1.Pod, observed: Observed) -> bool:
    """Whether a container other than those for initialisation has been made in this sandbox."""
    return any(observed.active(container.name) for container in pod.spec.containers)


@dataclass
class Builder:
    """A plan in the making, for one pod at one moment."""

    pod: core_v1.Pod
    observed: Observed
    knowledge: Knowledge
    now: Time
    later: Seconds | None = None
    kills: list[Kill] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def without_sandbox(self) -> Plan:
        """Make a sandbox, unless everything that was to run has run."""
        spec, observed = self.pod.spec, self.observed
        due = [c for c in spec.containers if should_run(self.pod, c, observed.newest(c.name))]
        ran_before = bool(observed.runs)
        if not due or (ran_before and spec.restartPolicy == "Never" and self.nothing_restarts_itself()):
            return stop(observed)
        if (wait := self.knowledge.retry_at.get(SANDBOX, 0) - self.now) > 0:
            return Plan(later=wait if self.later is None else min(wait, self.later))
        attempt = observed.sandboxes[0].sandbox.attempt + 1 if observed.sandboxes else 0
        return Plan(replace_sandbox=bool(observed.sandboxes), create_sandbox=attempt, later=self.later)

    def nothing_restarts_itself(self) -> bool:
        return not any(c.restartPolicy or c.restartPolicyRules for c in self.pod.spec.containers)

    def with_sandbox(self) -> Plan:
        if has_initialised(self.pod, self.observed):
            kept = self.containers()
            if not kept and not self.starts and not self.waiting and not any(self.will_restart(k) for k in self.kills):
                return Plan(stop_pod=True, kill=tuple(self.kills))
            self.sidecars()
        else:
            failed = self.initialise()
            if failed:
                return Plan(stop_pod=True)
        self.ephemeral()
        return Plan(kill=tuple(self.kills), start=tuple(self.starts), waiting=self.waiting, later=self.later)

    # Containers.

    def containers(self) -> int:
        """Decide about every container; how many go on running."""
        kept = 0
        for container in self.pod.spec.containers:
            run = self.observed.newest(container.name)
            if run is not None and run.running:
                kept += not self.kill_if_needed(container, run)
            elif should_run(self.pod, container, run):
                self.start(container, run)
        return kept

    def kill_if_needed(self, container: core_v1.Container, run: Run) -> bool:
        """Whether a running container has to go, which is then in the plan."""
        given = run.status.annotations.get(names.HASH, "")
        probe = self.knowledge.unhealthy.get(run.id, "")
        if given and given != names.container_hash(container):
            message, restart = f"Container {container.name} definition changed", True
        elif probe:
            message = f"Container {container.name} failed {probe} probe"
            restart = names.is_sidecar(container) or self.pod.spec.restartPolicy != "Never" or \
                bool(container.restartPolicy and container.restartPolicy != "Never")
        else:
            return False
        self.kills.append(Kill(run, message + (", will be restarted" if restart else ""), probe))
        return True

    def ephemeral(self) -> None:
        """Ephemeral containers start once, whatever the others do."""
        for container in names.ephemeral(self.pod):
            if self.observed.newest(container.name) is None:
                self.start(container, None)

    def will_restart(self, kill: Kill) -> bool:
        return kill.message.endswith("will be restarted")

    def start(self, container: core_v1.Container, before: Run | None) -> bool:
        """Start a container now, or wait for its back-off to pass; whether it is now."""
        if (retry := self.knowledge.retry_at.get(container.name, 0) - self.now) > 0:
            self.waiting[container.name] = self.knowledge.waiting.get(container.name, Waiting("ContainerCreating"))
            self.later = retry if self.later is None else min(self.later, retry)
            return False
        since = ended_at(before)
        wait = self.knowledge.back_off.remaining(container.name, since, self.now) if before else 0
        if wait <= 0:
            self.starts.append(container.name)
            return True
        delay = self.knowledge.back_off.delay(container.name, since)
        self.waiting[container.name] = Waiting(
            "CrashLoopBackOff", f"back-off {go_duration(delay)} restarting failed container={container.name} "
                                f"pod={names.full_name(self.pod)}")
        self.later = wait if self.later is None else min(self.later, wait)
        return False

    # Init containers and sidecars.

    def sidecars(self) -> None:
        """Once the pod is initialised, only sidecars among the init containers are looked after."""
        first: list[str] = []
        self.starts, started = first, self.starts
        for container in self.pod.spec.initContainers:
            if names.is_sidecar(container):
                self.keep_sidecar(container)
        self.starts = [*first, *started]

    def keep_sidecar(self, container: core_v1.Container) -> bool:
        """Keep a sidecar running; whether it has started, so that what follows it may."""
        run = self.observed.active(container.name)
        if run is None or not run.running:
            self.start(container, run or self.observed.newest(container.name))
            return False
        if self.kill_if_needed(container, run):
            return False
        return self.knowledge.has_started(container, run)

    def initialise(self) -> bool:
        """Bring initialisation one step further; True where it failed for good."""
        inits = self.pod.spec.initContainers
        reached = max((i for i, c in enumerate(inits) if self.observed.active(c.name)), default=-1)
        for index, container in enumerate(inits):
            if names.is_sidecar(container):
                if not self.keep_sidecar(container) and index >= reached:
                    return False
                continue
            if index < reached:
                continue
            run = self.observed.active(container.name)
            if run is not None and run.running:
                self.kill_if_needed(container, run)
                return False
            if run is not None and run.exited and run.status.exit_code == 0:
                continue
            if run is not None and run.exited and not should_run(self.pod, container, run):
                return True
            self.start(container, run)
            return False
        for container in self.pod.spec.containers:
            before = self.observed.newest(container.name)
            if should_run(self.pod, container, before):
                self.start(container, before)
        return False


def ended_at(run: Run | None) -> Time:
    """When a run was over; for one that was made and never started, when it was made."""
    if run is None:
        return 0.0
    if run.status.state is ContainerState.EXITED:
        return run.status.finished_at or run.status.created_at
    return run.status.created_at
