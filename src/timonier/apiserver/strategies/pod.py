"""Pods: a status of their own from the start, and a quality-of-service class that follows from their resources.

Source: Kubernetes documentation, "Pod Lifecycle" and "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from timonier.api.kinds import Kind
from timonier.api.managed.fields import FieldSet
from timonier.api.quality import qos_class
from timonier.api.schema import definition
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Strategy, keep

Object = dict[str, Any]


class PodStrategy(Strategy):
    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        spec = obj.setdefault("spec", {})
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [dict(SCHEDULING_GATED)]
        for term in (*affinity_terms(spec.get("affinity") or {}), *(spec.get("topologySpreadConstraints") or ())):
            fold_keys(term, obj["metadata"].get("labels") or {})

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_status(kind, obj, old)
        keep(obj["metadata"], old["metadata"], "ownerReferences")  # whose pod it is, its kubelet does not decide
        # A class is decided once; a kubelet that does not know it must not erase it.
        if qos := (old.get("status") or {}).get("qosClass"):
            obj.setdefault("status", {})["qosClass"] = qos

    def resets(self, kind: Kind, subresource: str) -> FieldSet:
        if subresource in PARTS:
            return all_but(*PARTS[subresource])
        resets = super().resets(kind, subresource)
        if subresource == "status":
            return resets | {"f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}}
        return resets


PARTS = {"ephemeralcontainers": ("ephemeralContainers",), "resize": ("containers", "initContainers", "resources")}
"""Fields of a spec that can be written through a subresource, in whole or in part."""


@cache
def all_but(*fields: str) -> FieldSet:
    """Every field of a pod but some of its spec."""
    names = definition("io.k8s.api.core.v1.PodSpec")["properties"]
    return {"f:metadata": {}, "f:status": {}, "f:spec": {f"f:{name}": {} for name in names if name not in fields}}


def affinity_terms(affinity: Object) -> Iterator[Object]:
    """The terms about other pods, required and preferred."""
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for choice in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield choice.get("podAffinityTerm") or {}


def fold_keys(term: Object, labels: dict[str, str]) -> None:
    """Labels that others must share with this pod, or must not, become part of the selector (KEP-3633, KEP-3243)."""
    selector = term.get("labelSelector")
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")) if selector is not None else ():
        for key in term.get(field) or ():
            if key in labels:
                term["labelSelector"].setdefault("matchExpressions", []).append(
                    {"key": key, "operator": operator, "values": [labels[key]]})


SCHEDULING_GATED: Object = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                            "message": "Scheduling is blocked due to non-empty scheduling gates"}
