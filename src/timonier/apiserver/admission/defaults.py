"""DefaultStorageClass and DefaultIngressClass: what names no class gets the one that is marked as the default.

Where several are marked, the newest counts. Source: Kubernetes documentation, "Storage Classes" and "Ingress".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.api.quota.others import CLASS_ANNOTATION
from timonier.apiserver.admission.contract import CREATE, Plugin, Registry
from timonier.apiserver.request import Attributes, Object

STORAGE, INGRESS = BY_ID["storage.k8s.io/v1/StorageClass"], BY_ID["networking.k8s.io/v1/IngressClass"]
DEFAULT_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
DEFAULT_INGRESS = ("ingressclass.kubernetes.io/is-default-class",)
INGRESS_ANNOTATION = "kubernetes.io/ingress.class"


@dataclass(frozen=True)
class DefaultStorageClass(Plugin):
    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == ("", "persistentvolumeclaims", "", CREATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        annotations = obj["metadata"].get("annotations") or {}
        if CLASS_ANNOTATION in annotations or obj["spec"].get("storageClassName") is not None:
            return  # also where it is empty, by which a claim wants a volume of no class
        if found := default_of(self.registry.peek_all(STORAGE), DEFAULT_STORAGE):
            obj["spec"]["storageClassName"] = found


@dataclass(frozen=True)
class DefaultIngressClass(Plugin):
    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == ("networking.k8s.io", "ingresses", "", CREATE)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        annotations, spec = obj["metadata"].get("annotations") or {}, obj.setdefault("spec", {})
        if spec.get("ingressClassName") is None and INGRESS_ANNOTATION not in annotations \
                and (found := default_of(self.registry.peek_all(INGRESS), DEFAULT_INGRESS)):
            spec["ingressClassName"] = found


def default_of(classes: Sequence[Object], marks: Sequence[str]) -> str:
    """The name of the newest class that is marked as the default, the first by name of equally new ones."""
    marked = [each["metadata"] for each in classes
              if any((each["metadata"].get("annotations") or {}).get(mark) == "true" for mark in marks)]
    by_name = sorted(marked, key=lambda metadata: str(metadata["name"]))
    newest = max(by_name, key=lambda metadata: str(metadata["creationTimestamp"]), default=None)
    return "" if newest is None else str(newest["name"])
