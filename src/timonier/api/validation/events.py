"""Events, as they are stored: in v1. Those that came as events.k8s.io/v1 are held to all that these can say.

An event with an `eventTime` is of the new sort, whatever the version that it was written in.
"""

from __future__ import annotations

from timonier.api import names
from timonier.api.validation.causes import IMMUTABLE, Causes, Obj

LIMITS = (("reportingInstance", 128), ("action", 128), ("reason", 128))
LONGEST_NOTE = 1024
FIXED = ("involvedObject", "reason", "message", "firstTimestamp", "lastTimestamp", "count", "source", "type",
         "action", "related", "reportingComponent", "reportingInstance")
SHOWN = {"reportingComponent": "reportingController"}
"""Fields that events.k8s.io/v1 calls otherwise, and says so."""


def event(obj: Obj, causes: Causes) -> None:
    """An event that was written as v1."""
    described(obj, "reportingComponent", causes)


def new_event(obj: Obj, causes: Causes) -> None:
    """An event that was written as events.k8s.io/v1."""
    described(obj, "reportingController", causes)
    series(obj, causes)
    if not obj.get("eventTime"):
        causes.required("eventTime")
    if (kind := obj.get("type", "")) not in ("Normal", "Warning"):
        causes.invalid("type", "", f"has invalid value: {kind}")
    for field in ("firstTimestamp", "lastTimestamp", "count", "source"):
        if obj.get(field):
            causes.invalid(field, "", "needs to be unset")


def described(obj: Obj, controller: str, causes: Causes) -> None:
    """What an event is about and who says so; `controller` is the name of the field for the latter."""
    namespace, about = obj.get("metadata", {}).get("namespace", ""), obj.get("involvedObject", {}).get("namespace", "")
    if not obj.get("eventTime"):
        allowed = (about,) if about else ("default", "")
    else:
        allowed = (namespace,) if about else ("default", "kube-system")
    if namespace not in allowed:
        causes.invalid("involvedObject.namespace", about, "does not match event.namespace")
    if not obj.get("eventTime"):
        return
    reporter = obj.get("reportingComponent", "")
    if not reporter:
        causes.required(controller)
    causes.each_invalid(controller, reporter, names.qualified_name(reporter))
    for field, longest in LIMITS:
        value = obj.get(field, "")
        if not value:
            causes.required(field)
        too_long(value, field, longest, causes)
    too_long(obj.get("message", ""), "message", LONGEST_NOTE, causes)


def too_long(value: str, field: str, longest: int, causes: Causes) -> None:
    if len(value.encode(errors="surrogatepass")) > longest:
        causes.invalid(field, "", f"can have at most {longest} characters")


def series(obj: Obj, causes: Causes) -> None:
    given = obj.get("series")
    if given is not None:
        if given.get("count", 0) < 2:
            causes.invalid("series.count", "", "should be at least 2")
        if not given.get("lastObservedTime"):
            causes.required("series.lastObservedTime")


def new_event_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """What happened, happened; only that it goes on can be said of it."""
    if obj.get("series") != old.get("series"):
        series(obj, causes)
    for field in FIXED:
        if (obj.get(field) or None) != (old.get(field) or None):
            causes.invalid(SHOWN.get(field, field), obj.get(field), IMMUTABLE)
