"""Where a pod may run: node selectors, affinity, tolerations, spreading."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.metadata import label_selector

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
ABOVE_ZERO = "must be greater than zero"
INCLUSION = ("Honor", "Ignore")


def affinity(given: Obj, path: str, causes: Causes) -> None:
    if "nodeAffinity" in given:
        node_affinity(given["nodeAffinity"], f"{path}.nodeAffinity", causes)
    for kind in ("podAffinity", "podAntiAffinity"):
        rules, at = given.get(kind, {}), f"{path}.{kind}"
        required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", \
            "preferredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(rules.get(required, ())):
            affinity_term(term, f"{at}.{required}[{index}]", causes)
        for index, choice in enumerate(rules.get(preferred, ())):
            weight(choice, f"{at}.{preferred}[{index}]", causes)
            affinity_term(choice.get("podAffinityTerm", {}), f"{at}.{preferred}[{index}].podAffinityTerm", causes)


def node_affinity(given: Obj, path: str, causes: Causes) -> None:
    required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", \
        "preferredDuringSchedulingIgnoredDuringExecution"
    if required in given:
        node_selector(given[required], f"{path}.{required}", causes)
    for index, choice in enumerate(given.get(preferred, ())):
        weight(choice, f"{path}.{preferred}[{index}]", causes)
        selector_term(choice.get("preference", {}), f"{path}.{preferred}[{index}].preference", causes)


def weight(choice: Obj, path: str, causes: Causes) -> None:
    if not 1 <= choice.get("weight", 0) <= 100:
        causes.invalid(f"{path}.weight", choice.get("weight", 0), "must be in the range 1-100")


def node_selector(given: Obj, path: str, causes: Causes) -> None:
    terms = given.get("nodeSelectorTerms", ())
    if not terms:
        causes.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        selector_term(term, f"{path}.nodeSelectorTerms[{index}]", causes)


def selector_term(term: Obj, path: str, causes: Causes) -> None:
    for index, expression in enumerate(term.get("matchExpressions", ())):
        requirement(expression, f"{path}.matchExpressions[{index}]", causes)
    for index, expression in enumerate(term.get("matchFields", ())):
        at, operator = f"{path}.matchFields[{index}]", expression.get("operator", "")
        if operator not in ("In", "NotIn"):
            causes.invalid(f"{at}.operator", operator, "not a valid selector operator")
        elif len(expression.get("values", ())) != 1:
            causes.required(f"{at}.values",
                            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
        if expression.get("key") != "metadata.name":
            causes.invalid(f"{at}.key", expression.get("key", ""), "not a valid field selector key")
        else:
            for place, value in enumerate(expression.get("values", ())):
                causes.each_invalid(f"{at}.values[{place}]", value, names.dns_subdomain(value))


def requirement(expression: Obj, path: str, causes: Causes) -> None:
    operator, values = expression.get("operator", ""), expression.get("values", ())
    match operator:
        case "In" | "NotIn":
            if not values:
                causes.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                causes.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case "Gt" | "Lt":
            if len(values) != 1:
                causes.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        case _:
            causes.invalid(f"{path}.operator", operator, "not a valid selector operator")
    key = expression.get("key", "")
    causes.each_invalid(f"{path}.key", key, names.qualified_name(key))
    if operator in ("In", "NotIn"):
        for index, value in enumerate(values):
            causes.each_invalid(f"{path}.values[{index}]", value, names.label_value(value))


def affinity_term(term: Obj, path: str, causes: Causes) -> None:
    for field in ("labelSelector", "namespaceSelector"):
        if field in term:
            label_selector(term[field], f"{path}.{field}", causes)
    for namespace in term.get("namespaces", ()):
        causes.each_invalid(f"{path}.namespace", namespace, names.dns_label(namespace))
    key = term.get("topologyKey", "")
    if not key:
        causes.required(f"{path}.topologyKey", "can not be empty")
    causes.each_invalid(f"{path}.topologyKey", key, names.qualified_name(key))


def tolerations(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    for index, given in enumerate(listed):
        at, key, operator = f"{path}[{index}]", given.get("key", ""), given.get("operator", "")
        value, taint = given.get("value", ""), given.get("effect", "")
        if key:
            causes.each_invalid(f"{at}.key", key, names.qualified_name(key))
        elif operator != "Exists":
            causes.invalid(f"{at}.operator", operator,
                           'operator must be Exists when `key` is empty, which means "match all values and all keys"')
        if given.get("tolerationSeconds") is not None and taint != "NoExecute":
            causes.invalid(f"{at}.effect", taint, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("Equal", ""):
            if wrong := names.label_value(value):
                causes.invalid(f"{at}.operator", value, ";".join(wrong))
        elif operator == "Exists":
            if value:
                causes.invalid(f"{at}.operator", given, "value must be empty when `operator` is 'Exists'")
        else:
            causes.unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
        effect(given, at, causes, optional=True)


def effect(given: Obj, path: str, causes: Causes, *, optional: bool) -> None:
    """What a taint does, or which effect a toleration tolerates."""
    if optional and not given.get("effect"):
        return
    causes.one_of(given, path, "effect", EFFECTS)


def spreading(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    taken: set[tuple[str, str]] = set()
    for index, given in enumerate(listed):
        at, key, otherwise = f"{path}[{index}]", given.get("topologyKey", ""), given.get("whenUnsatisfiable", "")
        if given.get("maxSkew", 0) <= 0:
            causes.invalid(f"{at}.maxSkew", given.get("maxSkew", 0), ABOVE_ZERO)
        if not key:
            causes.required(f"{at}.topologyKey", "can not be empty")
        else:
            causes.each_invalid(f"{at}.topologyKey", key, names.qualified_name(key))
        if otherwise not in UNSATISFIABLE:
            causes.unsupported(f"{at}.whenUnsatisfiable", otherwise, UNSATISFIABLE)
        if (key, otherwise) in taken:
            causes.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {otherwise}}}")
        taken.add((key, otherwise))
        domains = given.get("minDomains")
        if domains is not None and domains <= 0:
            causes.invalid(f"{at}.minDomains", domains, ABOVE_ZERO)
        elif domains is not None and otherwise != "DoNotSchedule":
            causes.invalid(f"{at}.minDomains", domains, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
                           f"not {otherwise}")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if field in given and given[field] not in INCLUSION:
                causes.unsupported(f"{at}.{field}", given[field], INCLUSION)
        if "labelSelector" in given:
            label_selector(given["labelSelector"], f"{at}.labelSelector", causes)
