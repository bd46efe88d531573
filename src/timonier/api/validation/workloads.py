"""What makes pods that run for ever: Deployments, ReplicaSets, ReplicationControllers, StatefulSets, DaemonSets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from timonier.api import names
from timonier.api.selectors import BadSelector, Labels
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.claims import claim_spec
from timonier.api.validation.metadata import is_empty, label_selector, template_metadata
from timonier.api.validation.pods import template

MISMATCH = "`selector` does not match template `labels`"
NOT_OVER_REPLICAS = "cannot be greater than status.replicas"
STATEFUL_SET_FIELDS = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                       "persistentVolumeClaimRetentionPolicy", "minReadySeconds")
STATEFUL_SET_FROZEN = ("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                       "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                       "'minReadySeconds' are forbidden")


def deployment(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.non_negative(spec, "spec", "replicas")
    selected_template(spec, "deployment", "ReplicaSet", causes)
    strategy = spec.get("strategy", {})
    match strategy.get("type"):
        case "Recreate":
            if "rollingUpdate" in strategy:
                causes.forbidden("spec.strategy.rollingUpdate",
                                 "may not be specified when strategy `type` is 'Recreate'")
        case "RollingUpdate":
            rolling_update(strategy.get("rollingUpdate", {}), "spec.strategy.rollingUpdate", causes)
        case _:
            causes.unsupported("spec.strategy", strategy, ("Recreate", "RollingUpdate"))
    causes.non_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    progress = spec.get("progressDeadlineSeconds")
    if progress is not None and progress <= spec.get("minReadySeconds", 0):
        causes.invalid("spec.progressDeadlineSeconds", progress, "must be greater than minReadySeconds")


def rolling_update(given: Obj, path: str, causes: Causes) -> None:
    unavailable, surge = given.get("maxUnavailable", 0), given.get("maxSurge", 0)
    int_or_percent(unavailable, f"{path}.maxUnavailable", causes)
    int_or_percent(surge, f"{path}.maxSurge", causes)
    if amount(unavailable) == 0 and amount(surge) == 0:
        causes.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    not_more_than_all(unavailable, f"{path}.maxUnavailable", causes)


def int_or_percent(value: Any, path: str, causes: Causes) -> None:
    if isinstance(value, str):
        causes.each_invalid(path, value, names.percent(value))
    elif value < 0:
        causes.invalid(path, value, NON_NEGATIVE)


def not_more_than_all(value: Any, path: str, causes: Causes) -> None:
    if isinstance(value, str) and not names.percent(value) and amount(value) > 100:
        causes.invalid(path, value, "must not be greater than 100%")


def amount(value: Any) -> int:
    """The number of a count or of a percentage; what is neither is as good as nothing."""
    if isinstance(value, str):
        found = re.fullmatch("([0-9]+)%?", value, re.ASCII)
        return int(found[1][:10]) if found else 0
    return int(value)


def selected_template(spec: Obj, name: str, maker: str, causes: Causes) -> None:
    """The selector of a workload, the labels that it must find, and the template, whose pods run for ever."""
    selector = spec.get("selector")
    given_selector(selector, name, causes)
    given = spec.get("template", {})
    matching_labels(selector, given, causes)
    template(given, "spec.template", causes)
    run_for_ever(given, maker, causes)


def given_selector(selector: Obj | None, name: str, causes: Causes) -> None:
    if selector is None:
        causes.required("spec.selector")
        return
    label_selector(selector, "spec.selector", causes)
    if is_empty(selector):
        causes.invalid("spec.selector", selector, f"empty selector is invalid for {name}")


def matching_labels(selector: Obj | None, given: Obj, causes: Causes) -> None:
    try:
        labels = Labels.of(selector)
    except BadSelector:
        return  # said before, of the selector itself
    if not labels.empty and not labels.matches(given.get("metadata", {}).get("labels")):
        causes.invalid("spec.template.metadata.labels", given.get("metadata", {}).get("labels"), MISMATCH)


def run_for_ever(given: Obj, maker: str, causes: Causes) -> None:
    pod = given.get("spec", {})
    if pod.get("restartPolicy", "Always") != "Always":
        causes.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        causes.forbidden("spec.template.spec.activeDeadlineSeconds",
                         f"activeDeadlineSeconds in {maker} is not Supported")


def selector_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj.get("spec", {}), old.get("spec", {}), "spec", "selector")


def replica_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.non_negative(spec, "spec", "replicas", "minReadySeconds")
    selected_template(spec, "deployment", "ReplicaSet", causes)


def replication_controller(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.non_negative(spec, "spec", "minReadySeconds")
    selector = spec.get("selector", {})
    if not selector:
        causes.required("spec.selector")
    causes.non_negative(spec, "spec", "replicas")
    if "template" not in spec:
        causes.required("spec.template")
        return
    labels = spec["template"].get("metadata", {}).get("labels", {})
    if selector and not selector.items() <= labels.items():
        causes.invalid("spec.template.metadata.labels", labels, MISMATCH)
    template(spec["template"], "spec.template", causes)
    run_for_ever(spec["template"], "ReplicationController", causes)


def stateful_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if not spec.get("podManagementPolicy"):
        causes.required("spec.podManagementPolicy")
    elif spec["podManagementPolicy"] not in ("OrderedReady", "Parallel"):
        causes.invalid("spec.podManagementPolicy", spec["podManagementPolicy"],
                       "must be 'OrderedReady' or 'Parallel'")
    stateful_strategy(spec.get("updateStrategy", {}), causes)
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    for field in ("whenDeleted", "whenScaled") if retention is not None else ():
        if retention.get(field) not in ("Retain", "Delete"):
            causes.unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{field}", retention.get(field, ""),
                               ("Retain", "Delete"))
    causes.non_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    causes.non_negative(spec.get("ordinals", {}), "spec.ordinals", "start")
    causes.name(spec, "spec", "serviceName", names.dns1035)
    given, claims = spec.get("template", {}), spec.get("volumeClaimTemplates", ())
    given_selector(spec.get("selector"), "statefulset", causes)
    matching_labels(spec.get("selector"), given, causes)
    template(given, "spec.template", causes, tuple(claim.get("metadata", {}).get("name", "") for claim in claims))
    run_for_ever(given, "StatefulSet", causes)
    for index, claim in enumerate(claims):
        path, name = f"spec.volumeClaimTemplates[{index}]", claim.get("metadata", {}).get("name", "")
        if not name:
            causes.required(f"{path}.metadata.name")
        else:
            causes.each_invalid(f"{path}.metadata.name", name, names.dns_subdomain(name))
        template_metadata(claim.get("metadata", {}), f"{path}.metadata", causes)
        claim_spec(claim.get("spec", {}), f"{path}.spec", causes)


def stateful_strategy(strategy: Obj, causes: Causes) -> None:
    path = "spec.updateStrategy"
    match strategy.get("type"):
        case None | "":
            causes.required(path)
        case "OnDelete":
            if "rollingUpdate" in strategy:
                causes.invalid(f"{path}.rollingUpdate", strategy["rollingUpdate"],
                               "only allowed for updateStrategy 'RollingUpdate'")
        case "RollingUpdate":
            rolling = strategy.get("rollingUpdate", {})
            causes.non_negative(rolling, f"{path}.rollingUpdate", "partition")
            unavailable = rolling.get("maxUnavailable")
            if unavailable is not None:
                at = f"{path}.rollingUpdate.maxUnavailable"
                int_or_percent(unavailable, at, causes)
                if amount(unavailable) == 0:
                    causes.invalid(at, unavailable, "cannot be 0")
                not_more_than_all(unavailable, at, causes)
        case _:
            causes.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")


def stateful_set_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    fixed = set(spec) | set(before)
    if any(spec.get(field) != before.get(field) for field in fixed - set(STATEFUL_SET_FIELDS)):
        causes.forbidden("spec", STATEFUL_SET_FROZEN)


def daemon_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    given, selector = spec.get("template", {}), spec.get("selector")
    if selector is None:
        causes.required("spec.selector")
    else:
        label_selector(selector, "spec.selector", causes)
    matching_labels(selector, given, causes)
    if selector is not None and is_empty(selector):
        causes.invalid("spec.selector", selector, "empty selector is invalid for daemonset")
    template(given, "spec.template", causes)
    run_for_ever(given, "DaemonSet", causes)
    causes.non_negative(spec, "spec", "minReadySeconds")
    strategy = spec.get("updateStrategy", {})
    match strategy.get("type"):
        case "OnDelete":
            pass
        case "RollingUpdate":
            daemon_rolling_update(strategy.get("rollingUpdate", {}), "spec.updateStrategy.rollingUpdate", causes)
        case _:
            causes.unsupported("spec.updateStrategy", strategy, ("RollingUpdate", "OnDelete"))
    causes.non_negative(spec, "spec", "revisionHistoryLimit")


def daemon_rolling_update(given: Obj, path: str, causes: Causes) -> None:
    unavailable, surge = given.get("maxUnavailable", 0), given.get("maxSurge", 0)
    int_or_percent(unavailable, f"{path}.maxUnavailable", causes)
    int_or_percent(surge, f"{path}.maxSurge", causes)
    not_more_than_all(unavailable, f"{path}.maxUnavailable", causes)
    not_more_than_all(surge, f"{path}.maxSurge", causes)
    if amount(unavailable) and amount(surge):
        causes.invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not amount(unavailable) and not amount(surge):
        causes.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def controller_revision(obj: Obj, causes: Causes) -> None:
    if obj.get("data") is None:
        causes.required("data", "data is mandatory")
    if obj.get("revision", 0) < 0:
        causes.invalid("revision", obj["revision"], NON_NEGATIVE)


def scale(obj: Obj, old: Obj, causes: Causes) -> None:
    """Through /scale: the count alone."""
    causes.non_negative(obj.get("spec", {}), "spec", "replicas")


def counted(fields: Iterable[str], within: Iterable[str] = ()) -> Callable[[Obj, Obj, Causes], None]:
    """A check of a status that counts: nothing negative, and what is counted `within` no more than there is."""
    fields, within = tuple(fields), tuple(within)

    def check(obj: Obj, old: Obj, causes: Causes) -> None:
        status, before = obj.get("status", {}), old.get("status", {})
        causes.non_negative(status, "status", *fields, "observedGeneration", "collisionCount")
        for field in within:
            if (count := status.get(field, 0)) > status.get("replicas", 0):
                causes.invalid(f"status.{field}", count, NOT_OVER_REPLICAS)
        available = status.get("availableReplicas", 0)
        if "availableReplicas" in within and available > status.get("readyReplicas", 0):
            causes.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas")
        if (status.get("collisionCount") or 0) < (before.get("collisionCount") or 0):
            causes.invalid("status.collisionCount", status.get("collisionCount", 0), "cannot be decremented")
    return check


deployment_status = counted(
    ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"),
    ("updatedReplicas", "readyReplicas", "availableReplicas"))
replica_set_status = counted(
    ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
stateful_set_status = counted(
    ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"))
daemon_set_status = counted(
    ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled",
     "numberAvailable", "numberUnavailable"))
