"""Nobody gives more than they have: checks when roles and bindings are written.

Who writes a role must hold every right in it, or have the verb `escalate` on it; who binds a role must hold every right
that the binding gives, or have the verb `bind` on the role. Otherwise the right to write roles would be every right.
Source: Kubernetes documentation, "Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from timonier.api.errors import ApiError, forbidden, not_found
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.rbac import EVERYTHING, GROUP, Index, RoleRef, Rule, url_matches
from timonier.apiserver.request import MASTERS_GROUP, Attributes, Object, User

ROLE_RESOURCES = {"roles", "clusterroles"}
BINDING_RESOURCES = {"rolebindings", "clusterrolebindings"}


@dataclass(frozen=True)
class EscalationCheck:
    """A validating step for the objects of rbac.authorization.k8s.io."""

    authoriser: Authoriser

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Changes nothing."""

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raise Forbidden where the writer would give rights that it does not have."""
        if attributes.group != GROUP or obj is None or MASTERS_GROUP in attributes.user.groups:
            return
        if attributes.resource in ROLE_RESOURCES:
            await self.check_role(attributes, obj, old)
        elif attributes.resource in BINDING_RESOURCES:
            await self.check_binding(attributes, obj, old)

    async def check_role(self, attributes: Attributes, obj: Object, old: Object | None) -> None:
        name = obj["metadata"]["name"]
        aggregating = bool(obj.get("aggregationRule")) and obj.get("aggregationRule") != (old or {}).get(
            "aggregationRule")
        given = [Rule.of(rule) for rule in obj.get("rules") or ()]
        if old is not None and not aggregating and obj.get("rules") == old.get("rules"):
            return
        if self.may(attributes, "escalate", attributes.resource, attributes.namespace, name):
            return
        if aggregating and not self.holds(attributes, [EVERY_RESOURCE, EVERY_URL], attributes.namespace):
            raise self.refuse(attributes, name, "must have cluster-admin privileges to use the aggregationRule")
        self.check_rules(attributes, name, given)

    async def check_binding(self, attributes: Attributes, obj: Object, old: Object | None) -> None:
        name, ref = obj["metadata"]["name"], obj.get("roleRef") or {}
        if old is not None and obj.get("subjects") == old.get("subjects") and ref == old.get("roleRef"):
            return
        cluster_role = ref.get("kind") != "Role"
        resource, namespace = ("clusterroles", "") if cluster_role else ("roles", attributes.namespace)
        if self.may(attributes, "bind", resource, attributes.namespace, ref.get("name", "")):
            return
        self.authoriser.refresh()
        role = self.authoriser.index.roles.get(RoleRef(namespace, ref.get("name", "")))
        if role is None:
            raise not_found(GROUP, resource, ref.get("name", ""))
        self.check_rules(attributes, name, role)

    def check_rules(self, attributes: Attributes, name: str, rules: Iterable[Rule]) -> None:
        self.authoriser.refresh()
        missing = list(uncovered(list(self.rules_of(attributes.user, attributes.namespace)), rules))
        if missing:
            user = attributes.user
            groups = ", ".join(f'"{group}"' for group in user.groups)
            lines = "\n".join(describe(rule) for rule in missing)
            raise self.refuse(attributes, name, f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC '
                              f"permissions not currently held:\n{lines}")

    def holds(self, attributes: Attributes, rules: Iterable[Rule], namespace: str) -> bool:
        self.authoriser.refresh()
        return not list(uncovered(list(self.rules_of(attributes.user, namespace)), rules))

    def rules_of(self, user: User, namespace: str) -> Iterator[Rule]:
        index: Index = self.authoriser.index
        return index.rules_of(user, namespace)

    def may(self, attributes: Attributes, verb: str, resource: str, namespace: str, name: str) -> bool:
        asked = replace(attributes, verb=verb, resource=resource, subresource="", namespace=namespace, name=name)
        return self.authoriser.judge(asked).allowed

    def refuse(self, attributes: Attributes, name: str, why: str) -> ApiError:
        return forbidden(attributes.group, attributes.resource, name, why)


EVERYTHING_SET = frozenset({EVERYTHING})
EVERY_RESOURCE = Rule(EVERYTHING_SET, EVERYTHING_SET, EVERYTHING_SET)
EVERY_URL = Rule(EVERYTHING_SET, urls=(EVERYTHING,))


def uncovered(held: list[Rule], wanted: Iterable[Rule]) -> Iterator[Rule]:
    """The parts of some rules that others do not give, each with one verb, group, resource and name."""
    for rule in wanted:
        for part in parts(rule):
            if not any(covers(owner, part) for owner in held):
                yield part


def parts(rule: Rule) -> Iterator[Rule]:
    """A rule as rules that cannot be divided further."""
    for verb in sorted(rule.verbs):
        for url in rule.urls:
            yield Rule(frozenset({verb}), urls=(url,))
        for group, resource, name in itertools.product(sorted(rule.groups), sorted(rule.resources),
                                                       sorted(rule.names) or [""]):
            yield Rule(frozenset({verb}), frozenset({group}), frozenset({resource}),
                       frozenset({name} if name else ()))


def covers(owner: Rule, part: Rule) -> bool:
    """Whether a rule gives all that an undivided rule does."""
    if not contains(owner.verbs, part.verbs):
        return False
    if part.urls:
        return any(url_matches(url, part.urls[0]) for url in owner.urls)
    if not contains(owner.groups, part.groups):
        return False
    if owner.names and not (part.names and part.names <= owner.names):
        return False
    (resource,) = part.resources
    _, slash, subresource = resource.partition("/")
    return contains(owner.resources, part.resources) or bool(slash and f"*/{subresource}" in owner.resources)


def contains(owned: frozenset[str], wanted: frozenset[str]) -> bool:
    return EVERYTHING in owned or wanted <= owned


def describe(rule: Rule) -> str:
    """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`"""
    named = (("APIGroups", rule.groups), ("Resources", rule.resources), ("ResourceNames", rule.names),
             ("NonResourceURLs", rule.urls), ("Verbs", rule.verbs))
    return "{" + ", ".join(f"{name}:[{', '.join(quoted(values))}]" for name, values in named if values) + "}"


def quoted(values: Iterable[str]) -> list[str]:
    return [f'"{value}"' for value in sorted(values)]
