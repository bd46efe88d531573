"""Pods: one word that says how a pod is, out of its phase, conditions and the states of all its containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timonier.api.times import parse
from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import AGE, NAME, NONE, Column, at, column, is_true, labels, timed, wide
from timonier.apiserver.tables.durations import human
from timonier.kit.clock import Time

FINISHED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


@dataclass
class Summary:
    """What the columns tell of a pod."""

    status: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    restarted: str = ""
    """When the latest restart was (RFC 3339)."""

    def count_restart(self, container: Object) -> None:
        self.restarts += container.get("restartCount", 0)
        self.restarted = max(self.restarted, at(container, "lastState.terminated.finishedAt", ""))


def summarise(pod: Object) -> Summary:
    """How `kubectl get pods` describes a pod."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {container["name"] for container in spec.get("initContainers") or ()
                if container.get("restartPolicy") == "Always"}
    phase = status.get("phase", "")
    summary = Summary(status.get("reason") or phase, total=len(spec.get("containers") or ()) + len(sidecars))
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
           for c in status.get("conditions") or ()):
        summary.status = "SchedulingGated"
    kept = initialise(pod, summary, sidecars)
    if kept is not None:
        summary.restarts, summary.restarted = kept.restarts, kept.restarted
        run(pod, summary)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.status = "Unknown"
        elif phase not in FINISHED:
            summary.status = "Terminating"
    return summary


def initialise(pod: Object, summary: Summary, sidecars: set[str]) -> Summary | None:
    """Read the init containers; gives the restarts of sidecars where initialisation is over, None where it is not."""
    kept = Summary("")
    statuses = at(pod, "status.initContainerStatuses", ())
    for index, container in enumerate(statuses):
        summary.count_restart(container)
        sidecar = container.get("name") in sidecars
        if sidecar:
            kept.count_restart(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), at(state, "waiting.reason", "")
        if terminated and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated:
            summary.status = f"Init:{ended(terminated)}"
        elif waiting and waiting != "PodInitializing":
            summary.status = f"Init:{waiting}"
        else:
            summary.status = f"Init:{index}/{len(at(pod, 'spec.initContainers', ()))}"
        return kept if is_true(pod, "Initialized") else None
    return kept


def run(pod: Object, summary: Summary) -> None:
    """Read the containers, last to first: the first one that has something to say wins."""
    running = False
    for container in reversed(at(pod, "status.containerStatuses", ())):
        summary.count_restart(container)
        state = container.get("state") or {}
        if waiting := at(state, "waiting.reason", ""):
            summary.status = waiting
        elif state.get("terminated") is not None:
            summary.status = ended(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.status == "Completed" and running:
        summary.status = "Running" if is_true(pod, "Ready") else "NotReady"


def ended(terminated: Object) -> str:
    """Why a container is over: `Error`, `OOMKilled`, `Signal:9`, `ExitCode:3`."""
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def ready(pod: Object) -> str:
    summary = summarise(pod)
    return f"{summary.ready}/{summary.total}"


def restarts(pod: Object, now: Time) -> str:
    summary = summarise(pod)
    if summary.restarts and summary.restarted:
        return f"{summary.restarts} ({human(now - parse(summary.restarted))} ago)"
    return str(summary.restarts)


def address(pod: Object) -> str:
    addresses = at(pod, "status.podIPs", ())
    return (addresses[0].get("ip") if addresses else at(pod, "status.podIP")) or NONE


def gates(pod: Object) -> str:
    wanted = [gate.get("conditionType", "") for gate in at(pod, "spec.readinessGates", ())]
    return f"{sum(is_true(pod, gate) for gate in wanted)}/{len(wanted)}" if wanted else NONE


def conditions(pod: Object) -> list[dict[str, Any]]:
    """The row's conditions: clients leave out or dim what is finished."""
    phase = at(pod, "status.phase", "")
    if phase not in FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": FINISHED[phase]}]


POD_COLUMNS: tuple[Column, ...] = (
    NAME, column("Ready", ready), column("Status", lambda pod: summarise(pod).status), timed("Restarts", restarts), AGE,
    wide("IP", address), wide("Node", lambda pod: at(pod, "spec.nodeName") or NONE),
    wide("Nominated Node", lambda pod: at(pod, "status.nominatedNodeName") or NONE), wide("Readiness Gates", gates))

TEMPLATE_COLUMNS: tuple[Column, ...] = (
    NAME,
    column("Containers", lambda obj: ",".join(c.get("name", "") for c in at(obj, "template.spec.containers", ()))),
    column("Images", lambda obj: ",".join(c.get("image", "") for c in at(obj, "template.spec.containers", ()))),
    column("Pod Labels", lambda obj: labels(at(obj, "template.metadata.labels"))))
