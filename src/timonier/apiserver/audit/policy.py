"""Which requests are audited, and how much of them: the first rule that matches says. Pure.

Source: Kubernetes documentation, "Audit policy"; audit.k8s.io/v1 Policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.api.names import dns_subdomain
from timonier.apiserver.request import Attributes, User

Object = dict[str, Any]

API_VERSION = "audit.k8s.io/v1"
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
FIELDS: dict[str, dict[str, type]] = {
    "": {"apiVersion": str, "kind": str, "metadata": dict, "rules": list, "omitStages": list,
         "omitManagedFields": bool},
    "rules": {"level": str, "users": list, "userGroups": list, "verbs": list, "resources": list, "namespaces": list,
              "nonResourceURLs": list, "omitStages": list, "omitManagedFields": bool},
    "resources": {"group": str, "resources": list, "resourceNames": list},
}
"""The fields of a policy, of its rules, and of their resources, with their types."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is written down of a request."""

    level: str
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


class Policy:
    """The rules of a policy document, in order. Raises ValueError with all that is wrong with it."""

    def __init__(self, document: Object) -> None:
        if wrong := list(complaints(document)):
            raise ValueError("; ".join(wrong))
        stages, omit = frozenset(document.get("omitStages") or ()), bool(document.get("omitManagedFields"))
        self._otherwise = Treatment("None", stages, omit)
        self._rules = [(rule, Treatment(rule["level"], stages | frozenset(rule.get("omitStages") or ()),
                                        rule.get("omitManagedFields", omit)))
                       for rule in document.get("rules") or ()]

    def treatment(self, user: User, attributes: Attributes) -> Treatment:
        return next((treatment for rule, treatment in self._rules if matches(rule, user, attributes)), self._otherwise)


def matches(rule: Object, user: User, attributes: Attributes) -> bool:
    """Whether a rule is about a request. What a rule leaves out does not matter to it."""
    if rule.get("users") and user.name not in rule["users"]:
        return False
    if rule.get("userGroups") and not set(rule["userGroups"]) & set(user.groups):
        return False
    if rule.get("verbs") and attributes.verb not in rule["verbs"]:
        return False
    if rule.get("namespaces") or rule.get("resources"):
        return attributes.is_resource and in_namespace(rule, attributes) and of_resource(rule, attributes)
    if rule.get("nonResourceURLs"):
        return not attributes.is_resource and any(fits(url, attributes.path) for url in rule["nonResourceURLs"])
    return True


def in_namespace(rule: Object, attributes: Attributes) -> bool:
    return not rule.get("namespaces") or attributes.namespace in rule["namespaces"]


def of_resource(rule: Object, attributes: Attributes) -> bool:
    """Resources are named as `pods`, `pods/log`, `pods/*`, `*/scale` or `*`; names matter where some are given."""
    if not rule.get("resources"):
        return True
    resource, sub = attributes.resource, attributes.subresource
    wanted = {"*", f"{resource}/*", f"{resource}/{sub}" if sub else resource} | ({f"*/{sub}"} if sub else set())
    return any(entry.get("group", "") in ("*", attributes.group) and (
        not entry.get("resources") or (
            bool(wanted & set(entry["resources"])) and
            (not entry.get("resourceNames") or attributes.name in entry["resourceNames"])))
        for entry in rule["resources"])


def fits(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


def complaints(document: Any) -> Iterator[str]:
    """Everything that is wrong with a policy, field by field."""
    if not isinstance(document, dict) or document.get("apiVersion") != API_VERSION or document.get("kind") != "Policy":
        yield f"it must be a Policy of {API_VERSION}"
        return
    yield from typed(document, FIELDS[""], "")
    yield from of_stages(document.get("omitStages"), "omitStages")
    rules = document.get("rules")
    if not rules:
        yield "rules: Required value: a policy without rules audits nothing"
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        yield from of_rule(rule, f"rules[{number}]")


def of_rule(rule: Any, path: str) -> Iterator[str]:
    wrong = list(typed(rule, FIELDS["rules"], path))
    yield from wrong
    if wrong:
        return
    level = rule.get("level", "")
    if not level:
        yield f"{path}.level: Required value"
    elif level not in LEVELS:
        yield f'{path}.level: Unsupported value: "{level}": supported values: {quoted(LEVELS)}'
    for number, url in enumerate(rule.get("nonResourceURLs") or ()):
        where = f'{path}.nonResourceURLs[{number}]: Invalid value: "{url}"'
        if url != "*" and not url.startswith("/"):
            yield f"{where}: non-resource URL rules must begin with a '/' character"
        if "*" in url[:-1]:
            yield f"{where}: non-resource URL wildcards '*' must be the final character of the rule"
    if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
        yield f"{path}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and " \
              "non-resource URLs"
    for entry in rule.get("resources") or ():
        yield from of_entry(entry, f"{path}.resources")
    yield from of_stages(rule.get("omitStages"), f"{path}.omitStages")


def of_entry(entry: Any, path: str) -> Iterator[str]:
    wrong = list(typed(entry, FIELDS["resources"], path))
    yield from wrong
    if wrong:
        return
    group = entry.get("group", "")
    if group not in ("", "*"):
        yield from (f'{path}.group: Invalid value: "{group}": {why}' for why in dns_subdomain(group))
    if entry.get("resourceNames") and not entry.get("resources"):
        yield f"{path}.resourceNames: Invalid value: using resourceNames requires at least one resource"


def of_stages(stages: Any, path: str) -> Iterator[str]:
    for number, stage in enumerate(stages if isinstance(stages, list) else ()):
        if stage not in STAGES:
            yield f'{path}[{number}]: Invalid value: "{stage}": allowed stages are {",".join(STAGES)}'


def typed(value: Any, fields: Mapping[str, type], path: str) -> Iterator[str]:
    """What a document has that its form does not, and what is of another type."""
    if not isinstance(value, dict):
        yield f"{path}: must be a map"
        return
    prefix = f"{path}." if path else ""
    for name, found in value.items():
        if name not in fields:
            yield f'unknown field "{prefix}{name}"'
        elif found is not None and not isinstance(found, fields[name]):
            yield f"{prefix}{name}: must be a {fields[name].__name__}"
        elif isinstance(found, list) and not all(isinstance(each, str) for each in found) and \
                not (name in FIELDS and fields is not FIELDS["resources"]):
            yield f"{prefix}{name}: has entries of another type"


def quoted(values: Sequence[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
