"""Views of one stored object in another version: events as core/v1 and events.k8s.io/v1, autoscalers as v1 and v2,
and workloads and Ingresses as the versions of former days (`former`) had them.

Every other built-in kind is stored in the version in which it is served, and passes through untouched; custom kinds
have `apiserver.views`. Both directions make new
objects and keep what they do not name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from timonier.api.kinds import Kind
from timonier.apiserver import former

Object = dict[str, Any]

EVENT_FIELDS = {
    "regarding": "involvedObject", "note": "message", "reportingController": "reportingComponent",
    "deprecatedSource": "source", "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count",
}
"""events.k8s.io/v1 to core/v1; fields that are not named here are called the same."""
EVENT_FIELDS_BACK = {old: new for new, old in EVENT_FIELDS.items()}

METRICS, BEHAVIOR, CONDITIONS, CURRENT = (
    f"autoscaling.alpha.kubernetes.io/{part}" for part in ("metrics", "behavior", "conditions", "current-metrics"))
"""Annotations in which autoscaling/v1 carries what it has no fields for."""


def is_view(kind: Kind) -> bool:
    return kind.custom is None and kind.storage != kind.apiVersion


def to_storage(kind: Kind, obj: Object) -> Object:
    """An object of a kind, as it is stored."""
    if not is_view(kind):
        return obj
    return VIEWS[kind.kind][0](obj) | {"apiVersion": kind.storage}


def from_storage(kind: Kind, obj: Object) -> Object:
    """A stored object as a kind shows it."""
    if not is_view(kind):
        return obj
    return VIEWS[kind.kind][1](obj) | {"apiVersion": kind.apiVersion}


def event_to_core(obj: Object) -> Object:
    return {EVENT_FIELDS.get(key, key): value for key, value in obj.items()}


def event_from_core(obj: Object) -> Object:
    return {EVENT_FIELDS_BACK.get(key, key): value for key, value in obj.items()}


def is_cpu_utilization(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" \
        and (resource.get("target") or {}).get("averageUtilization") is not None


def hpa_from_v2(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), {"currentReplicas": 0, "desiredReplicas": 0} | (obj.get("status") or {})
    metrics = spec.pop("metrics", None) or []
    cpu = next((metric for metric in metrics if is_cpu_utilization(metric)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        resource = metric.get("resource") or {}
        utilization = (resource.get("current") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and utilization is not None:
            status["currentCPUUtilizationPercentage"] = utilization
    carried = {METRICS: [metric for metric in metrics if metric is not cpu], BEHAVIOR: spec.pop("behavior", None),
               CONDITIONS: status.pop("conditions", None), CURRENT: current}
    texts = {name: orjson.dumps(value).decode() for name, value in carried.items() if value}
    return with_annotations(obj, texts) | {"spec": spec, "status": status}


def hpa_to_v2(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    carried = {name: value for name in (METRICS, BEHAVIOR, CONDITIONS, CURRENT)
               if (value := carried_value(obj, name))}
    utilization = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [] if utilization is None else [{"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": utilization}}}]
    if metrics := metrics + carried.get(METRICS, []):
        spec["metrics"] = metrics
    if BEHAVIOR in carried:
        spec["behavior"] = carried[BEHAVIOR]
    current = status.pop("currentCPUUtilizationPercentage", None)
    if CURRENT in carried:
        status["currentMetrics"] = carried[CURRENT]
    elif current is not None:
        status["currentMetrics"] = [{"type": "Resource", "resource": {
            "name": "cpu", "current": {"averageUtilization": current}}}]
    if CONDITIONS in carried:
        status["conditions"] = carried[CONDITIONS]
    return without_annotations(obj, carried) | {"spec": spec, "status": status}


def carried_value(obj: Object, annotation: str) -> Any:
    """What an annotation carries; nothing where its text is not what this module wrote there."""
    text = (obj["metadata"].get("annotations") or {}).get(annotation)
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    expected = dict if annotation == BEHAVIOR else list
    return value if isinstance(value, expected) else None


def with_annotations(obj: Object, texts: dict[str, str]) -> Object:
    if not texts:
        return dict(obj)
    metadata = obj["metadata"]
    return obj | {"metadata": metadata | {"annotations": (metadata.get("annotations") or {}) | texts}}


def without_annotations(obj: Object, names: dict[str, Any]) -> Object:
    if not names:
        return dict(obj)
    metadata = dict(obj["metadata"])
    rest = {name: text for name, text in metadata.pop("annotations").items() if name not in names}
    return obj | {"metadata": metadata | ({"annotations": rest} if rest else {})}


Convert = Callable[[Object], Object]
VIEWS: dict[str, tuple[Convert, Convert]] = {
    "Event": (event_to_core, event_from_core),
    "HorizontalPodAutoscaler": (hpa_to_v2, hpa_from_v2),
    "Ingress": (former.ingress_to_stored, former.ingress_from_stored),
    "Deployment": (former.deployment_to_stored, former.deployment_from_stored),
    "StatefulSet": (former.same, former.same),
}
"""By kind: what makes the stored object of a view, and the view of a stored object."""
