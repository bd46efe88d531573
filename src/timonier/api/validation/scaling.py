"""How many pods there may be: autoscalers, and budgets of disruption."""

from __future__ import annotations

from timonier.api import names, quantity
from timonier.api.validation.causes import POSITIVE, Causes, Obj
from timonier.api.validation.metadata import label_selector
from timonier.api.validation.workloads import int_or_percent, not_more_than_all

SOURCES = {"ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
           "Resource": "resource"}
TARGETS = ("Utilization", "Value", "AverageValue")
LONGEST_WINDOW, LONGEST_PERIOD = 3600, 1800
ABOVE_ZERO = "must be greater than zero"
RAW_OR_USED = "must set either a target raw value or a target utilization"
RAW_AND_USED = "may not set both a target raw value and a target utilization"


def autoscaler(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        causes.invalid("spec.maxReplicas", most, POSITIVE)
    if least is not None and most < least:
        causes.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    reference(spec.get("scaleTargetRef", {}), "spec.scaleTargetRef", causes)
    for index, metric in enumerate(spec.get("metrics", ())):
        metric_source(metric, f"spec.metrics[{index}]", causes)
    for direction in ("scaleUp", "scaleDown"):
        if direction in spec.get("behavior", {}):
            scaling_rules(spec["behavior"][direction], f"spec.behavior.{direction}", causes)


def reference(given: Obj, path: str, causes: Causes) -> None:
    """An object by version, kind and name."""
    version = given.get("apiVersion", "")
    if version.count("/") > 1:
        causes.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    for field in ("kind", "name"):
        causes.required_name(given, path, field, names.path_segment)


def metric_source(given: Obj, path: str, causes: Causes) -> None:
    kind = given.get("type", "")
    if not kind:
        causes.required(f"{path}.type", "must specify a metric source type")
    elif kind not in SOURCES:
        causes.unsupported(f"{path}.type", kind, SOURCES)
    present = [field for field in ("object", "external", "pods", "resource", "containerResource") if field in given]
    if present:
        source(present[0], given[present[0]], f"{path}.{present[0]}", causes)
    expected = SOURCES.get(kind, "")
    if expected and expected not in given:
        causes.required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for field in present:
            if field != expected:
                causes.forbidden(f"{path}.{field}", "must populate the given metric source only")


def source(kind: str, given: Obj, path: str, causes: Causes) -> None:
    wanted, at = given.get("target", {}), f"{path}.target"
    value, average, used = (wanted.get(field) for field in ("value", "averageValue", "averageUtilization"))
    if kind == "object":
        reference(given.get("describedObject", {}), f"{path}.describedObject", causes)
    if kind in ("object", "external", "pods"):
        metric(given.get("metric", {}), f"{path}.metric", causes)
    else:
        if not given.get("name"):
            causes.required(f"{path}.name", "must specify a resource name")
        if kind == "containerResource" and not given.get("container"):
            causes.required(f"{path}.container", "must specify a container")
    target(wanted, at, causes)
    match kind:
        case "object" | "external":
            if value is not None and average is not None:
                causes.forbidden(f"{at}.{'averageValue' if kind == 'object' else 'value'}",
                                 "may not set both value and averageValue" if kind == "object" else
                                 "may not set both a target value for metric and a per-pod target")
            elif value is None and average is None:
                causes.required(f"{at}.averageValue", "must set either value or averageValue" if kind == "object" else
                                "must set either a target value for metric or a per-pod target")
        case "pods":
            if average is None or quantity.read(average)[0] <= 0:
                causes.required(f"{at}.averageValue", "must specify a positive target averageValue")
        case _:
            if used is None and average is None:
                causes.required(f"{at}.averageUtilization", RAW_OR_USED)
            elif used is not None and average is not None:
                causes.forbidden(f"{at}.averageValue", RAW_AND_USED)


def metric(given: Obj, path: str, causes: Causes) -> None:
    name = given.get("name", "")
    if not name:
        causes.required(f"{path}.name", "must specify a metric name")
    else:
        causes.each_invalid(f"{path}.name", name, names.path_segment(name))


def target(given: Obj, path: str, causes: Causes) -> None:
    kind, used = given.get("type", ""), given.get("averageUtilization")
    if not kind:
        causes.required(f"{path}.type", "must specify a metric target type")
    if kind not in TARGETS:
        causes.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if field in given and quantity.read(given[field])[0] <= 0:
            causes.invalid(f"{path}.{field}", given[field], "must be positive")
    if used is not None and used < 1:
        causes.invalid(f"{path}.averageUtilization", used, POSITIVE)


def scaling_rules(given: Obj, path: str, causes: Causes) -> None:
    """How fast it goes up, or down."""
    window = given.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        causes.invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > LONGEST_WINDOW:
        causes.invalid(f"{path}.stabilizationWindowSeconds", window, f"must be less than or equal to {LONGEST_WINDOW}")
    causes.optional(given, path, "selectPolicy", ("Disabled", "Max", "Min"))
    if "tolerance" in given and quantity.read(given["tolerance"])[0] < 0:
        causes.invalid(f"{path}.tolerance", given["tolerance"], "must be greater than or equal to 0")
    if not given.get("policies"):
        causes.required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(given.get("policies", ())):
        at, kind, seconds = f"{path}.policies[{index}]", policy.get("type", ""), policy.get("periodSeconds", 0)
        if kind not in ("Percent", "Pods"):
            causes.unsupported(f"{at}.type", kind, ("Percent", "Pods"))
        if policy.get("value", 0) <= 0:
            causes.invalid(f"{at}.value", policy.get("value", 0), ABOVE_ZERO)
        if seconds <= 0:
            causes.invalid(f"{at}.periodSeconds", seconds, ABOVE_ZERO)
        if seconds > LONGEST_PERIOD:
            causes.invalid(f"{at}.periodSeconds", seconds, f"must be less than or equal to {LONGEST_PERIOD}")


def autoscaler_status(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.non_negative(obj.get("status", {}), "status", "currentReplicas", "desiredReplicas")


def disruption_budget(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    if "minAvailable" in spec and "maxUnavailable" in spec:
        causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec:
            int_or_percent(spec[field], f"spec.{field}", causes)
            not_more_than_all(spec[field], f"spec.{field}", causes)
    if "selector" in spec:
        label_selector(spec["selector"], "spec.selector", causes)
    causes.optional(spec, "spec", "unhealthyPodEvictionPolicy", ("AlwaysAllow", "IfHealthyBudget"))


def disruption_budget_status(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.non_negative(obj.get("status", {}), "status", "disruptionsAllowed", "currentHealthy", "desiredHealthy",
                        "expectedPods")
