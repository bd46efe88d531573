"""How much there may be: ResourceQuota and LimitRange."""

from __future__ import annotations

from fractions import Fraction

from timonier.api import names, quantity
from timonier.api.validation.causes import IMMUTABLE, Causes, Obj
from timonier.api.validation.resources import (
    CONTAINER,
    QUOTA,
    amount,
    overcommitted,
    wrong_container_name,
    wrong_name,
    wrong_quota_name,
)

LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
COMPUTE = CONTAINER | {f"{side}.{name}" for side in ("requests", "limits") for name in CONTAINER}
SCOPES: dict[str, frozenset[str]] = {
    "BestEffort": frozenset({"pods"}),
    **dict.fromkeys(("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"),
                    COMPUTE | {"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""What can be counted within each scope."""
EXISTS_ONLY = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
EXISTS_TEXT = ("must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
               "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
               "ResourceQuotaScopeCrossNamespacePodAffinity")
CONFLICTING = (frozenset({"BestEffort", "NotBestEffort"}), frozenset({"Terminating", "NotTerminating"}))
LADDER = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest",
     "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest",
     "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest",
     "default request value {} is greater than default limit value {}"),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)
"""Pairs of amounts that must not fall: the lower, the upper, of which field that is said, with which value, and how."""


def resource_quota(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    hard = spec.get("hard", {})
    for name, value in hard.items():
        amount(name, value, f"spec.hard[{name}]", causes, wrong_quota_name)
    scopes(spec, hard, causes)
    if "scopeSelector" in spec:
        scope_selector(spec, hard, "spec.scopeSelector.matchExpressions", causes)


def fits(scope: str, name: str) -> bool:
    """Whether a resource can be counted within a scope; what nobody knows, of either, is not held to that."""
    return name not in QUOTA or scope not in SCOPES or name in SCOPES[scope]


def scopes(spec: Obj, hard: Obj, causes: Causes) -> None:
    given = spec.get("scopes", [])
    for scope in given:
        if scope not in SCOPES:
            causes.invalid("spec.scopes", given, "unsupported scope")
        for _ in (name for name in sorted(hard) if not fits(scope, name)):
            causes.invalid("spec.scopes", given, "unsupported scope applied to resource")
    for pair in CONFLICTING:
        if pair <= set(given):
            causes.invalid("spec.scopes", given, "conflicting scopes")


def scope_selector(spec: Obj, hard: Obj, path: str, causes: Causes) -> None:
    rules = spec["scopeSelector"].get("matchExpressions", ())
    for rule in rules:
        scope, operator, values = rule.get("scopeName", ""), rule.get("operator", ""), rule.get("values", [])
        if scope not in SCOPES:
            causes.invalid(f"{path}.scopeName", scope, "unsupported scope")
        for _ in (name for name in sorted(hard) if not fits(scope, name)):
            causes.invalid(path, spec["scopeSelector"], "unsupported scope applied to resource")
        if scope in EXISTS_ONLY and operator != "Exists":
            causes.invalid(f"{path}.operator", operator, EXISTS_TEXT)
        if operator in ("In", "NotIn"):
            if not values:
                causes.required(f"{path}.values",
                                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.invalid(f"{path}.values", values,
                               "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
        else:
            causes.invalid(f"{path}.operator", operator, "not a valid selector operator")
    for pair in CONFLICTING:
        if pair <= {rule.get("scopeName", "") for rule in rules}:
            causes.invalid(path, spec.get("scopes", []), "conflicting scopes")


def resource_quota_update(obj: Obj, old: Obj, causes: Causes) -> None:
    now, then = (each.get("spec", {}).get("scopes", []) for each in (obj, old))
    if set(now) != set(then):
        causes.invalid("spec.scopes", now, IMMUTABLE)


def resource_quota_status(obj: Obj, old: Obj, causes: Causes) -> None:
    for field in ("hard", "used"):
        for name, value in obj.get("status", {}).get(field, {}).items():
            amount(name, value, f"status.{field}[{name}]", causes, wrong_quota_name)


def limit_range(obj: Obj, causes: Causes) -> None:
    taken: set[str] = set()
    for index, item in enumerate(obj.get("spec", {}).get("limits", ())):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        if wrong := names.qualified_name(kind):
            causes.each_invalid(f"{path}.type", kind, wrong)
        elif "/" not in kind and kind not in LIMIT_TYPES:
            causes.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in taken:
            causes.duplicate(f"{path}.type", kind)
        taken.add(kind)
        limits(item, kind, path, causes)
        for name in dict.fromkeys(name for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
                                  for name in item.get(field, ())):
            ladder(item, name, path, causes)
            ratio(item, name, path, causes)


def limits(item: Obj, kind: str, path: str, causes: Causes) -> None:
    naming = wrong_container_name if kind in ("Pod", "Container") else wrong_name
    for field in ("max", "min"):
        for name in item.get(field, ()):
            causes.each_invalid(f"{path}.{field}[{name}]", name, naming(name))
    for field in ("default", "defaultRequest"):
        if kind == "Pod" and item.get(field):
            causes.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
        elif kind != "Pod":
            for name in item.get(field, ()):
                causes.each_invalid(f"{path}.{field}[{name}]", name, naming(name))
    if kind == "PersistentVolumeClaim" and "storage" not in item.get("min", {}) | item.get("max", {}):
        causes.required(f"{path}.limits",
                        "either minimum or maximum storage value is required, but neither was provided")
    for name in item.get("maxLimitRequestRatio", ()):
        causes.each_invalid(f"{path}.maxLimitRequestRatio[{name}]", name, naming(name))


def ladder(item: Obj, name: str, path: str, causes: Causes) -> None:
    """min <= default request <= default <= max, as far as they are given."""
    for lower, upper, of, value, text in LADDER:
        low, high = item.get(lower, {}).get(name), item.get(upper, {}).get(name)
        if low is not None and high is not None and quantity.read(low)[0] > quantity.read(high)[0]:
            causes.invalid(f"{path}.{of}[{name}]", item[value][name], text.format(low, high))


def ratio(item: Obj, name: str, path: str, causes: Causes) -> None:
    """How far limits may exceed requests: no less than once, and no more than maximum and minimum do."""
    given, at = item.get("maxLimitRequestRatio", {}).get(name), f"{path}.maxLimitRequestRatio[{name}]"
    low, high = item.get("min", {}).get(name), item.get("max", {}).get(name)
    if given is not None:
        if quantity.parse(given) < 1:
            causes.invalid(at, given, f"ratio {given} is less than 1")
        if low is not None and high is not None:
            most = quantity.parse(high) / quantity.parse(low) if quantity.parse(low) else None
            if most is not None and quantity.parse(given) > Fraction(most):
                causes.invalid(at, given, f"ratio {given} is greater than max/min = {float(most):f}")
    default, request = item.get("default", {}).get(name), item.get("defaultRequest", {}).get(name)
    if default is not None and request is not None and not overcommitted(name) \
            and quantity.parse(default) != quantity.parse(request):
        causes.invalid(f"{path}.defaultRequest[{name}]", request,
                       f"default value {default} must equal to defaultRequest value {request} in {name}")
