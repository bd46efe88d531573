"""Defaults of what makes pods, and of autoscalers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.defaults.constants import (
    APPS,
    AUTOSCALING,
    BATCH,
    CORE,
    OLD_APPS,
    OLD_EXTENSIONS,
)
from timonier.api.patches.clone import clone

Obj = dict[str, Any]
MANY = 2**31 - 1

SCALE_UP = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15},
                         {"type": "Percent", "value": 100, "periodSeconds": 15}]}
SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def replication_controller(obj: Obj) -> None:
    """The template's labels stand in for a selector and for labels of its own."""
    spec = obj.setdefault("spec", {})
    labels = spec.get("template", {}).get("metadata", {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not obj.get("metadata", {}).get("labels"):
            obj.setdefault("metadata", {})["labels"] = dict(labels)


def deployment(step: int | str) -> Callable[[Obj], None]:
    """Deployments go up and down by `step` at once."""
    def default(spec: Obj) -> None:
        spec.setdefault("template", {})
        strategy = spec.setdefault("strategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", step)
            rolling.setdefault("maxSurge", step)
    return default


def labelled_after_template(obj: Obj) -> None:
    """Workloads of former days: the template's labels are their own, and what they select by, where nothing is said."""
    spec = obj.setdefault("spec", {})
    labels = spec.get("template", {}).get("metadata", {}).get("labels")
    if labels:
        spec.setdefault("selector", {"matchLabels": dict(labels)})
        if not obj.get("metadata", {}).get("labels"):
            obj.setdefault("metadata", {})["labels"] = dict(labels)


def daemon_set(spec: Obj) -> None:
    spec.setdefault("template", {})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def old_stateful_set(spec: Obj) -> None:
    """In apps/v1beta1 pods are replaced when somebody deletes them."""
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "OnDelete"
    stateful_set(spec)


def stateful_set(spec: Obj) -> None:
    spec.setdefault("template", {})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
        strategy["rollingUpdate"].setdefault("maxUnavailable", 1)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for moment in ("whenDeleted", "whenScaled"):
        if not retention.get(moment):
            retention[moment] = "Retain"
    for claim in spec.get("volumeClaimTemplates", ()):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("status", {}).setdefault("phase", "Pending")


def job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    labels = spec.setdefault("template", {}).get("metadata", {}).get("labels")
    if labels and not obj.get("metadata", {}).get("labels"):
        obj.setdefault("metadata", {})["labels"] = dict(labels)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", MANY if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")


def autoscaler(spec: Obj) -> None:
    if not spec.get("metrics"):
        spec["metrics"] = [clone(CPU)]
    behavior = spec.get("behavior")
    if behavior is not None:
        for direction, rules in (("scaleUp", SCALE_UP), ("scaleDown", SCALE_DOWN)):
            behavior[direction] = clone(rules) | behavior.get(direction, {})


def never_without(field: str) -> Callable[[Obj], None]:
    """Objects that are no pointers in Go: an empty one has defaults too."""
    def add(obj: Obj) -> None:
        obj.setdefault(field, {})
    return add


def job_template(obj: Obj) -> None:
    """A CronJob's template gets the defaults of its pods, but not those of a Job, which come with the Job."""
    obj.setdefault("spec", {}).setdefault("template", {})


WORKLOADS: dict[str, Callable[[Obj], None]] = {
    CORE + "ReplicationController": replication_controller,
    APPS + "DeploymentSpec": deployment("25%"),
    OLD_APPS + "DeploymentSpec": deployment("25%"),
    OLD_EXTENSIONS + "DeploymentSpec": deployment(1),
    **dict.fromkeys((OLD_APPS + "Deployment", OLD_APPS + "StatefulSet", OLD_EXTENSIONS + "Deployment"),
                    labelled_after_template),
    OLD_APPS + "StatefulSetSpec": old_stateful_set,
    APPS + "ReplicaSetSpec": never_without("template"),
    APPS + "DaemonSetSpec": daemon_set,
    APPS + "StatefulSetSpec": stateful_set,
    BATCH + "Job": job,
    BATCH + "CronJobSpec": never_without("jobTemplate"),
    BATCH + "JobTemplateSpec": job_template,
    CORE + "PodTemplate": never_without("template"),
    AUTOSCALING + "v2.HorizontalPodAutoscalerSpec": autoscaler,
}
