"""What may change of a pod that exists: little through the main door, and one thing each through the side doors.

What changes through /resize is in `pod_resize`.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import IMMUTABLE, Causes, Obj
from timonier.api.validation.pod_annotations import MIRROR
from timonier.api.validation.pods import INT32, pod_itself
from timonier.api.validation.scheduling import tolerations

UPDATABLE = ("pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
             "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
             "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")
NODE_AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution"
SYSTEM_CONDITIONS = ("Initialized", "PodScheduled", "Ready")
ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"
NOWHERE = "[]"
"""The path of what concerns the object as a whole, as Kubernetes writes it."""


def pod_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """Of an existing pod, images and little else may change."""
    pod_itself(obj, causes)
    mirror_annotation(obj, old, causes)
    spec, before = obj.get("spec", {}), old.get("spec", {})
    for field in ("containers", "initContainers"):
        if len(spec.get(field, ())) != len(before.get(field, ())):
            causes.forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        for index, container in enumerate(spec.get(field, ())):
            if not container.get("image"):
                causes.required(f"spec.{field}[{index}].image")
    if not deadline(spec, before, causes):
        return
    added_tolerations(spec, before, causes)
    there = {gate.get("name", "") for gate in before.get("schedulingGates", ())}
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        if gate.get("name", "") not in there:
            causes.forbidden(f"spec.schedulingGates[{index}].name",
                             f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'")
    if spec == before:
        return
    wanted = frozen(spec, before)
    if before.get("schedulingGates"):
        gated(wanted, before, causes)
    if changed := differences(wanted, before):
        causes.forbidden("spec", f"{UPDATABLE}\n" + "\n".join(changed))


def frozen(spec: Obj, before: Obj) -> Obj:
    """The new spec with what may change set back."""
    free = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
    result = {key: value for key, value in spec.items() if key not in free}
    result |= {key: before[key] for key in free if key in before}
    for field in ("containers", "initContainers"):
        if field in spec:
            result[field] = [container | ({"image": there["image"]} if "image" in there else {})
                             for container, there in zip(spec[field], before[field], strict=True)]
    if before.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        result["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    return result


def gated(spec: Obj, before: Obj, causes: Causes) -> None:
    """While a pod is gated, what it asks of nodes may become stricter; `spec` gets back what was before."""
    now, then = spec.get("nodeSelector", {}), before.get("nodeSelector", {})
    for key, value in then.items():
        if now.get(key) != value:
            causes.invalid("spec.nodeSelector", now,
                           "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
            break
    put_back(spec, before, "nodeSelector")
    affinity, affinity_before = (dict(each.get("affinity", {})) for each in (spec, before))
    wanted, was = affinity.get("nodeAffinity"), affinity_before.get("nodeAffinity")
    if wanted != was:
        stricter_affinity(wanted or {}, was or {}, "spec.affinity.nodeAffinity", causes)
        put_back(affinity, affinity_before, "nodeAffinity")
        if affinity or "affinity" in before:
            spec["affinity"] = affinity
        else:
            spec.pop("affinity", None)


def put_back(obj: Obj, old: Obj, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def stricter_affinity(wanted: Obj, was: Obj, path: str, causes: Causes) -> None:
    """Terms are alternatives: none comes or goes, each may only demand more."""
    if not was.get(NODE_AFFINITY):
        return
    then = was[NODE_AFFINITY].get("nodeSelectorTerms", [])
    now = wanted.get(NODE_AFFINITY, {}).get("nodeSelectorTerms", [])
    at = f"{path}.{NODE_AFFINITY}.nodeSelectorTerms"
    if len(now) != len(then):
        causes.invalid(at, now, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for index, (term, before) in enumerate(zip(now, then, strict=True)):
        empty = not before.get("matchExpressions") and not before.get("matchFields")
        if empty and term != before:
            causes.invalid(f"{at}[{index}]", term, ONLY_ADDITIONS)
        for field in ("matchExpressions", "matchFields"):
            listed = term.get(field, [])
            if not empty and listed[:len(before.get(field, []))] != before.get(field, []):
                causes.invalid(f"{at}[{index}].{field}[0]", listed, ONLY_ADDITIONS)


def deadline(spec: Obj, before: Obj, causes: Causes) -> bool:
    """A deadline may be set, and come nearer. Returns whether the rest is worth looking at."""
    path, new, previous = "spec.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), \
        before.get("activeDeadlineSeconds")
    if new is None:
        if previous is not None:
            causes.invalid(path, None, "must not update from a positive integer to nil value")
    elif wrong := names.in_range(new, 0, INT32):
        causes.each_invalid(path, new, wrong)
        return False
    elif previous is not None and previous < new:
        causes.invalid(path, new, "must be less than or equal to previous value")
        return False
    return True


def added_tolerations(spec: Obj, before: Obj, causes: Causes) -> None:
    """Tolerations may be added, and the time of one may change."""
    if spec.get("tolerations") == before.get("tolerations"):
        return

    def essence(toleration: Obj) -> Obj:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    now = [essence(each) for each in spec.get("tolerations", ())]
    if any(essence(each) not in now for each in before.get("tolerations", ())):
        causes.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
    else:
        tolerations(spec.get("tolerations", ()), "spec.tolerations", causes)


def mirror_annotation(obj: Obj, old: Obj, causes: Causes) -> None:
    now, then = (each.get("metadata", {}).get("annotations", {}).get(MIRROR) for each in (obj, old))
    path = f"metadata.annotations[{MIRROR}]"
    if now != then:
        causes.forbidden(path, "may not add mirror pod annotation" if then is None else
                         "may not remove or update mirror pod annotation")


def differences(new: Any, old: Any, path: str = "spec") -> list[str]:
    """`-` and `+` lines for every field in which two values differ."""
    if new == old:
        return []
    if isinstance(new, dict) and isinstance(old, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in differences(new.get(key), old.get(key), f"{path}.{key}")]
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [line for index, pair in enumerate(zip(new, old, strict=True))
                for line in differences(*pair, f"{path}[{index}]")]
    return [f"{sign} \t{path}: {json.dumps(value)}" for sign, value in (("-", old), ("+", new)) if value is not None]


def ephemeral_containers(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through /ephemeralcontainers: they can be added, and neither changed nor removed."""
    if MIRROR in old.get("metadata", {}).get("annotations", {}):
        causes.clear()
        causes.forbidden(NOWHERE, "static pods do not support ephemeral containers")
        return
    pod_itself(obj, causes)
    mirror_annotation(obj, old, causes)
    path = "spec.ephemeralContainers"
    now = {each.get("name"): each for each in obj.get("spec", {}).get("ephemeralContainers", ())}
    for there in old.get("spec", {}).get("ephemeralContainers", ()):
        name = there.get("name", "")
        if name not in now:
            causes.forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n')
        elif now[name] != there:
            lines = "\n".join(differences(now[name], there, name))
            causes.forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n{lines}')


