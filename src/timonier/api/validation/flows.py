"""How requests are told apart and shared out: FlowSchema and PriorityLevelConfiguration.

Source: Kubernetes documentation, "API Priority and Fairness".
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.webhooks import some

HIGHEST_PRECEDENCE = 10_000
MOST_QUEUES = 10_000_000
MOST_ENTROPY = 60
VERBS = ("*", "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
FIXED: dict[str, dict[str, Any]] = {
    "exempt": {"type": "Exempt"},
    "catch-all": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0,
                                                 "limitResponse": {"type": "Reject"}}},
}
"""Priority levels that are always there, and what they always say; the shares of `exempt` may change."""


def flow_schema(obj: Obj, causes: Causes) -> None:
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        causes.invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    if precedence > HIGHEST_PRECEDENCE:
        causes.invalid("spec.matchingPrecedence", precedence, f"must not be greater than {HIGHEST_PRECEDENCE}")
    if precedence == 1 and name != "exempt":
        causes.invalid("spec.matchingPrecedence", precedence,
                       "only the schema named 'exempt' may have matchingPrecedence 1")
    if "distinguisherMethod" in spec:
        causes.one_of(spec["distinguisherMethod"], "spec.distinguisherMethod", "type", ("ByNamespace", "ByUser"))
    level = spec.get("priorityLevelConfiguration", {}).get("name", "")
    if not level:
        causes.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        causes.each_invalid("spec.priorityLevelConfiguration.name", level, names.dns_subdomain(level))
    for index, rule in enumerate(spec.get("rules", ())):
        policy_rule(rule, f"spec.rules[{index}]", causes)


def policy_rule(rule: Obj, path: str, causes: Causes) -> None:
    """Whose requests for what."""
    if not rule.get("subjects"):
        causes.required(f"{path}.subjects", "subjects must contain at least one value")
    for index, each in enumerate(rule.get("subjects", ())):
        subject(each, f"{path}.subjects[{index}]", causes)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        causes.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for index, each in enumerate(rule.get("resourceRules", ())):
        resource_rule(each, f"{path}.resourceRules[{index}]", causes)
    for index, each in enumerate(rule.get("nonResourceRules", ())):
        url_rule(each, f"{path}.nonResourceRules[{index}]", causes)


def subject(given: Obj, path: str, causes: Causes) -> None:
    kind, fields = given.get("kind", ""), {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
    if kind not in fields:
        causes.unsupported(f"{path}.kind", kind, ("Group", "ServiceAccount", "User"))
        return
    for other, field in fields.items():
        if other != kind and field in given:
            causes.forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{other}'")
    own = fields[kind]
    if own not in given:
        causes.required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'")
        return
    name, at = given[own].get("name", ""), f"{path}.{own}"
    if not name:
        causes.required(f"{at}.name")
    elif kind == "ServiceAccount" and name != "*":
        causes.each_invalid(f"{at}.name", name, names.dns_subdomain(name))
    if kind == "ServiceAccount":
        namespace = given[own].get("namespace", "")
        if not namespace:
            causes.required(f"{at}.namespace", "must specify namespace for service account")
        else:
            causes.each_invalid(f"{at}.namespace", namespace, names.dns_label(namespace))


def verbs(rule: Obj, path: str, causes: Causes) -> None:
    given = rule.get("verbs", ())
    if not given:
        causes.required(f"{path}.verbs", "verbs must contain at least one value")
    elif "*" in given and len(given) > 1:
        causes.invalid(f"{path}.verbs", given, "if '*' is present, must not specify other verbs")
    elif not set(given) <= set(VERBS):
        causes.unsupported(f"{path}.verbs", given, VERBS)


def resource_rule(rule: Obj, path: str, causes: Causes) -> None:
    verbs(rule, path, causes)
    for field, what, others in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        given = rule.get(field, ())
        if not given:
            causes.required(f"{path}.{field}", f"resource rules must supply at least one {what}")
        else:
            some(rule, field, others, path, causes)
    namespaces = rule.get("namespaces", ())
    if not namespaces and not rule.get("clusterScope"):
        causes.required(f"{path}.namespaces",
                        "resource rules that are not cluster scoped must supply at least one namespace")
    elif "*" in namespaces:
        some(rule, "namespaces", "namespaces", path, causes)
    else:
        for index, namespace in enumerate(namespaces):
            causes.each_invalid(f"{path}.namespaces[{index}]", namespace, names.dns_label(namespace))


def url_rule(rule: Obj, path: str, causes: Causes) -> None:
    verbs(rule, path, causes)
    given = rule.get("nonResourceURLs", ())
    if not given:
        causes.required(f"{path}.nonResourceURLs", "nonResourceURLs must contain at least one value")
    elif "*" in given:
        some(rule, "nonResourceURLs", "non-resource URLs", path, causes)
    else:
        for index, url in enumerate(given):
            if wrong := wrong_url(url):
                causes.invalid(f"{path}.nonResourceURLs[{index}]", url, wrong)


def wrong_url(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if "*" in url[:-1] or (url.endswith("*") and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def priority_level(obj: Obj, causes: Causes) -> None:
    spec, name = obj.get("spec", {}), obj.get("metadata", {}).get("name", "")
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    expected = FIXED.get(name)
    if expected is not None:
        essence = {key: value for key, value in spec.items() if key != "exempt"}
        if name == "catch-all" and limited is not None:
            essence["limited"] = {key: value for key, value in limited.items() if key != "borrowingLimitPercent"}
        if essence != expected:
            causes.invalid("spec", spec, f"spec of '{name}' must equal the fixed value")
    match kind:
        case "Exempt":
            if limited is not None:
                causes.forbidden("spec.limited", "must be nil if the type is not Limited")
            if exempt is not None:
                shares(exempt, "spec.exempt", causes)
        case "Limited":
            if exempt is not None:
                causes.forbidden("spec.exempt", "must be nil if the type is Limited")
            if limited is None:
                causes.required("spec.limited", "must not be empty when type is Limited")
            else:
                limits(limited, "spec.limited", causes)
        case _:
            causes.unsupported("spec.type", kind, ("Exempt", "Limited"))


def shares(given: Obj, path: str, causes: Causes) -> None:
    count, lent = given.get("nominalConcurrencyShares", 0), given.get("lendablePercent", 0)
    if count < 0:
        causes.invalid(f"{path}.nominalConcurrencyShares", count, "must be a non-negative integer")
    if not 0 <= lent <= 100:
        causes.invalid(f"{path}.lendablePercent", lent, "must be between 0 and 100, inclusive")


def limits(given: Obj, path: str, causes: Causes) -> None:
    shares(given, path, causes)
    borrowed = given.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        causes.invalid(f"{path}.borrowingLimitPercent", borrowed, "if specified, must be a non-negative integer")
    response = given.get("limitResponse", {})
    kind, at, queuing_given = response.get("type", ""), f"{path}.limitResponse", response.get("queuing")
    if kind == "Reject":
        if queuing_given is not None:
            causes.forbidden(f"{at}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing_given is None:
            causes.required(f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited")
        else:
            queuing(queuing_given, f"{at}.queuing", causes)
    else:
        causes.unsupported(f"{at}.type", kind, ("Queue", "Reject"))


def queuing(given: Obj, path: str, causes: Causes) -> None:
    length, queues, hand = (given.get(field, 0) for field in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        causes.invalid(f"{path}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        causes.invalid(f"{path}.queues", queues, "must be positive")
    elif queues > MOST_QUEUES:
        causes.invalid(f"{path}.queues", queues, f"must not be greater than {MOST_QUEUES}")
    if hand <= 0:
        causes.invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        causes.invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif queues <= MOST_QUEUES and entropy(queues, hand) > MOST_ENTROPY:
        causes.invalid(f"{path}.handSize", hand, f"required entropy bits of deckSize {queues} and handSize {hand} "
                       f"should not be greater than {MOST_ENTROPY}")


def entropy(deck: int, hand: int) -> int:
    """Bits that it takes to deal a hand from a deck; of large hands, enough to be too many."""
    return ceil(sum(log2(deck - dealt) for dealt in range(min(hand, MOST_ENTROPY + 1)) if deck - dealt > 1))


def flow_status(obj: Obj, old: Obj, causes: Causes) -> None:
    taken: set[str] = set()
    for index, condition in enumerate(obj.get("status", {}).get("conditions", ())):
        path, kind = f"status.conditions[{index}]", condition.get("type", "")
        if not kind:
            causes.required(f"{path}.type")
        if kind in taken:
            causes.duplicate(f"{path}.type", kind)
        taken.add(kind)
