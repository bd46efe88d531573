"""Scopes: the part of all objects that a quota is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from timonier.api.quality import BEST_EFFORT, qos_class

Object = dict[str, Any]

EXISTS = "Exists"


def requirements(spec: Object) -> list[Object]:
    """A quota's scopes, which all have to match, as selectors."""
    plain = [{"scopeName": scope, "operator": EXISTS} for scope in spec.get("scopes") or ()]
    return [*plain, *((spec.get("scopeSelector") or {}).get("matchExpressions") or ())]


def matches(spec: Object, group: str, resource: str, obj: Object) -> bool:
    """Whether a quota's scopes let it count an object. No scope is about anything but pods and volume claims."""
    wanted = requirements(spec)
    return not wanted or len(matching(wanted, group, resource, obj)) == len(wanted)


def matching(wanted: Iterable[Object], group: str, resource: str, obj: Object) -> list[Object]:
    """Those of the requirements that an object meets."""
    judge = {("", "pods"): pod, ("", "persistentvolumeclaims"): claim}.get((group, resource))
    return [each for each in wanted if judge(each, obj)] if judge is not None else []


def pod(requirement: Object, obj: Object) -> bool:
    scope, spec = requirement["scopeName"], obj["spec"]
    if scope == "PriorityClass":
        name = spec.get("priorityClassName") or ""
        return selected(requirement, [name] if name else [])
    judge = OF_PODS.get(scope)
    return judge is not None and judge(obj)


def claim(requirement: Object, obj: Object) -> bool:
    if requirement["scopeName"] != "VolumeAttributesClass":
        return False
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    named = (spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"),
             (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"))
    return selected(requirement, [name for name in named if name])


def selected(requirement: Object, values: Sequence[str]) -> bool:
    """Whether values, of which there may be none, are what a selector wants."""
    listed = requirement.get("values") or ()
    match requirement["operator"]:
        case "Exists":
            return bool(values)
        case "DoesNotExist":
            return not values
        case "In":
            return any(value in listed for value in values)
        case _:
            return not any(value in listed for value in values)


def terminating(obj: Object) -> bool:
    seconds = obj["spec"].get("activeDeadlineSeconds")
    return seconds is not None and seconds >= 0


def best_effort(obj: Object) -> bool:
    return qos_class(obj["spec"]) == BEST_EFFORT


def across_namespaces(obj: Object) -> bool:
    """Whether a pod's affinity looks at the pods of other namespaces."""
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms(obj["spec"]))


def terms(spec: Object) -> Iterator[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        found = (spec.get("affinity") or {}).get(kind) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


OF_PODS: dict[str, Callable[[Object], bool]] = {
    "Terminating": terminating,
    "NotTerminating": lambda obj: not terminating(obj),
    "BestEffort": best_effort,
    "NotBestEffort": lambda obj: not best_effort(obj),
    "CrossNamespacePodAffinity": across_namespaces,
}
