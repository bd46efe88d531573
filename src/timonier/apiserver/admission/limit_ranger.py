"""LimitRanger: a namespace's LimitRanges fill in what containers ask for, and bound it.

Pure but for looking up the LimitRanges: `fill` changes a pod, `violations` says what is wrong with an object.
Source: Kubernetes documentation, "Limit Ranges".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from timonier.api.kinds import BY_ID
from timonier.api.quantity import canonical, parse
from timonier.api.quota.pods import total
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, refuse, sizes_pod
from timonier.apiserver.request import Attributes, Object

LIMIT_RANGE = BY_ID["v1/LimitRange"]
ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]
"""Quantities by resource name."""


@dataclass(frozen=True)
class LimitRanger(Plugin):
    registry: Registry

    def ranges(self, attributes: Attributes) -> list[Object]:
        ranges = self.registry.peek_all(LIMIT_RANGE, attributes.namespace)
        return sorted(ranges, key=lambda found: str(found["metadata"]["name"]))

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is not None and sizes_pod(attributes):
            for found in self.ranges(attributes):
                fill(obj, items(found, "Container"), noted=not attributes.subresource)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if obj is None:
            return
        claim = attributes.resource == "persistentvolumeclaims" and not attributes.group \
            and not attributes.subresource and attributes.operation in (CREATE, UPDATE)
        if not claim and not sizes_pod(attributes):
            return
        for found in self.ranges(attributes):
            wrong = list(claim_violations(obj, found) if claim else pod_violations(obj, found))
            if wrong:
                raise refuse(attributes, wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]", obj)


def items(limit_range: Object, kind: str) -> Iterator[Object]:
    return (item for item in limit_range["spec"].get("limits") or () if item.get("type") == kind)


def fill(pod: Object, limits: Iterable[Object], *, noted: bool = True) -> None:
    """Give containers the requests and limits that they do not name, and note it in an annotation if asked to."""
    notes = []
    defaults = list(limits)
    for containers, title in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(containers) or ():
            for item in defaults:
                for part, given in (("requests", "defaultRequest"), ("limits", "default")):
                    added = supplement(container, part, item.get(given) or {})
                    if added:
                        notes.append(f"{', '.join(sorted(added))} {part[:-1]} for {title} {container['name']}")
    if notes and noted:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = annotations | {ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}


def supplement(container: Object, part: str, defaults: Amounts) -> list[str]:
    """Add the defaults that are missing to the requests or limits of a container; gives the resources added."""
    if not defaults:
        return []
    amounts = container.setdefault("resources", {}).setdefault(part, {})
    added = [resource for resource in defaults if resource not in amounts]
    amounts |= {resource: defaults[resource] for resource in added}
    return added


class Claimed(NamedTuple):
    """What one container, a pod, or a volume claim asks for and is limited to."""

    requests: Amounts
    limits: Amounts


def claim_violations(claim: Object, limit_range: Object) -> Iterator[str]:
    asked = (claim["spec"].get("resources") or {}).get("requests") or {}
    for item in items(limit_range, "PersistentVolumeClaim"):
        for resource, least in (item.get("min") or {}).items():
            yield from too_small(resource, "PersistentVolumeClaim", least, Claimed(asked, {}))
        for resource, most in (item.get("max") or {}).items():
            if resource in asked and parse(asked[resource]) > parse(most):
                yield f"maximum {resource} usage per PersistentVolumeClaim is {canonical(most)}, " \
                      f"but request is {canonical(asked[resource])}"


def pod_violations(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = pod["spec"]
    containers = [claimed(container) for container in spec.get("containers") or ()]
    initial = [claimed(container) for container in spec.get("initContainers") or ()]
    for item in items(limit_range, "Container"):
        for container in (*containers, *initial):
            yield from violations(item, "Container", container)
    whole = Claimed(total(spec, "requests", overhead=False), total(spec, "limits", overhead=False))
    for item in items(limit_range, "Pod"):
        yield from violations(item, "Pod", whole)


def claimed(container: Object) -> Claimed:
    resources = container.get("resources") or {}
    return Claimed(resources.get("requests") or {}, resources.get("limits") or {})


def violations(item: Object, kind: str, asked: Claimed) -> Iterator[str]:
    """What breaks one entry of a LimitRange, in Kubernetes's words."""
    for resource, least in (item.get("min") or {}).items():
        yield from too_small(resource, kind, least, asked)
    for resource, most in (item.get("max") or {}).items():
        yield from too_large(resource, kind, most, asked)
    for resource, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        yield from too_far_apart(resource, kind, ratio, asked)


def too_small(resource: str, kind: str, least: str, asked: Claimed) -> Iterator[str]:
    start = f"minimum {resource} usage per {kind} is {canonical(least)}"
    request, limit = asked.requests.get(resource), asked.limits.get(resource)
    if request is None:
        yield f"{start}.  No request is specified"
    elif parse(request) < parse(least):
        yield f"{start}, but request is {canonical(request)}"
    elif limit is not None and parse(limit) < parse(least):
        yield f"{start}, but limit is {canonical(limit)}"


def too_large(resource: str, kind: str, most: str, asked: Claimed) -> Iterator[str]:
    start = f"maximum {resource} usage per {kind} is {canonical(most)}"
    request, limit = asked.requests.get(resource), asked.limits.get(resource)
    if limit is None:
        yield f"{start}.  No limit is specified"
    elif parse(limit) > parse(most):
        yield f"{start}, but limit is {canonical(limit)}"
    elif request is not None and parse(request) > parse(most):
        yield f"{start}, but request is {canonical(request)}"


def too_far_apart(resource: str, kind: str, ratio: str, asked: Claimed) -> Iterator[str]:
    start = f"{resource} max limit to request ratio per {kind} is {canonical(ratio)}"
    request, limit = asked.requests.get(resource, "0"), asked.limits.get(resource, "0")
    if not parse(request):
        yield f"{start}, but no request is specified or request is 0"
    elif not parse(limit):
        yield f"{start}, but no limit is specified or limit is 0"
    elif parse(limit) / parse(request) > parse(ratio):
        yield f"{start}, but provided ratio is {float(parse(limit) / parse(request)):f}"
