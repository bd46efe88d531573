"""NamespaceLifecycle: nothing new in a namespace that is missing or going, and some namespaces never go."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.errors import Cause, Forbidden, NotFound, forbidden, not_found, qualified
from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, DELETE, Plugin, Registry, name_of
from timonier.apiserver.request import Attributes, Object

NAMESPACE = BY_ID["v1/Namespace"]
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


@dataclass(frozen=True)
class NamespaceLifecycle(Plugin):
    registry: Registry

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if not attributes.group and attributes.resource == "namespaces":
            if attributes.operation == DELETE and attributes.name in IMMORTAL:
                raise forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return
        if attributes.operation != CREATE or not attributes.namespace or attributes.group == "authorization.k8s.io":
            return
        namespace = await self.find(attributes.namespace)
        going = namespace["metadata"].get("deletionTimestamp") \
            or (namespace.get("status") or {}).get("phase") == "Terminating"
        if going:
            raise terminating(attributes, obj)

    async def find(self, name: str) -> Object:
        """The namespace; asked of the store where the cache has not heard of it yet. Raises NotFound."""
        found = self.registry.peek(NAMESPACE, "", name)
        if found is not None:
            return found
        try:
            return await self.registry.get(NAMESPACE, "", name)
        except NotFound:
            raise not_found("", "namespaces", name) from None


def terminating(attributes: Attributes, obj: Object | None) -> Forbidden:
    name, namespace = attributes.name or name_of(obj), attributes.namespace
    cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated")
    return Forbidden(f'{qualified(attributes.group, attributes.resource)} "{name}" is forbidden: unable to create new '
                     f"content in namespace {namespace} because it is being terminated",
                     group=attributes.group, resource=attributes.resource, name=name, causes=[cause])
