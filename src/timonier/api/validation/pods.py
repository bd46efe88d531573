"""Pods and pod templates, and what may be changed of a pod once it exists."""

from __future__ import annotations

import json
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.containers import containers, resources
from timonier.api.validation.metadata import annotation_pairs, labels
from timonier.api.validation.scheduling import affinity, spreading, tolerations
from timonier.api.validation.security import pod_security
from timonier.api.validation.volumes import volumes

INT32 = 2**31 - 1
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
PREEMPTION = ("PreemptLowerPriority", "Never")
MIRROR = "kubernetes.io/config.mirror"
NAMESERVERS, SEARCHES, SEARCH_LETTERS = 3, 32, 2048
UPDATABLE = ("pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
             "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
             "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")


def pod(obj: Obj, causes: Causes) -> None:
    pod_spec(obj.get("spec", {}), "spec", causes)
    spec = obj.get("spec", {})
    mirror = obj.get("metadata", {}).get("annotations", {}).get(MIRROR)
    if mirror is not None and not spec.get("nodeName"):
        causes.invalid(f"metadata.annotations[{MIRROR}]", mirror,
                       "must set spec.nodeName if mirror pod annotation is set")
    if spec.get("schedulingGates") and spec.get("nodeName"):
        causes.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def template(given: Obj, path: str, causes: Causes) -> None:
    """A pod template: labels, annotations and spec."""
    meta = given.get("metadata", {})
    if "labels" in meta:
        labels(meta["labels"], f"{path}.metadata.labels", causes)
    if "annotations" in meta:
        annotation_pairs(meta["annotations"], f"{path}.metadata.annotations", causes)
    pod_spec(given.get("spec", {}), f"{path}.spec", causes)
    if given.get("spec", {}).get("ephemeralContainers"):
        causes.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def pod_spec(spec: Obj, path: str, causes: Causes) -> None:
    mountable = volumes(spec.get("volumes", ()), f"{path}.volumes", causes)
    containers(spec, mountable, path, causes)
    if "resources" in spec:
        resources(spec["resources"], f"{path}.resources", causes)
    causes.one_of(spec, path, "restartPolicy", RESTART_POLICIES)
    causes.one_of(spec, path, "dnsPolicy", DNS_POLICIES)
    if "nodeSelector" in spec:
        labels(spec["nodeSelector"], f"{path}.nodeSelector", causes)
    pod_security(spec.get("securityContext", {}), spec, f"{path}.securityContext", causes)
    for index, reference in enumerate(spec.get("imagePullSecrets", ())):
        if not reference.get("name"):
            causes.required(f"{path}.imagePullSecrets[{index}].name")
    if "affinity" in spec:
        affinity(spec["affinity"], f"{path}.affinity", causes)
    dns(spec, path, causes)
    gates(spec, path, causes)
    spreading(spec.get("topologySpreadConstraints", ()), f"{path}.topologySpreadConstraints", causes)
    identity(spec, path, causes)
    tolerations(spec.get("tolerations", ()), f"{path}.tolerations", causes)
    host_aliases(spec, path, causes)
    classes(spec, path, causes)