def pod_status(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through /status: what a kubelet may say of a pod."""
    mirror_annotation(obj, old, causes)
    status, before = obj.get("status", {}), old.get("status", {})
    for index, condition in enumerate(status.get("conditions", ())):
        kind = condition.get("type", "")
        if kind not in SYSTEM_CONDITIONS:
            causes.each_invalid(f"metadata.conditions[{index}].Type", kind, names.qualified_name(kind))
    if obj.get("spec", {}).get("nodeName") != old.get("spec", {}).get("nodeName"):
        causes.forbidden("status.nodeName", "may not be changed directly")
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        causes.each_invalid("status.nominatedNodeName", nominated, names.dns_subdomain(nominated))
    if status.get("qosClass") != before.get("qosClass"):
        causes.invalid("status.qosClass", status.get("qosClass", ""), IMMUTABLE)
    spec = old.get("spec", {})
    restarts = {container.get("name"): container for container in
                (*spec.get("containers", ()), *spec.get("initContainers", ()))}
    for field in ("containerStatuses", "initContainerStatuses"):
        terminated_stays(status, before, field, spec.get("restartPolicy", "Always"), restarts, causes)
    terminated_stays(status, before, "ephemeralContainerStatuses", "Never", {}, causes)
    claim_statuses(status.get("resourceClaimStatuses", ()), obj.get("spec", {}), causes)
    pod_addresses(status.get("podIPs", ()), "status.podIPs", causes)
    hosts = status.get("hostIPs", ())
    if hosts and hosts[0].get("ip", "") != status.get("hostIP", ""):
        causes.invalid("status.hostIPs[0].ip", hosts[0].get("ip", ""), "must be equal to `hostIP`")
    pod_addresses(hosts, "status.hostIPs", causes)


def terminated_stays(status: Obj, before: Obj, field: str, policy: str, containers: dict[Any, Obj],
                     causes: Causes) -> None:
    """A container that is not to start again has ended for good."""
    now = {each.get("name"): each for each in status.get(field, ())}
    for index, each in enumerate(before.get(field, ())):
        ended = each.get("state", {}).get("terminated")
        container = containers.get(each.get("name"), {})
        own = container.get("restartPolicy", policy)
        if ended is None or own == "Always" or container.get("restartPolicyRules") \
                or (ended.get("exitCode") and own == "OnFailure"):
            continue
        later = now.get(each.get("name"))
        if later is not None and "terminated" not in later.get("state", {}):
            causes.forbidden(f"status.{field}[{index}].state", "may not be transitioned to non-terminated state")


def claim_statuses(listed: Sequence[Obj], spec: Obj, causes: Causes) -> None:
    known, taken = {claim.get("name") for claim in spec.get("resourceClaims", ())}, set[str]()
    for index, each in enumerate(listed):
        path, name = f"status.resourceClaimStatuses[{index}].name", each.get("name", "")
        if name not in known:
            causes.invalid(path, name, "must match the name of an entry in `spec.resourceClaims`")
        if name in taken:
            causes.duplicate(path, name)
        taken.add(name)
        if (claim := each.get("resourceClaimName")) is not None:
            causes.each_invalid(path, claim, names.dns_subdomain(claim))


def pod_addresses(listed: Sequence[Obj], path: str, causes: Causes) -> None:
    """At most one address of each family."""
    given = [each.get("ip", "") for each in listed]
    for index, address in enumerate(given):
        causes.each_invalid(f"{path}[{index}]", address, names.ip(address))
    if len(given) < 2 or any(map(names.ip, given)):
        return
    versions = {ipaddress.ip_address(address).version for address in given}
    if len(given) > 2 or len(versions) < 2:
        causes.invalid(path, listed, "may specify no more than one IP for each IP family")
    for index, address in enumerate(given):
        if address in given[:index]:
            causes.duplicate(f"{path}[{index}]", listed[index])
