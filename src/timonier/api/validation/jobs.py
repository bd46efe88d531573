"""Jobs and CronJobs, and what a cron schedule looks like."""

from __future__ import annotations

import re

from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.pods import template
from timonier.api.validation.workloads import matching_labels

LONGEST_CRON_NAME = 52
"""A Job's name is the CronJob's and eleven letters more."""


def job(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    job_spec(spec, "spec", causes)
    if spec.get("manualSelector") and "selector" not in spec:
        causes.required("spec.selector")
    if "selector" in spec:
        label_selector(spec["selector"], "spec.selector", causes)
        matching_labels(spec["selector"], spec.get("template", {}), causes)


def job_spec(spec: Obj, path: str, causes: Causes) -> None:
    causes.non_negative(spec, path, "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
                        "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes")
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        causes.unsupported(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        causes.required(f"{path}.completions", f"when completion mode is {mode}")
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if mode != "Indexed" and spec.get(field) is not None:
            causes.invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
    given = spec.get("template", {})
    template(given, f"{path}.template", causes)
    policy = given.get("spec", {}).get("restartPolicy", "")
    if policy == "Always":
        causes.required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        causes.unsupported(f"{path}.template.spec.restartPolicy", policy, ("OnFailure", "Never"))
    if "podFailurePolicy" in spec and policy != "Never":
        causes.invalid(f"{path}.template.spec.restartPolicy", policy,
                       'only "Never" is supported when podFailurePolicy is specified')


def job_update(obj: Obj, old: Obj, causes: Causes) -> None:
    spec, before = obj.get("spec", {}), old.get("spec", {})
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    causes.immutable(spec, before, "spec", *(() if elastic else ("completions",)), "selector")
    if not (before.get("suspend") and not old.get("status", {}).get("startTime")):
        causes.immutable(spec, before, "spec", "template")
    causes.immutable(spec, before, "spec", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
                     "successPolicy")


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
    if zone is not None and not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", zone):
        causes.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
    causes.one_of(spec, "spec", "concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    below = spec.get("jobTemplate", {}).get("spec", {})
    for field in ("manualSelector", "selector"):
        if below.get(field) not in (None, False):
            causes.forbidden(f"spec.jobTemplate.spec.{field}", "not allowed on CronJobs")
    job_spec(below, "spec.jobTemplate.spec", causes)
    causes.non_negative(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    if len(name) > LONGEST_CRON_NAME:
        causes.invalid("metadata.name", name, f"must be no more than {LONGEST_CRON_NAME} characters")


NAMED_SCHEDULES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
CRON_WORDS = {"month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
              "day of week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]}


def wrong_schedule(text: str) -> str:
    """What is wrong with a cron schedule, in the words of the parser that Kubernetes uses; empty if nothing is."""
    if text.startswith("@"):
        every = re.fullmatch(r"@every ([0-9.]+(ns|us|ms|s|m|h))+", text)
        return "" if text in NAMED_SCHEDULES or every else f"unrecognized descriptor: {text}"
    if re.match(r"(TZ|CRON_TZ)=", text):
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    fields = text.split()
    if len(fields) != len(CRON_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (name, low, high) in zip(fields, CRON_FIELDS, strict=True):
        for part in field.split(","):
            if wrong := wrong_part(part.lower(), name, low, high):
                return wrong
    return ""


def wrong_part(part: str, name: str, low: int, high: int) -> str:
    span, slash, step = part.partition("/")
    if slash and (not step.isdecimal() or int(step) == 0):
        return f"step of range should be a positive number: {part}" if step.isdecimal() else \
            f"failed to parse int from {step}: strconv.Atoi: parsing \"{step}\": invalid syntax"
    if span in ("*", "?"):
        return ""
    bounds = []
    for text in span.split("-"):
        words = CRON_WORDS.get(name, [])
        if not text.isdecimal() and text not in words:
            return f"failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax"
        bounds.append(int(text) if text.isdecimal() else words.index(text) + low)
    if len(bounds) > 2:
        return f"too many hyphens: {part}"
    if bounds[0] < low:
        return f"beginning of range ({bounds[0]}) below minimum ({low}): {part}"
    if bounds[-1] > high:
        return f"end of range ({bounds[-1]}) above maximum ({high}): {part}"
    return f"beginning of range ({bounds[0]}) beyond end of range ({bounds[-1]}): {part}" if bounds[0] > bounds[-1] \
        else ""
