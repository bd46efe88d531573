"""Jobs and CronJobs. What a schedule looks like is in `schedules`."""

from __future__ import annotations

import re
from typing import Any

from timonier.api import names
from timonier.api.patches.clone import clone
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.pods import template
from timonier.api.validation.schedules import wrong_schedule, wrong_zone
from timonier.api.validation.workloads import matching_labels

LONGEST_CRON_NAME = 52
"""A Job's name is the CronJob's and eleven letters more."""
MANY_INDEXES, MOST_PARALLEL, MOST_FAILED = 100_000, 100_000, 100_000
FEW_PARALLEL, FEW_FAILED = 10_000, 10_000
MOST_RULES, MOST_CODES, MOST_PATTERNS, MOST_SUCCESS_RULES = 20, 255, 20, 20
LONGEST_MANAGER = 63
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
MUTABLE_WHILE_SUSPENDED = ("nodeSelector", "tolerations", "affinity", "schedulingGates")


def job(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    generated_selector(obj, causes)
    job_spec(spec, "spec", causes)
    if "selector" not in spec:
        if spec.get("manualSelector"):
            causes.required("spec.selector")
    else:
        label_selector(spec["selector"], "spec.selector", causes)
        matching_labels(spec["selector"], spec.get("template", {}), causes)
    indexed_names(obj, causes)


def generated_selector(obj: Obj, causes: Causes) -> None:
    """Where the server makes the selector, the pods carry the Job's uid and name."""
    spec, meta = obj.get("spec", {}), obj.get("metadata", {})
    if spec.get("manualSelector") or "selector" not in spec:
        return
    labels, path = spec.get("template", {}).get("metadata", {}).get("labels", {}), "spec.template.metadata.labels"
    expected = {f"{prefix}{key}": value for prefix in ("batch.kubernetes.io/", "")
                for key, value in (("controller-uid", meta.get("uid", "")), ("job-name", meta.get("name", "")))}
    for key in ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"):
        if key not in labels:
            causes.required(f"{path}[{key}]", f"must be '{expected[key]}'")
        elif labels[key] != expected[key]:
            causes.invalid(f"{path}[{key}]", labels[key], f"must be '{expected[key]}'")
    chosen = spec["selector"].get("matchLabels", {})
    if not chosen.items() <= expected.items():
        causes.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")


def indexed_names(obj: Obj, causes: Causes) -> None:
    """The pods of an indexed Job are named after it and their index, and must be labels still."""
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        longest = f"{name}-{spec['completions'] - 1}"
        if names.plain_label(longest):
            causes.invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {longest}")


def job_spec(spec: Obj, path: str, causes: Causes) -> None:
    causes.non_negative(spec, path, "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
                        "ttlSecondsAfterFinished", "backoffLimitPerIndex")
    per_index, failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if failed is not None:
        causes.non_negative(spec, path, "maxFailedIndexes")
        if per_index is None:
            causes.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    manager = spec.get("managedBy")
    if manager is not None:
        causes.each_invalid(f"{path}.managedBy", manager, names.domain_prefixed(manager))
        if len(manager) > LONGEST_MANAGER:
            causes.too_long(f"{path}.managedBy", LONGEST_MANAGER)
    mode = spec.get("completionMode")
    if mode is not None:
        if mode not in ("NonIndexed", "Indexed"):
            causes.unsupported(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"))
        if mode == "Indexed":
            indexed(spec, path, causes)
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if mode != "Indexed" and spec.get(field) is not None:
            causes.invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
    if "podFailurePolicy" in spec:
        failure_policy(spec, f"{path}.podFailurePolicy", causes)
    if "successPolicy" in spec:
        success_policy(spec, f"{path}.successPolicy", causes)
    replacement(spec, path, causes)
    job_template(spec, path, causes)


def indexed(spec: Obj, path: str, causes: Causes) -> None:
    completions, parallel = spec.get("completions"), spec.get("parallelism")
    if completions is None:
        causes.required(f"{path}.completions", "when completion mode is Indexed")
    if parallel is not None and parallel > MOST_PARALLEL:
        causes.invalid(f"{path}.parallelism", parallel,
                       f"must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed")
    failed, per_index = spec.get("maxFailedIndexes"), spec.get("backoffLimitPerIndex")
    if completions is None or per_index is None:
        return
    if failed is not None and failed > completions:
        causes.invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > MOST_FAILED:
        causes.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {MOST_FAILED}")
    if completions > MANY_INDEXES:
        many = f"when completions greater than {MANY_INDEXES}"
        if failed is None:
            causes.required(f"{path}.maxFailedIndexes", f"must be specified {many}")
        if parallel is not None and parallel > FEW_PARALLEL:
            causes.invalid(f"{path}.parallelism", parallel, f"must be less than or equal to {FEW_PARALLEL} {many} and "
                           "used with backoff limit per index")
        if failed is not None and failed > FEW_FAILED:
            causes.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {FEW_FAILED} {many} and "
                           "used with backoff limit per index")


def failure_policy(spec: Obj, path: str, causes: Causes) -> None:
    """What failed pods mean for the whole (KEP-3329): rules, of which the first that fits decides."""
    rules = spec["podFailurePolicy"].get("rules", ())
    pod = spec.get("template", {}).get("spec", {})
    containers = {each.get("name") for sort in ("containers", "initContainers") for each in pod.get(sort, ())}
    if len(rules) > MOST_RULES:
        causes.too_many(f"{path}.rules", len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        at, action = f"{path}.rules[{index}]", rule.get("action", "")
        if not action:
            causes.required(f"{at}.action", f"valid values: [{' '.join(ACTIONS)}]")
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            causes.invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set")
        elif action not in ACTIONS:
            causes.unsupported(f"{at}.action", action, ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", ())
        if codes is not None:
            exit_codes(codes, containers, f"{at}.onExitCodes", causes)
        if len(conditions) > MOST_PATTERNS:
            causes.too_many(f"{at}.onPodConditions", len(conditions), MOST_PATTERNS)
        for place, condition in enumerate(conditions):
            kind, status = condition.get("type", ""), condition.get("status", "")
            where = f"{at}.onPodConditions[{place}]"
            causes.each_invalid(f"{where}.type", kind, names.qualified_name(kind))
            if not status:
                causes.required(f"{where}.status", "valid values: [False True Unknown]")
            elif status not in ("False", "True", "Unknown"):
                causes.unsupported(f"{where}.status", status, ("False", "True", "Unknown"))
        if codes is not None and conditions:
            causes.invalid(at, rule, "specifying both OnExitCodes and OnPodConditions is not supported")
        elif codes is None and not conditions:
            causes.invalid(at, rule, "specifying one of OnExitCodes and OnPodConditions is required")


def exit_codes(given: Obj, containers: set[Any], path: str, causes: Causes) -> None:
    operator, values = given.get("operator", ""), given.get("values", ())
    if not operator:
        causes.required(f"{path}.operator", "valid values: [In NotIn]")
    elif operator not in ("In", "NotIn"):
        causes.unsupported(f"{path}.operator", operator, ("In", "NotIn"))
    name = given.get("containerName")
    if name is not None and name not in containers:
        causes.invalid(f"{path}.containerName", name, "must be one of the container or initContainer names in the pod "
                       "template")
    if not values:
        causes.invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > MOST_CODES:
        causes.too_many(f"{path}.values", len(values), MOST_CODES)
    ordered, taken = True, set[int]()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            causes.invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in taken:
            causes.duplicate(f"{path}.values[{index}]", value)
        elif index and value < values[index - 1]:
            ordered = False
        taken.add(value)
    if not ordered:
        causes.invalid(f"{path}.values", values, "must be ordered")


def success_policy(spec: Obj, path: str, causes: Causes) -> None:
    """When enough indexes have succeeded (KEP-3998)."""
    if spec.get("completionMode") != "Indexed":
        causes.invalid(path, spec["successPolicy"], "requires indexed completion mode")
    rules, completions = spec["successPolicy"].get("rules", ()), spec.get("completions")
    if not rules:
        causes.required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > MOST_SUCCESS_RULES:
        causes.too_many(f"{path}.rules", len(rules), MOST_SUCCESS_RULES)
    for index, rule in enumerate(rules):
        at, count, indexes = f"{path}.rules[{index}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            causes.required(at, "at least one of succeededCount or succeededIndexes must be specified")
        total = 0
        if indexes is not None:
            total, wrong = span(indexes, completions)
            if wrong:
                causes.invalid(f"{at}.succeededIndexes", indexes, f"error parsing succeededIndexes: {wrong}")
        if count is None:
            continue
        if count < 1:
            causes.invalid(f"{at}.succeededCount", count, "must be greater than or equal to 1" if count else
                           "must be greater than 0")
        if completions is not None and count > completions:
            causes.invalid(f"{at}.succeededCount", count, f"must be less than or equal to {completions} (the number of "
                           "specified completions)")
        if indexes is not None and count > total:
            causes.invalid(f"{at}.succeededCount", count, f"must be less than or equal to {total} (the number of "
                           "indexes in the specified succeededIndexes field)")


def span(text: str, completions: int | None) -> tuple[int, str]:
    """How many indexes a list like `0,2-5` names, and what is wrong with it."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        bounds = re.fullmatch("([0-9]{1,10})(?:-([0-9]{1,10}))?", part, re.ASCII)
        if not bounds:
            return total, f'cannot convert string to integer for index: "{part}"'
        first, end = int(bounds[1]), int(bounds[2] or bounds[1])
        if first <= last:
            return total, f"non-increasing order, previous: {last}, current: {first}"
        if end < first or (bounds[2] and end == first):
            return total, f"non-increasing order, previous: {first}, current: {end}"
        if completions is not None and end >= completions:
            return total, f'too large index: "{end}"'
        total, last = total + end - first + 1, end
    return total, ""


def replacement(spec: Obj, path: str, causes: Causes) -> None:
    policy = spec.get("podReplacementPolicy")
    supported = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in supported:
        causes.unsupported(f"{path}.podReplacementPolicy", policy, supported)


def job_template(spec: Obj, path: str, causes: Causes) -> None:
    given = spec.get("template", {})
    template(given, f"{path}.template", causes)
    policy = given.get("spec", {}).get("restartPolicy", "")
    at = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        causes.required(at, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        causes.unsupported(at, policy, ("OnFailure", "Never"))
    elif "podFailurePolicy" in spec and policy != "Never":
        causes.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified')


def job_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    completions_update(spec, before, causes)
    causes.immutable(spec, before, "spec", "selector")
    template_update(obj, old, causes)
    causes.immutable(spec, before, "spec", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
                     "successPolicy")


def completions_update(spec: Obj, before: Obj, causes: Causes) -> None:
    """An elastic indexed Job grows and shrinks with its parallelism (KEP-3715)."""
    now, then = spec.get("completions"), before.get("completions")
    if now == then:
        return
    if spec.get("completionMode") == "Indexed" and now is not None and then is not None:
        if now != spec.get("parallelism"):
            causes.invalid("spec.completions", now, "can only be modified in tandem with parallelism")
    else:
        causes.immutable(spec, before, "spec", "completions")


def template_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """While a Job is suspended and never ran, where its pods go may change; resources too (KEP-5440)."""
    now, then = (clone(each.get("spec", {}).get("template", {})) for each in (obj, old))
    idle = old.get("spec", {}).get("suspend") and "startTime" not in old.get("status", {})
    if idle:
        for each in (now, then):
            each["metadata"] = {}
            pod = each.setdefault("spec", {})
            for field in MUTABLE_WHILE_SUSPENDED:
                pod.pop(field, None)
            for container in (*pod.get("containers", ()), *pod.get("initContainers", ())):
                container.pop("resources", None)
    if now != then:
        causes.immutable(obj.get("spec", {}), old.get("spec", {}), "spec", "template")


def job_status(obj: Obj, old: Obj, causes: Causes) -> None:
    status = obj.get("status", {})
    causes.non_negative(status, "status", "active", "succeeded", "failed", "ready", "terminating")
    kinds = {each.get("type") for each in status.get("conditions", ()) if each.get("status") == "True"}
    if {"Complete", "Failed"} <= kinds:
        causes.invalid("status.conditions", "", "cannot set Complete=True and Failed=True conditions")
    if "Complete" in kinds and "completionTime" not in status:
        causes.required("status.completionTime", "completionTime is required for Complete jobs")
    if kinds & {"Complete", "Failed"}:
        if status.get("active", 0) > 0:
            causes.invalid("status.active", status["active"], "active>0 is invalid for finished job")
        if (status.get("terminating") or 0) > 0:
            causes.invalid("status.terminating", status["terminating"], "terminating>0 is invalid for finished job")


def cron_job(obj: Obj, causes: Causes) -> None:
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    schedule = spec.get("schedule", "")
    if not schedule:
        causes.required("spec.schedule")
    elif wrong := wrong_schedule(schedule):
        causes.invalid("spec.schedule", schedule, wrong)
    start = spec.get("startingDeadlineSeconds")
    if start is not None and start < 0:
        causes.invalid("spec.startingDeadlineSeconds", start, NON_NEGATIVE)
    zone = spec.get("timeZone")
    if zone is not None and (wrong := wrong_zone(zone)):
        causes.invalid("spec.timeZone", zone, wrong)
    causes.one_of(spec, "spec", "concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    below = spec.get("jobTemplate", {}).get("spec", {})
    job_spec(below, "spec.jobTemplate.spec", causes)
    if "selector" in below:
        causes.invalid("spec.jobTemplate.spec.selector", below["selector"], "`selector` will be auto-generated")
    if below.get("manualSelector"):
        causes.unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    causes.non_negative(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    if len(name) > LONGEST_CRON_NAME:
        causes.invalid("metadata.name", name, f"must be no more than {LONGEST_CRON_NAME} characters")
