"""What makes pods: Deployments, ReplicaSets, ReplicationControllers, StatefulSets, DaemonSets."""

from __future__ import annotations

import re
from typing import Any

from timonier.api import names
from timonier.api.selectors import BadSelector, Labels
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.metadata import is_empty, label_selector
from timonier.api.validation.pods import template

MISMATCH = "`selector` does not match template `labels`"
STATEFUL_SET_FIELDS = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                       "persistentVolumeClaimRetentionPolicy", "minReadySeconds")
STATEFUL_SET_FROZEN = ("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                       "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                       "'minReadySeconds' are forbidden")


def deployment(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.non_negative(spec, "spec", "replicas")
    selector_and_template(spec, "deployment", causes)
    strategy = spec.get("strategy", {})
    match strategy.get("type"):
        case "Recreate":
            if "rollingUpdate" in strategy:
                causes.forbidden("spec.strategy.rollingUpdate",
                                 "may not be specified when strategy `type` is 'Recreate'")
        case "RollingUpdate":
            rolling_update(strategy.get("rollingUpdate", {}), "spec.strategy.rollingUpdate", causes)
        case other:
            causes.unsupported("spec.strategy.type", other or "", ("Recreate", "RollingUpdate"))
    causes.non_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    progress = spec.get("progressDeadlineSeconds")
    if progress is not None and progress <= spec.get("minReadySeconds", 0):
        causes.invalid("spec.progressDeadlineSeconds", progress, "must be greater than minReadySeconds")


def rolling_update(given: Obj, path: str, causes: Causes) -> None:
    unavailable, surge = given.get("maxUnavailable", 0), given.get("maxSurge", 0)
    int_or_percent(unavailable, f"{path}.maxUnavailable", causes)
    int_or_percent(surge, f"{path}.maxSurge", causes)
    if is_zero(unavailable) and is_zero(surge):
        causes.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    not_more_than_all(unavailable, f"{path}.maxUnavailable", causes)


def int_or_percent(value: Any, path: str, causes: Causes) -> None:
    if isinstance(value, str):
        if names.percent(value):
            causes.invalid(path, value, "must be an integer or percentage (e.g '5%%')")
    elif value < 0:
        causes.invalid(path, value, NON_NEGATIVE)


def not_more_than_all(value: Any, path: str, causes: Causes) -> None:
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        causes.invalid(path, value, "must not be greater than 100%")


def is_zero(value: Any) -> bool:
    return value == 0 or (isinstance(value, str) and re.fullmatch("0+%", value) is not None)


def selector_and_template(spec: Obj, name: str, causes: Causes) -> None:
    """The selector of a workload, the labels that it must find, and the template, whose pods run for ever."""
    selector = spec.get("selector")
    if selector is None:
        causes.required("spec.selector")
    else:
        label_selector(selector, "spec.selector", causes)
        if is_empty(selector):
            causes.invalid("spec.selector", selector, f"empty selector is invalid for {name}")
    given = spec.get("template", {})
    matching_labels(selector, given, causes)
    template(given, "spec.template", causes)
    run_for_ever(given, causes)


def matching_labels(selector: Obj | None, given: Obj, causes: Causes) -> None:
    try:
        labels = Labels.of(selector)
    except BadSelector:
        return  # said before, of the selector itself
    if not labels.empty and not labels.matches(given.get("metadata", {}).get("labels")):
        causes.invalid("spec.template.metadata.labels", given.get("metadata", {}).get("labels"), MISMATCH)


def run_for_ever(given: Obj, causes: Causes) -> None:
    pod = given.get("spec", {})
    if pod.get("restartPolicy", "Always") != "Always":
        causes.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        causes.forbidden("spec.template.spec.activeDeadlineSeconds",
                         "activeDeadlineSeconds in ReplicaSet is not Supported")


def selector_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj.get("spec", {}), old.get("spec", {}), "spec", "selector")


def replica_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    causes.non_negative(spec, "spec", "replicas", "minReadySeconds")
    selector_and_template(spec, "deployment", causes)


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
    run_for_ever(spec["template"], causes)


def stateful_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if spec.get("podManagementPolicy") not in ("OrderedReady", "Parallel"):
        causes.invalid("spec.podManagementPolicy", spec.get("podManagementPolicy", ""),
                       "must be 'OrderedReady' or 'Parallel'")
    strategy = spec.get("updateStrategy", {})
    match strategy.get("type"):
        case None | "":
            causes.required("spec.updateStrategy")
        case "OnDelete":
            if "rollingUpdate" in strategy:
                causes.invalid("spec.updateStrategy.rollingUpdate", strategy["rollingUpdate"],
                               "only allowed for updateStrategy 'RollingUpdate'")
        case "RollingUpdate":
            causes.non_negative(strategy.get("rollingUpdate", {}), "spec.updateStrategy.rollingUpdate", "partition")
        case _:
            causes.invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'")
    retention = spec.get("persistentVolumeClaimRetentionPolicy", {})
    for field in ("whenDeleted", "whenScaled"):
        if retention and retention.get(field) not in ("Retain", "Delete"):
            causes.unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{field}", retention.get(field, ""),
                               ("Retain", "Delete"))
    causes.non_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    causes.non_negative(spec.get("ordinals", {}), "spec.ordinals", "start")
    selector_and_template(spec, "statefulset", causes)


def stateful_set_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    fixed = set(spec) | set(before)
    if any(spec.get(field) != before.get(field) for field in fixed - set(STATEFUL_SET_FIELDS)):
        causes.forbidden("spec", STATEFUL_SET_FROZEN)


def daemon_set(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    selector_and_template(spec, "daemonset", causes)
    causes.non_negative(spec, "spec", "minReadySeconds")
    strategy = spec.get("updateStrategy", {})
    match strategy.get("type"):
        case "OnDelete":
            pass
        case "RollingUpdate":
            path, given = "spec.updateStrategy.rollingUpdate", strategy.get("rollingUpdate", {})
            unavailable, surge = given.get("maxUnavailable", 0), given.get("maxSurge", 0)
            int_or_percent(unavailable, f"{path}.maxUnavailable", causes)
            int_or_percent(surge, f"{path}.maxSurge", causes)
            not_more_than_all(unavailable, f"{path}.maxUnavailable", causes)
            not_more_than_all(surge, f"{path}.maxSurge", causes)
            if is_zero(unavailable) and is_zero(surge):
                causes.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
            elif not is_zero(unavailable) and not is_zero(surge):
                causes.invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
        case other:
            causes.unsupported("spec.updateStrategy.type", other or "", ("OnDelete", "RollingUpdate"))
    causes.non_negative(spec, "spec", "revisionHistoryLimit")
