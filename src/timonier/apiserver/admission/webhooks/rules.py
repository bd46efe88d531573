"""Which requests concern a webhook or a policy: rules about operations and resources, in their own and other versions.

Pure. Selectors of namespaces and objects are applied by `configured`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from timonier.api.kinds import Kind
from timonier.apiserver.request import Attributes, Object

ALL = "*"
NAMESPACED, CLUSTER = "Namespaced", "Cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """What a request writes to, as rules see it. Namespaces themselves belong to no namespace."""

    group: str
    version: str
    resource: str
    subresource: str
    operation: str
    namespaced: bool

    @classmethod
    def of(cls, attributes: Attributes) -> Place:
        itself = not attributes.group and attributes.resource == "namespaces"
        return cls(attributes.group, attributes.version, attributes.resource, attributes.subresource,
                   attributes.operation, bool(attributes.namespace) and not itself)


@dataclass(frozen=True, slots=True)
class Rule:
    """A `RuleWithOperations`."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: frozenset[tuple[str, str]]
    """Resource and subresource, either of which may be `*`."""
    scope: str = ALL

    @classmethod
    def of(cls, rule: Object) -> Rule:
        return cls(frozenset(rule.get("operations") or ()), frozenset(rule.get("apiGroups") or ()),
                   frozenset(rule.get("apiVersions") or ()),
                   frozenset(split(text) for text in rule.get("resources") or ()), rule.get("scope") or ALL)

    def matches(self, place: Place) -> bool:
        return (self.scope in (ALL, NAMESPACED if place.namespaced else CLUSTER)
                and named(place.operation, self.operations) and named(place.group, self.groups)
                and named(place.version, self.versions) and any(
                    resource in (ALL, place.resource) and subresource in (ALL, place.subresource)
                    for resource, subresource in self.resources))


def split(text: str) -> tuple[str, str]:
    resource, _, subresource = text.partition("/")
    return resource, subresource


def named(value: str, listed: Collection[str]) -> bool:
    return value in listed or ALL in listed


def matched(rules: Iterable[Rule], place: Place, others: Iterable[Kind], *, equivalent: bool) -> Place | None:
    """The place that a rule names: that of the request or, where `equivalent` ones do, the same in another version.

    `others` are the kinds by which the same object is served too.
    """
    if any(rule.matches(place) for rule in rules):
        return place
    if equivalent:
        elsewhere = [replace(place, group=kind.group, version=kind.version, resource=kind.plural) for kind in others]
        for rule in rules:
            for other in elsewhere:
                if rule.matches(other):
                    return other
    return None
