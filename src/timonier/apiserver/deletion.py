"""What deleting an object does: remove it, or mark it and wait for its finalizers or its grace period. Pure.

Source: Kubernetes documentation, "Garbage Collection" and "Pod Lifecycle"; API conventions, "Metadata".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timonier.api import times
from timonier.api.errors import Cause, conflict, invalid
from timonier.api.kinds import Kind
from timonier.kit.clock import Time

Object = dict[str, Any]

ORPHAN, FOREGROUND, BACKGROUND = "Orphan", "Foreground", "Background"
FINALIZERS = {ORPHAN: "orphan", FOREGROUND: "foregroundDeletion"}
ORPHANING = frozenset({"v1/ReplicationController", "batch/v1/Job"})
"""Kinds whose dependents stay where the user does not say otherwise, for the sake of old clients."""
JOB_WARNING = ("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
               "them or set propagationPolicy=Orphan to suppress this warning")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The part of `DeleteOptions` that decides."""

    grace: int | None = None
    policy: str = ""
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def of(cls, options: Object) -> DeleteOptions:
        """From the API's object. Raises Invalid."""
        policy, orphan = options.get("propagationPolicy") or "", options.get("orphanDependents")
        wrong = []
        if policy and orphan is not None:
            wrong.append(Cause("FieldValueInvalid", "propagationPolicy",
                               f'Invalid value: "{policy}": '
                               'orphanDependents and deletionPropagation cannot be both set'))
        if policy not in ("", ORPHAN, FOREGROUND, BACKGROUND):
            wrong.append(Cause("FieldValueNotSupported", "propagationPolicy", f'Unsupported value: "{policy}": '
                               'supported values: "Foreground", "Background", "Orphan", "nil"'))
        if wrong:
            raise invalid("meta.k8s.io", "DeleteOptions", "", wrong)
        if orphan is not None:
            policy = ORPHAN if orphan else BACKGROUND
        preconditions = options.get("preconditions") or {}
        return cls(options.get("gracePeriodSeconds"), policy, preconditions.get("uid") or "",
                   preconditions.get("resourceVersion") or "")


@dataclass(frozen=True, slots=True)
class Deletion:
    """What to do: store `obj`, or, where it is None, remove the object; nothing where it is as it was."""

    obj: Object | None


def check_preconditions(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    """Raise Conflict where the object is not the one that was meant."""
    metadata = obj["metadata"]
    for what, wanted, field in (("UID", options.uid, "uid"),
                                ("ResourceVersion", options.resource_version, "resourceVersion")):
        if wanted and wanted != metadata.get(field):
            raise conflict(kind.group, kind.plural, metadata["name"],
                           f"Precondition failed: {what} in precondition: {wanted}, "
                           f"{what} in object meta: {metadata.get(field, '')}")


def plan(kind: Kind, obj: Object, options: DeleteOptions, now: Time) -> Deletion:
    """What deleting an object does to it. `obj` is not changed. Raises Conflict."""
    check_preconditions(kind, obj, options)
    finalizers = with_policy(kind, obj["metadata"].get("finalizers") or [], options.policy)
    grace = grace_of(kind, obj, options)
    if not finalizers and not grace and not spec_finalizers(kind, obj):
        return Deletion(None)
    marked = mark(obj, now, grace)
    metadata = marked["metadata"]
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    if kind.id == "v1/Namespace":
        marked["status"] = (marked.get("status") or {}) | {"phase": "Terminating"}
    return Deletion(marked)


def mark(obj: Object, now: Time, grace: int) -> Object:
    """The object with its end set: at the first request, or earlier where a later request is more impatient."""
    metadata = dict(obj["metadata"])
    already = metadata.get("deletionTimestamp")
    if not already:
        metadata["deletionTimestamp"] = times.rfc3339(now + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    elif grace < metadata.get("deletionGracePeriodSeconds", 0):
        begun = times.parse(already) - metadata["deletionGracePeriodSeconds"]
        metadata["deletionTimestamp"] = times.rfc3339(begun + grace)
        metadata["deletionGracePeriodSeconds"] = grace
    return obj | {"metadata": metadata}


def with_policy(kind: Kind, finalizers: list[str], policy: str) -> list[str]:
    """The finalizers that make the garbage collector do what was asked; asking again replaces what was asked."""
    if not policy:
        if any(known in finalizers for known in FINALIZERS.values()):
            return finalizers
        policy = ORPHAN if kind.id in ORPHANING else BACKGROUND
    kept = [name for name in finalizers if name not in FINALIZERS.values()]
    return [*kept, FINALIZERS[policy]] if policy in FINALIZERS else kept


def grace_of(kind: Kind, obj: Object, options: DeleteOptions) -> int:
    """Seconds that the object keeps running. Only pods that run on a node have any."""
    if kind.id != "v1/Pod":
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    metadata = obj["metadata"]
    if options.grace is None and "deletionTimestamp" in metadata:
        return int(metadata.get("deletionGracePeriodSeconds", 0))
    grace = spec.get("terminationGracePeriodSeconds", 30) if options.grace is None else options.grace
    return 1 if grace < 0 else int(grace)


def spec_finalizers(kind: Kind, obj: Object) -> list[str]:
    """A namespace is not gone before its contents are: its own finalizers stand in its spec."""
    return ((obj.get("spec") or {}).get("finalizers") or []) if kind.id == "v1/Namespace" else []


def over(kind: Kind, obj: Object) -> bool:
    """Whether an object that was written is to be removed: marked for deletion, and nothing holds it any more."""
    metadata = obj["metadata"]
    return bool("deletionTimestamp" in metadata and not metadata.get("finalizers")
                and not metadata.get("deletionGracePeriodSeconds") and not spec_finalizers(kind, obj))
