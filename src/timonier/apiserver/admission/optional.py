"""Plugins of a line or two that are off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.errors import AlreadyExists
from timonier.api.quota.pods import native
from timonier.apiserver.admission.contract import CREATE, DELETE, UPDATE, Plugin, refuse
from timonier.apiserver.admission.namespace_lifecycle import NAMESPACE, NamespaceLifecycle
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Attributes, Object

HOSTNAME = "kubernetes.io/hostname"


class AlwaysAdmit(Plugin):
    """Lets everything pass, as everything does that nobody refuses."""


class AlwaysDeny(Plugin):
    """Refuses every change."""

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        raise refuse(attributes, "admission control is denying all modifications", obj)


class DenyServiceExternalIPs(Plugin):
    """Nobody takes over the addresses of others by a Service; those that have addresses keep them."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource) == ("", "services", "") and operation in (CREATE, UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        before = ((old or {}).get("spec") or {}).get("externalIPs") or ()
        if set(((obj or {}).get("spec") or {}).get("externalIPs") or ()) - set(before):
            raise refuse(attributes, "Use of external IPs is denied by admission control", obj)


class LimitPodHardAntiAffinityTopology(Plugin):
    """Pods keep others away from a node, and from nothing larger."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == ("", "pods", "", CREATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        affinity = (((obj or {}).get("spec") or {}).get("affinity") or {}).get("podAntiAffinity") or {}
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            if term.get("topologyKey") != HOSTNAME:
                raise refuse(attributes, "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey "
                             f"{term.get('topologyKey', '')} but only key {HOSTNAME} is allowed", obj)


class ExtendedResourceToleration(Plugin):
    """Who asks for a device tolerates the taint by which nodes with such devices keep others away."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource) == ("", "pods", "") and operation in (CREATE, UPDATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj["spec"]
        asked = {name for field in ("containers", "initContainers") for container in spec.get(field) or ()
                 for name in (container.get("resources") or {}).get("requests") or {} if not native(name)}
        tolerations = spec.get("tolerations") or []
        added = [wanted for name in sorted(asked)
                 if (wanted := {"key": name, "operator": "Exists"}) not in tolerations]
        if added:
            spec["tolerations"] = [*tolerations, *added]


@dataclass(frozen=True)
class NamespaceExists(Plugin):
    """Nothing in a namespace that does not exist, but deletions."""

    registry: Registry

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if attributes.namespace and attributes.resource != "namespaces" and attributes.operation != DELETE:
            await NamespaceLifecycle(self.registry).find(attributes.namespace)


@dataclass(frozen=True)
class NamespaceAutoProvision(Plugin):
    """What is created in a namespace that does not exist creates it."""

    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return operation == CREATE and (group, resource) != ("", "namespaces") and group != "authorization.k8s.io"

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        name = attributes.namespace
        if not name or attributes.dry_run or self.registry.peek(NAMESPACE, "", name) is not None:
            return
        try:
            await self.registry.create(NAMESPACE, {"metadata": {"name": name}})
        except AlreadyExists:
            return
