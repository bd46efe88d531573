"""Pods: a status of their own from the start, and a quality-of-service class that follows from their resources.

Source: Kubernetes documentation, "Pod Lifecycle" and "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.api import quantity
from timonier.api.kinds import Kind
from timonier.api.managed.fields import FieldSet
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Strategy, keep

Object = dict[str, Any]

COUNTED = ("cpu", "memory")
GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"


class PodStrategy(Strategy):
    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        spec = obj.setdefault("spec", {})
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [dict(SCHEDULING_GATED)]

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_status(kind, obj, old)
        keep(obj["metadata"], old["metadata"], "ownerReferences")  # whose pod it is, its kubelet does not decide
        # A class is decided once; a kubelet that does not know it must not erase it.
        if qos := (old.get("status") or {}).get("qosClass"):
            obj.setdefault("status", {})["qosClass"] = qos

    def resets(self, kind: Kind, subresource: str) -> FieldSet:
        resets = super().resets(kind, subresource)
        if subresource == "status":
            return resets | {"f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}}
        return resets


SCHEDULING_GATED: Object = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                            "message": "Scheduling is blocked due to non-empty scheduling gates"}


def containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def qos_class(spec: Object) -> str:
    """Guaranteed where every container limits cpu and memory and requests as much; BestEffort where none says anything.

    A limit without a request counts as a request, as defaulting makes it one.
    """
    whole = spec.get("resources")
    sources = [whole] if whole else [container.get("resources") or {} for container in containers(spec)]
    said = [amounts(resources) for resources in sources]
    if not any(requests or limits for requests, limits in said):
        return BEST_EFFORT
    for requests, limits in said:
        if set(limits) != set(COUNTED) or any(requests.get(name, limits[name]) != limits[name] for name in COUNTED):
            return BURSTABLE
    return GUARANTEED


def amounts(resources: Object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Requests and limits of what counts, without zeros."""
    return positive(resources.get("requests") or {}), positive(resources.get("limits") or {})


def positive(listed: Object) -> dict[str, Any]:
    parsed = {name: quantity.parse(str(listed[name])) for name in COUNTED if name in listed}
    return {name: amount for name, amount in parsed.items() if amount > 0}
