"""What may change of a pod through /resize: the CPU and memory of its containers, and of the pod as a whole.

Whether its node has the room, and can do it at all, is asked by admission.
Source: KEP-1287 (containers in place), KEP-5419 (the pod as a whole).
"""

from __future__ import annotations

from collections.abc import Sequence

from timonier.api.quality import qos_class
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.pod_annotations import MIRROR
from timonier.api.validation.pod_changes import NOWHERE
from timonier.api.validation.pods import pod_itself

RESIZED = ("cpu", "memory")
SIDES = {"requests": "resource requests", "limits": "resource limits"}
LISTS = ("containers", "initContainers")
ONLY_AMOUNTS = "only cpu and memory resources are mutable"


def resize(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through /resize: CPU and memory; nothing of them may be taken away, and the quality of service stays."""
    spec, before, status = obj.get("spec", {}), old.get("spec", {}), old.get("status", {})
    for hinders, text in ((MIRROR in old.get("metadata", {}).get("annotations", {}), "static pods cannot be resized"),
                          (before.get("os", {}).get("name") == "windows", "windows pods cannot be resized")):
        if hinders:
            causes.clear()
            causes.forbidden(NOWHERE, text)
            return
    pod_itself(obj, causes)
    if (status.get("qosClass") or qos_class(before)) != qos_class(spec):
        causes.invalid("spec", status.get("qosClass", ""), "Pod QOS Class may not change as a result of resizing")
    if not answered(status):
        causes.forbidden("spec", "Pod running on node without support for resize")
    as_a_whole(spec.get("resources"), before.get("resources"), causes)
    if status.get("nodeAllocatableResourceClaimStatuses"):
        causes.forbidden("spec", "pods with node allocatable resource claims cannot be resized")
    if not same_containers(spec, before, causes):
        return
    for sort in reversed(LISTS):
        for index, (container, there) in enumerate(zip(spec.get(sort, ()), before.get(sort, ()), strict=True)):
            nothing_taken(container.get("resources", {}), there.get("resources", {}),
                          f"spec.{sort}[{index}].resources", "", causes)
    plain = {key: value for key, value in spec.items() if key != "resources"}
    rest = {key: value for key, value in before.items() if key != "resources"}
    for sort in (each for each in LISTS if each in spec):
        plain[sort] = [but_for_amounts(*pair) for pair in zip(spec[sort], before[sort], strict=True)]
        rest[sort] = [but_for_amounts(there, there) for there in before[sort]]
    regular(plain.get("containers", ()), rest.get("containers", ()), causes)
    initial(plain.get("initContainers", ()), rest.get("initContainers", ()), spec, before, causes)
    if not causes and plain != rest:
        causes.forbidden("spec", ONLY_AMOUNTS)


def answered(status: Obj) -> bool:
    """Whether the pod's node says what its containers run with, as one does that knows of resizing."""
    running = [each for each in status.get("containerStatuses", ()) if each.get("state", {}).get("running") is not None]
    return not running or running[0].get("resources") is not None


def as_a_whole(now: Obj | None, then: Obj | None, causes: Causes) -> None:
    """The resources of the pod as a whole."""
    if then is not None and now is None:
        causes.forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    now, then = now or {}, then or {}
    nothing_taken(now, then, "spec.resources", "pod-level ", causes)
    if amounts_put_back(now, then) != then:
        causes.forbidden("spec", "only cpu and memory resources are mutable at pod-level")


def same_containers(spec: Obj, before: Obj, causes: Causes) -> bool:
    """Whether the containers are those that were there, in their order."""
    same = True
    for sort in LISTS:
        now, then = ([each.get("name") for each in holder.get(sort, ())] for holder in (spec, before))
        if len(now) != len(then):
            causes.forbidden(f"spec.{sort}", f"{sort} may not be added or removed on resize")
            same = False
            continue
        for index, pair in enumerate(zip(now, then, strict=True)):
            if pair[0] != pair[1]:
                causes.forbidden(f"spec.{sort}[{index}].name", f"{sort} may not be renamed or reordered on resize")
                same = False
    return same


def nothing_taken(now: Obj, then: Obj, path: str, whose: str, causes: Causes) -> None:
    """What was requested or limited still is."""
    for side, what in SIDES.items():
        if not then.get(side, {}).keys() <= now.get(side, {}).keys():
            causes.forbidden(f"{path}.{side}", f"{whose}{what} cannot be removed")


def amounts_put_back(now: Obj, then: Obj) -> Obj:
    """Resources with CPU and memory as they were."""
    result = {key: value for key, value in now.items() if key not in SIDES}
    for side in SIDES:
        amounts = {name: amount for name, amount in now.get(side, {}).items() if name not in RESIZED}
        amounts |= {name: amount for name, amount in then.get(side, {}).items() if name in RESIZED}
        if amounts:
            result[side] = amounts
    return result


def but_for_amounts(container: Obj, before: Obj) -> Obj:
    """A container with its CPU and memory as they were."""
    resources = amounts_put_back(container.get("resources", {}), before.get("resources", {}))
    rest = {key: value for key, value in container.items() if key != "resources"}
    return rest | ({"resources": resources} if resources else {})


def regular(plain: Sequence[Obj], rest: Sequence[Obj], causes: Causes) -> None:
    for container, there in zip(plain, rest, strict=True):
        if container != there:
            causes.forbidden("spec", ONLY_AMOUNTS)


def initial(plain: Sequence[Obj], rest: Sequence[Obj], spec: Obj, before: Obj, causes: Causes) -> None:
    """Containers of the initialisation. One that runs once is never restarted for more room."""
    for index, (container, there) in enumerate(zip(plain, rest, strict=True)):
        path = f"spec.initContainers[{index}]"
        if container != there:
            causes.forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable")
        changed = spec["initContainers"][index] != before["initContainers"][index]
        restarts = any(each.get("restartPolicy") == "RestartContainer" for each in container.get("resizePolicy", ()))
        if changed and restarts and container.get("restartPolicy") != "Always":
            causes.forbidden(path, "non-sidecar init containers with a resize policy of RestartContainer cannot be "
                             "resized")
