"""Columns of what makes pods: deployments, sets, jobs, and what scales and protects them."""

from __future__ import annotations

from collections.abc import Callable

from timonier.api.times import parse
from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    at,
    column,
    condition,
    containers,
    count,
    is_true,
    label_selector,
    labels,
    length,
    path,
    quantity,
    selector,
    timed,
    wide,
)
from timonier.apiserver.tables.durations import human, since
from timonier.kit.clock import Time

TEMPLATE = "spec.template.spec.containers"


def ready_of_wanted(obj: Object) -> str:
    return f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"


JOB_STATES = (("Complete", "Complete"), ("Failed", "Failed"))
LATER_JOB_STATES = (("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"),
                    ("SuccessCriteriaMet", "SuccessCriteriaMet"))


def job_status(job: Object) -> str:
    for state, text in JOB_STATES:
        if is_true(job, state):
            return text
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((text for state, text in LATER_JOB_STATES if is_true(job, state)), "Running")


def job_completions(job: Object) -> str:
    done, wanted, parallel = at(job, "status.succeeded", 0), at(job, "spec.completions"), at(job, "spec.parallelism", 0)
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def job_duration(job: Object, now: Time) -> str:
    start, end = at(job, "status.startTime"), at(job, "status.completionTime")
    if not start:
        return ""
    if not end:
        failed = condition(job, "Failed") if is_true(job, "Failed") else None
        end = (failed or {}).get("lastTransitionTime")
    return human((parse(end) if end else now) - parse(start))


def last_schedule(cron: Object, now: Time) -> str:
    last = at(cron, "status.lastScheduleTime")
    return since(last, now) if last else NONE


def suspended(cron: Object) -> str:
    value = at(cron, "spec.suspend")
    return UNSET if value is None else str(bool(value))


def owner(obj: Object) -> str:
    """The controller: `deployment.apps/web`."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            group = reference.get("apiVersion", "").rpartition("/")[0]
            kind = str(reference.get("kind", "")).lower()
            return f"{kind}.{group}/{reference.get('name')}" if group else f"{kind}/{reference.get('name')}"
    return NONE


def target(scaler: Object) -> str:
    return f"{at(scaler, 'spec.scaleTargetRef.kind', '')}/{at(scaler, 'spec.scaleTargetRef.name', '')}"


METRIC_SOURCES = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object",
                  "External": "external"}


def metrics(scaler: Object) -> str:
    """Current and wanted value of each metric: `cpu: 12%/80%`."""
    wanted, current = at(scaler, "spec.metrics", ()), at(scaler, "status.currentMetrics", ())
    texts = []
    for index, spec in enumerate(wanted):
        kind = spec.get("type", "")
        part = METRIC_SOURCES.get(kind, "")
        now = current[index].get(part) if index < len(current) else None
        texts.append(metric(kind, spec.get(part) or {}, now or {}))
    if not texts:
        return NONE
    return ", ".join(texts[:2]) + (f" + {len(texts) - 2} more..." if len(texts) > 2 else "")


def metric(kind: str, spec: Object, now: Object) -> str:
    goal, current = spec.get("target") or {}, now.get("current") or {}
    name = spec.get("name", "") if kind in ("Resource", "ContainerResource") else ""
    for field in ("averageUtilization", "averageValue", "value"):
        if goal.get(field) is not None:
            percent = field == "averageUtilization"
            have = current.get(field)
            left = "<unknown>" if have is None else f"{have}%" if percent else quantity(have)
            right = f"{goal[field]}%" if percent else quantity(goal[field])
            suffix = " (avg)" if field == "averageValue" and kind == "External" else ""
            return f"{name}: {left}/{right}{suffix}" if name else f"{left}/{right}{suffix}"
    return "<unknown>/<auto>"


def cpu_target(scaler: Object) -> str:
    """The one metric of autoscaling/v1."""
    goal, now = at(scaler, "spec.targetCPUUtilizationPercentage"), at(scaler, "status.currentCPUUtilizationPercentage")
    if goal is None:
        return NONE
    return f"cpu: {'<unknown>' if now is None else f'{now}%'}/{goal}%"


def or_na(where: str) -> Callable[[Object], str]:
    return lambda obj: str(at(obj, where, "N/A"))


REPLICAS = (NAME, count("Desired", "spec.replicas"), count("Current", "status.replicas"),
            count("Ready", "status.readyReplicas"), AGE, *containers(TEMPLATE))
SCALER = (NAME, column("Reference", target))
SCALER_END = (path("MinPods", "spec.minReplicas", UNSET), count("MaxPods", "spec.maxReplicas"),
              count("Replicas", "status.currentReplicas"), AGE)

WORKLOAD_COLUMNS: dict[str, tuple[Column, ...]] = {
    "apps/v1/Deployment": (
        NAME, column("Ready", ready_of_wanted), count("Up-to-date", "status.updatedReplicas"),
        count("Available", "status.availableReplicas"), AGE, *containers(TEMPLATE), selector()),
    "apps/v1/ReplicaSet": (*REPLICAS, selector()),
    "v1/ReplicationController": (*REPLICAS, wide("Selector", lambda obj: labels(at(obj, "spec.selector")))),
    "apps/v1/StatefulSet": (NAME, column("Ready", ready_of_wanted), AGE, *containers(TEMPLATE)),
    "apps/v1/DaemonSet": (
        NAME, count("Desired", "status.desiredNumberScheduled"), count("Current", "status.currentNumberScheduled"),
        count("Ready", "status.numberReady"), count("Up-to-date", "status.updatedNumberScheduled"),
        count("Available", "status.numberAvailable"),
        column("Node Selector", lambda obj: labels(at(obj, "spec.template.spec.nodeSelector"))), AGE,
        *containers(TEMPLATE), selector()),
    "apps/v1/ControllerRevision": (NAME, column("Controller", owner), count("Revision", "revision"), AGE),
    "batch/v1/Job": (
        NAME, column("Status", job_status), column("Completions", job_completions), timed("Duration", job_duration),
        AGE, *containers(TEMPLATE), selector()),
    "batch/v1/CronJob": (
        NAME, path("Schedule", "spec.schedule"), path("Timezone", "spec.timeZone"), column("Suspend", suspended),
        length("Active", "status.active"), timed("Last Schedule", last_schedule), AGE,
        *containers("spec.jobTemplate.spec.template.spec.containers"),
        wide("Selector", lambda obj: label_selector(at(obj, "spec.jobTemplate.spec.selector")))),
    "autoscaling/v1/HorizontalPodAutoscaler": (*SCALER, column("Targets", cpu_target), *SCALER_END),
    "autoscaling/v2/HorizontalPodAutoscaler": (*SCALER, column("Targets", metrics), *SCALER_END),
    "policy/v1/PodDisruptionBudget": (
        NAME, column("Min Available", or_na("spec.minAvailable")),
        column("Max Unavailable", or_na("spec.maxUnavailable")),
        count("Allowed Disruptions", "status.disruptionsAllowed"), AGE),
    "scheduling.k8s.io/v1/PriorityClass": (
        NAME, count("Value", "value"),
        column("Global-Default", lambda obj: bool(obj.get("globalDefault")), "boolean"),
        AGE, path("PreemptionPolicy", "preemptionPolicy", UNSET)),
    "node.k8s.io/v1/RuntimeClass": (NAME, path("Handler", "handler"), AGE),
}
