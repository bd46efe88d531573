"""OwnerReferencesPermissionEnforcement: who ties objects to an owner may delete them, and hold up the owner's deletion.

Source: Kubernetes documentation, "Admission Control in Kubernetes".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, refuse
from timonier.apiserver.auth.decision import Authoriser
from timonier.apiserver.request import Attributes, Object
from timonier.apiserver.resources import Resources


@dataclass(frozen=True)
class OwnerReferencesPermissionEnforcement(Plugin):
    authoriser: Authoriser
    resources: Resources

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return operation in (CREATE, UPDATE) and not (resource == "pods" and subresource)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        owners, before = references(obj), references(old)
        if {owner["uid"]: owner for owner in owners} == {owner["uid"]: owner for owner in before}:
            return
        if attributes.operation != CREATE:
            decision = await self.authoriser.decide(replace(attributes, verb="delete", subresource=""))
            if not decision.allowed:
                raise refuse(attributes, f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, "
                             f"{decision.error or '<nil>'}", obj)
        blocking = {owner["uid"] for owner in before if owner.get("blockOwnerDeletion")}
        for owner in owners:
            if owner.get("blockOwnerDeletion") and owner["uid"] not in blocking:
                await self.may_block(attributes, owner, obj)

    async def may_block(self, attributes: Attributes, owner: Object, obj: Object) -> None:
        kind = self.resources.find(owner["apiVersion"], owner["kind"])
        if kind is None:
            raise refuse(attributes, "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
                         f"APIVersion {owner['apiVersion']} Kind {owner['kind']}: no matches for kind", obj)
        decision = await self.authoriser.decide(replace(
            attributes, verb="update", group=kind.group, version=kind.version, resource=kind.plural,
            subresource="finalizers", name=owner["name"],
            namespace=attributes.namespace if kind.namespaced else ""))
        if not decision.allowed:
            raise refuse(attributes, "cannot set blockOwnerDeletion if an ownerReference refers to a resource you "
                         f"can't set finalizers on: {decision.reason}, {decision.error or '<nil>'}", obj)


def references(obj: Object | None) -> list[Object]:
    found: list[Object] = ((obj or {}).get("metadata") or {}).get("ownerReferences") or []
    return found
