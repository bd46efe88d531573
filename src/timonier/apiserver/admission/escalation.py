"""Nobody gives more than they have: checks when roles and bindings are written.

Who writes a role must hold every right in it, or have the verb `escalate` on it; who binds a role must hold every right
that the binding gives, or have the verb `bind` on the role. Otherwise the right to write roles would be every right.
Source: Kubernetes documentation, "Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from timonier.api.errors import not_found
from timonier.apiserver.admission.contract import Plugin, name_of, refuse
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.escalation import EVERY_RESOURCE, EVERY_URL, compact, describe, uncovered
from timonier.apiserver.auth.identity import listed
from timonier.apiserver.auth.rbac import GROUP, RoleRef, Rule
from timonier.apiserver.request import MASTERS_GROUP, Attributes, Object

ROLE_RESOURCES = {"roles", "clusterroles"}
BINDING_RESOURCES = {"rolebindings", "clusterrolebindings"}


@dataclass(frozen=True)
class EscalationCheck(Plugin):
    """A validating step for the objects of rbac.authorization.k8s.io."""

    authoriser: Authoriser

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raise Forbidden where the writer would give rights that it does not have."""
        if attributes.group != GROUP or obj is None or MASTERS_GROUP in attributes.user.groups:
            return
        if attributes.resource in ROLE_RESOURCES:
            await self.check_role(attributes, obj, old)
        elif attributes.resource in BINDING_RESOURCES:
            await self.check_binding(attributes, obj, old)

    async def check_role(self, attributes: Attributes, obj: Object, old: Object | None) -> None:
        name = name_of(obj)
        aggregating = bool(obj.get("aggregationRule")) and obj.get("aggregationRule") != (old or {}).get(
            "aggregationRule")
        given = [Rule.of(rule) for rule in obj.get("rules") or ()]
        if old is not None and not aggregating and obj.get("rules") == old.get("rules"):
            return
        if await self.may(attributes, "escalate", attributes.resource, attributes.namespace, name):
            return
        if aggregating and self.missing(attributes, [EVERY_RESOURCE, EVERY_URL]):
            raise refuse(attributes, "must have cluster-admin privileges to use the aggregationRule", obj)
        self.check_rules(attributes, obj, given)

    async def check_binding(self, attributes: Attributes, obj: Object, old: Object | None) -> None:
        ref = obj.get("roleRef") or {}
        if old is not None and obj.get("subjects") == old.get("subjects") and ref == old.get("roleRef"):
            return
        cluster_role = ref.get("kind") != "Role"
        resource, namespace = ("clusterroles", "") if cluster_role else ("roles", attributes.namespace)
        if await self.may(attributes, "bind", resource, attributes.namespace, ref.get("name", "")):
            return
        self.authoriser.refresh()
        role = self.authoriser.index.roles.get(RoleRef(namespace, ref.get("name", "")))
        if role is None:
            raise not_found(GROUP, resource, ref.get("name", ""))
        self.check_rules(attributes, obj, role)

    def check_rules(self, attributes: Attributes, obj: Object, rules: Iterable[Rule]) -> None:
        missing = self.missing(attributes, rules)
        if missing:
            user = attributes.user
            lines = "\n".join(sorted({describe(rule) for rule in compact(missing)}))
            raise refuse(attributes, f'user "{user.name}" (groups={listed(user.groups)}) is attempting to grant RBAC '
                         f"permissions not currently held:\n{lines}", obj)

    def missing(self, attributes: Attributes, rules: Iterable[Rule]) -> list[Rule]:
        """What the caller lacks of some rules, in the namespace of the request."""
        self.authoriser.refresh()
        held = list(self.authoriser.index.rules_of(attributes.user, attributes.namespace))
        return list(uncovered(held, rules))

    async def may(self, attributes: Attributes, verb: str, resource: str, namespace: str, name: str) -> bool:
        asked = replace(attributes, verb=verb, resource=resource, subresource="", namespace=namespace, name=name)
        return (await self.authoriser.decide(asked)).allowed