def dns(spec: Obj, path: str, causes: Causes) -> None:
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            causes.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            causes.required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if config is None:
        return
    servers, searches = config.get("nameservers", ()), config.get("searches", ())
    if len(servers) > NAMESERVERS:
        causes.invalid(f"{at}.nameservers", servers, f"must not have more than {NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        causes.each_invalid(f"{at}.nameservers[{index}]", server, names.ip(server))
    if len(searches) > SEARCHES:
        causes.invalid(f"{at}.searches", searches, f"must not have more than {SEARCHES} search paths")
    if len(" ".join(searches)) > SEARCH_LETTERS:
        causes.invalid(f"{at}.searches", searches,
                       f"must not have more than {SEARCH_LETTERS} characters (including spaces) in the search list")
    for index, search in enumerate(searches):
        plain = search.rstrip(".").replace("_", "x")
        if search != ".":
            causes.each_invalid(f"{at}.searches[{index}]", search, names.dns_subdomain(plain))
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            causes.required(f"{at}.options[{index}]", "must not be empty")


def gates(spec: Obj, path: str, causes: Causes) -> None:
    for index, gate in enumerate(spec.get("readinessGates", ())):
        kind = gate.get("conditionType", "")
        causes.each_invalid(f"{path}.readinessGates[{index}].conditionType", kind, names.qualified_name(kind))
    taken: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name", "")
        causes.each_invalid(at, name, names.qualified_name(name))
        if name in taken:
            causes.duplicate(at, name)
        taken.add(name)


def identity(spec: Obj, path: str, causes: Causes) -> None:
    """The names by which the pod is known, and whose it is."""
    for field, check in (("serviceAccountName", names.dns_subdomain), ("nodeName", names.dns_subdomain)):
        if value := spec.get(field):
            causes.each_invalid(f"{path}.{field}", value, check(value))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        causes.each_invalid(f"{path}.activeDeadlineSeconds", deadline, names.in_range(deadline, 1, INT32))
    for field in ("hostname", "subdomain"):
        if value := spec.get(field):
            causes.each_invalid(f"{path}.{field}", value, names.dns_label(value))
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        causes.invalid(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"], NON_NEGATIVE)


def host_aliases(spec: Obj, path: str, causes: Causes) -> None:
    for index, alias in enumerate(spec.get("hostAliases", ())):
        at, address = f"{path}.hostAliases[{index}]", alias.get("ip", "")
        causes.each_invalid(f"{at}.ip", address, names.ip(address))
        for hostname in alias.get("hostnames", ()):
            causes.each_invalid(f"{at}.hostnames", hostname, names.dns_subdomain(hostname))


def classes(spec: Obj, path: str, causes: Causes) -> None:
    for field in ("priorityClassName", "runtimeClassName"):
        if value := spec.get(field):
            causes.each_invalid(f"{path}.{field}", value, names.dns_subdomain(value))
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in PREEMPTION:
        causes.unsupported(f"{path}.preemptionPolicy", policy, PREEMPTION)
    if "overhead" in spec:
        resources({"limits": spec["overhead"]}, f"{path}.overhead", causes)


def pod_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """Of an existing pod, images and little else may change."""
    spec, before = obj.get("spec", {}), old.get("spec", {})
    for field in ("containers", "initContainers"):
        if len(spec.get(field, ())) != len(before.get(field, ())):
            causes.forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        for index, container in enumerate(spec.get(field, ())):
            if not container.get("image"):
                causes.required(f"spec.{field}[{index}].image")
    deadline(spec, before, causes)
    added_tolerations(spec, before, causes)
    freed = [gate for gate in spec.get("schedulingGates", ()) if gate not in before.get("schedulingGates", ())]
    for gate in freed:
        causes.forbidden("spec.schedulingGates",
                         f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'")
    changed = differences(frozen(spec, before), before)
    if changed:
        causes.forbidden("spec", f"{UPDATABLE}\n" + "\n".join(changed))
    for key in ("add", "remove"):
        mirror_annotation(obj, old, key, causes)


def ephemeral_containers_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through the subresource `ephemeralcontainers`: they can be added, and nothing else of the pod changes."""
    spec, before = obj.get("spec", {}), old.get("spec", {})
    volumes_there = {volume.get("name", "") for volume in spec.get("volumes", ())}
    now = {each.get("name"): each for each in spec.get("ephemeralContainers", ())}
    for there in before.get("ephemeralContainers", ()):
        if there.get("name") not in now:
            causes.forbidden("spec.ephemeralContainers",
                             f"existing ephemeral containers \"{there.get('name', '')}\" may not be removed\n")
        elif now[there["name"]] != there:
            causes.forbidden("spec.ephemeralContainers",
                             f"existing ephemeral containers \"{there['name']}\" may not be changed\n")
    containers(spec, volumes_there, "spec", causes)


def frozen(spec: Obj, before: Obj) -> Obj:
    """The new spec with what may change set back."""
    result = {key: value for key, value in spec.items()
              if key not in ("activeDeadlineSeconds", "tolerations", "schedulingGates")}
    result |= {key: before[key] for key in ("activeDeadlineSeconds", "tolerations", "schedulingGates") if key in before}
    for field in ("containers", "initContainers"):
        if field in spec:
            result[field] = [container | {"image": there.get("image")}
                             for container, there in zip(spec[field], before[field], strict=True)]
    if before.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        result["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    if before.get("schedulingGates") and narrowed(spec, before):
        result |= {"nodeSelector": before["nodeSelector"]} if "nodeSelector" in before else {}
        if "nodeSelector" not in before:
            result.pop("nodeSelector", None)
    return result


def narrowed(spec: Obj, before: Obj) -> bool:
    """While a pod is gated, its node selector may become stricter."""
    return bool(before.get("nodeSelector", {}).items() <= spec.get("nodeSelector", {}).items())


def deadline(spec: Obj, before: Obj, causes: Causes) -> None:
    path, new, previous = "spec.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), \
        before.get("activeDeadlineSeconds")
    if new is not None:
        if not 0 <= new <= INT32:
            causes.each_invalid(path, new, names.in_range(new, 0, INT32))
        elif previous is not None and previous < new:
            causes.invalid(path, new, "must be less than or equal to previous value")
    elif previous is not None:
        causes.invalid(path, None, "must not update from a positive integer to nil value")


def added_tolerations(spec: Obj, before: Obj, causes: Causes) -> None:
    """Tolerations may be added, and the time of one may change."""
    def essence(toleration: Obj) -> Obj:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    now = [essence(each) for each in spec.get("tolerations", ())]
    if any(essence(each) not in now for each in before.get("tolerations", ())):
        causes.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
    tolerations(spec.get("tolerations", ()), "spec.tolerations", causes)


def mirror_annotation(obj: Obj, old: Obj, change: str, causes: Causes) -> None:
    now, then = (each.get("metadata", {}).get("annotations", {}).get(MIRROR) for each in (obj, old))
    if change == "add" and then is None and now is not None:
        causes.forbidden(f"metadata.annotations[{MIRROR}]", "may not add mirror pod annotation")
    if change == "remove" and then is not None and now != then:
        causes.forbidden(f"metadata.annotations[{MIRROR}]", "may not remove or update mirror pod annotation")


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


def binding(obj: Obj, causes: Causes) -> None:
    target = obj.get("target", {})
    if target.get("kind", "Node") not in ("", "Node"):
        causes.unsupported("target.kind", target["kind"], ("Node", "<empty>"))
    if not target.get("name"):
        causes.required("target.name")
