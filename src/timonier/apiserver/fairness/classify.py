"""Which flow a request belongs to: the first FlowSchema, by precedence and then by name, that matches it.

A schema is compiled once into a predicate over the user and the request; what it says of users and resources is in the
FlowSchema's own words (Kubernetes API reference, `PolicyRulesWithSubjects`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.apiserver.request import RequestInfo, User

Object = dict[str, Any]
Matches = Callable[[User, RequestInfo], bool]

ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Schema:
    """A FlowSchema, ready to be asked."""

    name: str
    uid: str
    level: str
    precedence: int
    flow: str
    """How its flows are told apart: ByUser, ByNamespace, or not at all."""
    matches: Matches

    @classmethod
    def of(cls, obj: Object) -> Schema:
        spec = obj["spec"]
        rules = [policy(rule) for rule in spec.get("rules") or ()]
        return cls(obj["metadata"]["name"], obj["metadata"].get("uid", ""), spec["priorityLevelConfiguration"]["name"],
                   spec.get("matchingPrecedence") or 1000, (spec.get("distinguisherMethod") or {}).get("type", ""),
                   lambda user, info: any(rule(user, info) for rule in rules))

    def flow_of(self, user: User, info: RequestInfo) -> str:
        """What tells this request's flow from the schema's others."""
        if self.flow == "ByUser":
            return user.name
        return info.namespace if self.flow == "ByNamespace" else ""


def first(schemas: Sequence[Schema], user: User, info: RequestInfo) -> Schema | None:
    """The schema of a request, of schemas in order."""
    return next((schema for schema in schemas if schema.matches(user, info)), None)


def in_order(objects: Iterable[Object], levels: Iterable[str]) -> list[Schema]:
    """Schemas by precedence; those whose level does not exist have no say."""
    known = set(levels)
    schemas = [Schema.of(obj) for obj in objects]
    return sorted((schema for schema in schemas if schema.level in known),
                  key=lambda schema: (schema.precedence, schema.name))


def policy(rule: Object) -> Matches:
    subjects = [subject(each) for each in rule.get("subjects") or ()]
    resources = [resource(each) for each in rule.get("resourceRules") or ()]
    paths = [path(each) for each in rule.get("nonResourceRules") or ()]

    def matches(user: User, info: RequestInfo) -> bool:
        return any(one(user) for one in subjects) and any(one(info) for one in (
            resources if info.is_resource else paths))
    return matches


def subject(each: Object) -> Callable[[User], bool]:
    kind, name = each["kind"], ((each.get("user") or each.get("group") or each.get("serviceAccount") or {}).get("name"))
    if kind == "ServiceAccount":
        prefix = f"{ACCOUNT_PREFIX}{(each.get('serviceAccount') or {}).get('namespace', '')}:"
        if name == "*":
            return lambda user: user.name.startswith(prefix)
        return lambda user: user.name == f"{prefix}{name}"
    if name == "*":
        return lambda user: True
    return (lambda user: user.name == name) if kind == "User" else (lambda user: name in user.groups)


def resource(rule: Object) -> Callable[[RequestInfo], bool]:
    verb, group, name = (member(rule.get(field)) for field in ("verbs", "apiGroups", "resources"))
    namespace, cluster = member(rule.get("namespaces")), bool(rule.get("clusterScope"))

    def matches(info: RequestInfo) -> bool:
        return verb(info.verb) and group(info.group) and \
            name(f"{info.resource}/{info.subresource}" if info.subresource else info.resource) and \
            (namespace(info.namespace) if info.namespace else cluster)
    return matches


def path(rule: Object) -> Callable[[RequestInfo], bool]:
    """A path matches itself, what lies below it, and with a final `*` all that begins so."""
    verb, paths = member(rule.get("verbs")), rule.get("nonResourceURLs") or ()
    below = tuple(prefix if prefix.endswith("/") else f"{prefix}/" for prefix in (each.rstrip("*") for each in paths))

    def matches(info: RequestInfo) -> bool:
        return verb(info.verb) and ("*" in paths or info.path in paths or info.path.startswith(below))
    return matches


def member(values: Sequence[str] | None) -> Callable[[str], bool]:
    wanted = frozenset(values or ())
    return (lambda value: True) if wanted == {"*"} else wanted.__contains__
