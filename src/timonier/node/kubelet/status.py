"""A pod's status, computed from its spec, what was observed and what is known. Pure.

Phase and conditions follow from the containers' states; what is written to the API server, and when, is `report`.
Source: Kubernetes documentation, "Pod Lifecycle"; Kubernetes API conventions, "Typical status properties".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timonier.api.times import rfc3339
from timonier.api.types import core_v1
from timonier.kit.clock import Time
from timonier.node.cri.contract import ContainerState
from timonier.node.kubelet import names, resize
from timonier.node.kubelet.observed import Knowledge, Observed, Run, Waiting
from timonier.node.kubelet.plan import ENDED_PHASES, has_initialised, matches_restart_rule, should_run
from timonier.node.kubelet.resources import qos_class

TRUE, FALSE = "True", "False"
LOST = core_v1.ContainerStateTerminated(
    exitCode=137, reason="ContainerStatusUnknown",
    message="The container could not be located when the pod was terminated")


@dataclass(frozen=True, slots=True)
class Host:
    """What a status says of the node. `runtime` is the scheme of container ids: `containerd`."""

    ips: tuple[str, ...]
    runtime: str


def pod_status(pod: core_v1.Pod, observed: Observed, knowledge: Knowledge, host: Host, now: Time, *,
               over: bool = False) -> core_v1.PodStatus:
    """The whole status. `over`: nothing will be started again, so that containers that are gone have ended."""
    before = pod.status
    status = core_v1.PodStatus(
        hostIP=host.ips[0], hostIPs=[core_v1.HostIP(ip=ip) for ip in host.ips], qosClass=qos_class(pod),
        startTime=before.startTime or rfc3339(knowledge.start_time or now),
        observedGeneration=pod.metadata.generation or 0, nominatedNodeName=before.nominatedNodeName,
        resourceClaimStatuses=before.resourceClaimStatuses, resize=before.resize)
    ips = host.ips[:1] if pod.spec.hostNetwork and observed.sandbox else observed.ips
    ips = ips or tuple(ip.ip for ip in before.podIPs)
    status.podIP, status.podIPs = ips[0] if ips else "", [core_v1.PodIP(ip=ip) for ip in ips]
    teller = Teller(pod, observed, knowledge, host, over)
    status.initContainerStatuses = [teller.status(c, before.initContainerStatuses) for c in pod.spec.initContainers]
    status.containerStatuses = [teller.status(c, before.containerStatuses) for c in pod.spec.containers]
    if knowledge.ended and not observed.runs and not before.containerStatuses:
        status.initContainerStatuses, status.containerStatuses = [], []
    status.ephemeralContainerStatuses = [teller.status(c, before.ephemeralContainerStatuses)
                                         for c in names.ephemeral(pod)]
    if knowledge.ended:
        status.reason, status.message = knowledge.ended.reason, knowledge.ended.message
    elif before.phase == "Failed":
        status.reason, status.message = before.reason, before.message
    status.phase = before.phase if before.phase in ENDED_PHASES else \
        "Failed" if knowledge.ended else phase(pod, status, over)
    if status.phase in ENDED_PHASES:
        for one in (*sidecar_statuses(pod, status), *status.containerStatuses):
            one.ready = False
            one.started = False
    if pod.spec.resources is not None:
        status.resources, status.allocatedResources = pod.spec.resources, dict(pod.spec.resources.requests)
    status.conditions = conditions(pod, status, observed, knowledge, now)
    return status


@dataclass(frozen=True)
class Teller:
    """Tells of one container after the other."""

    pod: core_v1.Pod
    observed: Observed
    knowledge: Knowledge
    host: Host
    over: bool

    def status(self, container: core_v1.Container,
               before: Sequence[core_v1.ContainerStatus]) -> core_v1.ContainerStatus:
        old = next((one for one in before if one.name == container.name), None)
        runs = self.observed.runs.get(container.name, ())
        if not runs:
            return self.without_run(container, old)
        run = runs[0]
        status = core_v1.ContainerStatus(
            name=container.name, restartCount=run.status.attempt, image=run.status.image or container.image,
            imageID=run.status.image_ref, containerID=f"{self.host.runtime}://{run.id}", state=self.state(run),
            ready=self.ready(container, run), started=self.knowledge.has_started(container, run),
            volumeMounts=mounts(container), lastState=core_v1.ContainerState())
        if earlier := next((one for one in runs[1:] if one.exited), None):
            status.lastState = core_v1.ContainerState(terminated=self.terminated(earlier))
        if any(container.name == one.name for one in self.pod.spec.ephemeralContainers):
            status.ready = status.started = False  # nothing serves from it
            return status
        waiting = self.knowledge.waiting.get(container.name)
        if waiting and not run.running and not self.over and should_run(self.pod, container, run):
            if status.state and status.state.terminated:
                status.lastState = core_v1.ContainerState(terminated=status.state.terminated)
            status.state = wait(waiting)
        return has(status, container)

    def without_run(self, container: core_v1.Container,
                    old: core_v1.ContainerStatus | None) -> core_v1.ContainerStatus:
        """A container that the runtime does not have: not yet made, or gone."""
        status = core_v1.ContainerStatus(
            name=container.name, image=container.image, ready=False, started=False,
            restartCount=old.restartCount if old else 0, lastState=old.lastState if old else None)
        was = (old.state if old else None) or core_v1.ContainerState()
        if was.terminated and (self.over or self.finished_init(container)):
            assert old is not None
            return old
        if was.running and self.over:
            status.state = core_v1.ContainerState(terminated=LOST)
            return status
        if was.terminated or was.running:
            status.lastState = core_v1.ContainerState(terminated=was.terminated or LOST)
        initialising = bool(self.pod.spec.initContainers) and not has_initialised(self.pod, self.observed)
        default = Waiting("PodInitializing" if initialising else "ContainerCreating")
        status.state = wait(self.knowledge.waiting.get(container.name, default))
        return has(status, container)

    def finished_init(self, container: core_v1.Container) -> bool:
        """Whether it is an init container that has done its work and was cleaned away."""
        return container in self.pod.spec.initContainers and not names.is_sidecar(container) and \
            has_initialised(self.pod, self.observed)

    def state(self, run: Run) -> core_v1.ContainerState:
        match run.status.state:
            case ContainerState.RUNNING:
                running = core_v1.ContainerStateRunning(startedAt=rfc3339(run.status.started_at))
                return core_v1.ContainerState(running=running)
            case ContainerState.EXITED:
                return core_v1.ContainerState(terminated=self.terminated(run))
            case ContainerState.UNKNOWN:
                return core_v1.ContainerState(terminated=LOST)
        return wait(Waiting("ContainerCreating"))

    def terminated(self, run: Run) -> core_v1.ContainerStateTerminated:
        status = run.status
        return core_v1.ContainerStateTerminated(
            exitCode=status.exit_code, reason=status.reason or ("Error" if status.exit_code else "Completed"),
            message=self.knowledge.messages.get(run.id, "") or status.message,
            startedAt=rfc3339(status.started_at) if status.started_at else "",
            finishedAt=rfc3339(status.finished_at) if status.finished_at else "",
            containerID=f"{self.host.runtime}://{run.id}")

    def ready(self, container: core_v1.Container, run: Run) -> bool:
        """An init container is ready once it has ended well, every other one while it serves."""
        if container in self.pod.spec.initContainers and not names.is_sidecar(container):
            return run.exited and run.status.exit_code == 0
        return self.knowledge.is_ready(container, run)


def wait(waiting: Waiting) -> core_v1.ContainerState:
    return core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=waiting.reason,
                                                                        message=waiting.message))


def has(status: core_v1.ContainerStatus, container: core_v1.Container) -> core_v1.ContainerStatus:
    """The status with what the container has, or will have once it runs."""
    if container.resources is not None:
        status.resources = container.resources
        status.allocatedResources = dict(container.resources.requests)
    return status


def mounts(container: core_v1.Container) -> list[core_v1.VolumeMountStatus]:
    return [core_v1.VolumeMountStatus(name=mount.name, mountPath=mount.mountPath, readOnly=mount.readOnly,
                                      recursiveReadOnly="Disabled" if mount.readOnly else "")
            for mount in container.volumeMounts]


def phase(pod: core_v1.Pod, status: core_v1.PodStatus, over: bool) -> str:
    """Pending until everything has started once; Running while anything runs or will run; then how it ended."""
    policy = pod.spec.restartPolicy or "Always"
    pending = False
    for container, one in zip(pod.spec.initContainers, status.initContainerStatuses, strict=False):
        state, last = one.state or core_v1.ContainerState(), one.lastState or core_v1.ContainerState()
        if names.is_sidecar(container):
            pending = pending or not (one.started or state.terminated or last.terminated)
        elif state.terminated and state.terminated.exitCode:
            if policy == "Never" and not container.restartPolicyRules:
                return "Failed"
            pending = True
        else:
            pending = pending or not state.terminated
    states = [one.state or core_v1.ContainerState() for one in status.containerStatuses]
    never_ran = [state for state, one in zip(states, status.containerStatuses, strict=True)
                 if state.waiting and not (one.lastState and one.lastState.terminated)]
    if over:
        clean = all(state.terminated and state.terminated.exitCode == 0 for state in states)
        return "Succeeded" if clean and states else "Failed"
    if never_ran or (pending and not any(state.running or state.terminated for state in states)):
        return "Pending"
    again = [bool(state.waiting or (state.terminated and runs_again(pod, container, state.terminated)))
             for container, state in zip(pod.spec.containers, states, strict=True)]
    if any(state.running for state in states) or any(again):
        return "Running"
    return "Succeeded" if all(s.terminated and s.terminated.exitCode == 0 for s in states) else "Failed"


def runs_again(pod: core_v1.Pod, container: core_v1.Container, end: core_v1.ContainerStateTerminated) -> bool:
    if matches_restart_rule(container, end.exitCode):
        return True
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    return policy == "Always" or (policy == "OnFailure" and end.exitCode != 0)


# Conditions.

def conditions(pod: core_v1.Pod, status: core_v1.PodStatus, observed: Observed, knowledge: Knowledge,
               now: Time) -> list[core_v1.PodCondition]:
    """The kubelet's five conditions, that of a resize which it does not do, and everybody else's as they are."""
    containers = containers_ready(pod, status)
    own = [
        core_v1.PodCondition(type="PodReadyToStartContainers", status=TRUE if observed.sandbox else FALSE),
        initialised(pod, status),
        ready(pod, containers),
        containers,
        core_v1.PodCondition(type="PodScheduled", status=TRUE),
        *([resize.condition()] if knowledge.asks_for_other_resources else []),
    ]
    before = {condition.type: condition for condition in pod.status.conditions}
    for condition in own:
        old = before.pop(condition.type, None)
        same = old is not None and old.status == condition.status
        condition.lastTransitionTime = old.lastTransitionTime if old and same else rfc3339(now)
        if pod.metadata.generation:
            condition.observedGeneration = pod.metadata.generation
    before.pop(resize.PENDING, None)
    return [*own, *before.values()]


def initialised(pod: core_v1.Pod, status: core_v1.PodStatus) -> core_v1.PodCondition:
    condition = core_v1.PodCondition(type="Initialized", status=TRUE)
    if status.phase == "Succeeded":
        condition.reason = "PodCompleted" if pod.spec.initContainers else ""
        return condition
    incomplete = []
    for container, one in zip(pod.spec.initContainers, status.initContainerStatuses, strict=False):
        done = one.started or (one.state and one.state.terminated) if names.is_sidecar(container) else one.ready
        if not done:
            incomplete.append(container.name)
    started = any(one.state and (one.state.running or one.state.terminated) for one in status.containerStatuses)
    if incomplete and not started:
        condition.status, condition.reason = FALSE, "ContainersNotInitialized"
        condition.message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return condition


def containers_ready(pod: core_v1.Pod, status: core_v1.PodStatus) -> core_v1.PodCondition:
    condition = core_v1.PodCondition(type="ContainersReady", status=TRUE)
    if status.phase in ENDED_PHASES:
        condition.status = FALSE
        condition.reason = "PodCompleted" if status.phase == "Succeeded" else "PodFailed"
        return condition
    unready = [one.name for one in (*sidecar_statuses(pod, status), *status.containerStatuses) if not one.ready]
    if unready:
        condition.status, condition.reason = FALSE, "ContainersNotReady"
        condition.message = f"containers with unready status: [{' '.join(unready)}]"
    return condition


def sidecar_statuses(pod: core_v1.Pod, status: core_v1.PodStatus) -> list[core_v1.ContainerStatus]:
    return [one for container, one in zip(pod.spec.initContainers, status.initContainerStatuses, strict=False)
            if names.is_sidecar(container)]


def ready(pod: core_v1.Pod, containers: core_v1.PodCondition) -> core_v1.PodCondition:
    condition = core_v1.PodCondition(type="Ready", status=containers.status, reason=containers.reason,
                                     message=containers.message)
    wrong = list(closed_gates(pod))
    if condition.status == TRUE and wrong:
        condition.status, condition.reason, condition.message = FALSE, "ReadinessGatesNotReady", ", ".join(wrong)
    return condition


def closed_gates(pod: core_v1.Pod) -> Iterable[str]:
    given = {condition.type: condition.status for condition in pod.status.conditions}
    for gate in pod.spec.readinessGates:
        kind = gate.conditionType
        if kind not in given:
            yield f'corresponding condition of pod readiness gate "{kind}" does not exist.'
        elif given[kind] != TRUE:
            yield f'the status of pod readiness gate "{kind}" is not "True", but {given[kind]}'
