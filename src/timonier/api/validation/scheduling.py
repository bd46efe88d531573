"""Where a pod may run: node selectors, affinity, tolerations, spreading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
        selector_term(choice.get("preference", {}), f"{path}.{preferred}[{index}].preference", causes, any_value=True)


def weight(choice: Obj, path: str, causes: Causes) -> None:
    if not 1 <= choice.get("weight", 0) <= 100:
        causes.invalid(f"{path}.weight", choice.get("weight", 0), "must be in the range 1-100")


def node_selector(given: Obj, path: str, causes: Causes, *, any_value: bool = False) -> None:
    """Terms of which a node matches one. `any_value`: values that are no labels were let in before, and stay."""
    terms = given.get("nodeSelectorTerms", ())
    if not terms:
        causes.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        selector_term(term, f"{path}.nodeSelectorTerms[{index}]", causes, any_value=any_value)


def selector_term(term: Obj, path: str, causes: Causes, *, any_value: bool) -> None:
    for index, expression in enumerate(term.get("matchExpressions", ())):
        requirement(expression, f"{path}.matchExpressions[{index}]", causes, any_value=any_value)
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


def requirement(expression: Obj, path: str, causes: Causes, *, any_value: bool) -> None:
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
    if not any_value:
        for index, value in enumerate(values):
            causes.each_invalid(f"{path}.values[{index}]", value, names.label_value(value))


def affinity_term(term: Obj, path: str, causes: Causes) -> None:
    for field in ("labelSelector", "namespaceSelector"):
        if field in term:
            label_selector(term[field], f"{path}.{field}", causes)
    for namespace in term.get("namespaces", ()):
        causes.each_invalid(f"{path}.namespace", namespace, names.dns_label(namespace))
    if "matchLabelKeys" in term or "mismatchLabelKeys" in term:
        label_keys(term, path, causes)
    key = term.get("topologyKey", "")
    if not key:
        causes.required(f"{path}.topologyKey", "can not be empty")
    causes.each_invalid(f"{path}.topologyKey", key, names.qualified_name(key))


def label_keys(term: Obj, path: str, causes: Causes) -> None:
    """Labels of the pod itself that others must share, or must not (KEP-3633)."""
    selector, same, other = term.get("labelSelector"), term.get("matchLabelKeys", ()), term.get("mismatchLabelKeys", ())
    for field, keys in (("matchLabelKeys", same), ("mismatchLabelKeys", other)):
        if keys and selector is None:
            causes.forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            causes.each_invalid(f"{path}.{field}[{index}]", key, names.qualified_name(key))
    for key in twice_selected(selector or {}, same):
        causes.invalid(f"{path}[{list(same).index(key)}]", key, "exists in both matchLabelKeys and labelSelector")
    for index, key in enumerate(same):
        if key in other:
            causes.invalid(f"{path}.matchLabelKeys[{index}]", key,
                           "exists in both matchLabelKeys and mismatchLabelKeys")


def tolerations(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    for index, given in enumerate(listed):
        key, operator = given.get("key", ""), given.get("operator", "")
        value, taint, at = given.get("value", ""), given.get("effect", ""), f"{path}[{index}]"
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
                causes.invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'")
        else:
            causes.unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
        if taint and taint not in EFFECTS:
            causes.unsupported(f"{at}.effect", taint, EFFECTS)


def taints(listed: Iterable[Obj], path: str, causes: Causes) -> None:
    taken: set[tuple[str, str]] = set()
    for index, taint in enumerate(listed):
        at, key, value = f"{path}[{index}]", taint.get("key", ""), taint.get("value", "")
        causes.each_invalid(f"{at}.key", key, names.qualified_name(key))
        if wrong := names.label_value(value):
            causes.invalid(f"{at}.value", value, ";".join(wrong))
        causes.one_of(taint, at, "effect", EFFECTS)
        if (key, taint.get("effect", "")) in taken:
            causes.duplicate(at, taint, "taints must be unique by key and effect pair")
        taken.add((key, taint.get("effect", "")))


def spreading(listed: Sequence[Obj], path: str, causes: Causes) -> None:
    for index, given in enumerate(listed):
        at, otherwise = f"{path}[{index}]", given.get("whenUnsatisfiable", "")
        if given.get("maxSkew", 0) <= 0:
            causes.invalid(f"{at}.maxSkew", given.get("maxSkew", 0), ABOVE_ZERO)
        if not given.get("topologyKey"):
            causes.required(f"{at}.topologyKey", "can not be empty")
        if otherwise not in UNSATISFIABLE:
            causes.unsupported(f"{at}.whenUnsatisfiable", otherwise, UNSATISFIABLE)
        pair = (given.get("topologyKey", ""), otherwise)
        if pair in ((each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in listed[index + 1:]):
            causes.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}")
        domains = given.get("minDomains")
        if domains is not None:
            if domains <= 0:
                causes.invalid(f"{at}.minDomains", domains, ABOVE_ZERO)
            if otherwise != "DoNotSchedule":
                causes.invalid(f"{at}.minDomains", domains,
                               f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {otherwise}")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            causes.optional(given, at, field, INCLUSION)
        spread_keys(given, f"{at}.matchLabelKeys", causes)
        if "labelSelector" in given:
            label_selector(given["labelSelector"], f"{at}.labelSelector", causes)


def spread_keys(given: Obj, path: str, causes: Causes) -> None:
    """Labels of the pod itself by which those that it spreads with are told from others (KEP-3243)."""
    keys, selector = given.get("matchLabelKeys", ()), given.get("labelSelector")
    if keys and selector is None:
        causes.forbidden(path, "must not be specified when labelSelector is not set")
    for index, key in enumerate(keys):
        causes.each_invalid(f"{path}[{index}]", key, names.qualified_name(key))
    for key in twice_selected(selector or {}, keys) if keys else ():
        causes.invalid(f"{path}[{list(keys).index(key)}]", key, "exists in both matchLabelKeys and labelSelector")


def twice_selected(selector: Obj, keys: Sequence[str]) -> Iterator[str]:
    """Keys that a selector has besides the one expression that the server adds for each of them."""
    taken = set(selector.get("matchLabels", ()))
    for expression in selector.get("matchExpressions", ()):
        key = expression.get("key", "")
        if key in keys and key in taken:
            yield key
        taken.add(key)
