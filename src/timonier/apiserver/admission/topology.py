"""PodTopologyLabels: a pod carries the zone and the region of its node, so that it can ask where it is (KEP-4742)."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CREATE, Plugin, Registry
from timonier.apiserver.request import Attributes, Object

NODE = BY_ID["v1/Node"]
COPIED = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


@dataclass(frozen=True)
class PodTopologyLabels(Plugin):
    """Labels pods that are made on a node, and bindings, whose labels become their pods'."""

    registry: Registry

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, operation) == ("", "pods", CREATE) and subresource in ("", "binding")

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        place = (obj.get("target") or {}).get("name") if attributes.subresource else obj["spec"].get("nodeName")
        node = self.registry.peek(NODE, "", place) if place else None
        labels = ((node or {}).get("metadata") or {}).get("labels") or {}
        if found := {key: labels[key] for key in COPIED if key in labels}:
            obj["metadata"]["labels"] = (obj["metadata"].get("labels") or {}) | found
