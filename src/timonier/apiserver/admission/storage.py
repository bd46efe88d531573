"""StorageObjectInUseProtection and PersistentVolumeClaimResize: volumes and claims are not lost, nor made too large.

The finalizers that the first one sets are taken away by `timonier.controllers.protection`.
"""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.api.quantity import parse
from timonier.api.quota.others import storage_class
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, Registry, refuse
from timonier.apiserver.request import Attributes, Object

CLASS = BY_ID["storage.k8s.io/v1/StorageClass"]
FINALIZERS = {
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    """What is in use goes once it is used no more."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource) in FINALIZERS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        finalizer = FINALIZERS[attributes.group, attributes.resource]
        held = obj["metadata"].get("finalizers") or []
        if finalizer not in held:
            obj["metadata"]["finalizers"] = [*held, finalizer]


@dataclass(frozen=True)
class PersistentVolumeClaimResize(Plugin):
    """A claim grows only where it is bound and its class says that volumes can."""

    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == ("", "persistentvolumeclaims", "", UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        assert old is not None
        if requested(obj) <= requested(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refuse(attributes, "Only bound persistent volume claims can be expanded", obj)
        name = storage_class(obj)
        found = self.registry.peek(CLASS, "", name) if name else None
        if not (found or {}).get("allowVolumeExpansion"):
            raise refuse(attributes, "only dynamically provisioned pvc can be resized and the storageclass that "
                         "provisions the pvc must support resize", obj)


def requested(claim: Object) -> int:
    """Bytes that a claim asks for."""
    return int(parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")))
