"""This node's EndpointSlice for the Service `kube-dns`: says that DNS answers here, and at the end that it does not."""

from __future__ import annotations

from typing import Any

import msgspec

from timonier.api import errors
from timonier.api.types import core_v1, discovery_v1, meta_v1
from timonier.client.client import Client

NAMESPACE, SERVICE = "kube-system", "kube-dns"
MANAGER = "timonier-dns"


def endpoint_slice(node_name: str, address: str, port: int, *, ready: bool,
                   node: core_v1.Node | None = None) -> discovery_v1.EndpointSlice:
    """The slice as it should be; it goes with the Node, whose object is `node` once it is known."""
    owners = []
    if node:
        owners = [meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=node_name, uid=node.metadata.uid)]
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name=f"{SERVICE}-{node_name}", namespace=NAMESPACE, ownerReferences=owners,
            labels={"kubernetes.io/service-name": SERVICE, "endpointslice.kubernetes.io/managed-by": MANAGER}),
        addressType="IPv4",
        endpoints=[discovery_v1.Endpoint(
            addresses=[address], nodeName=node_name,
            conditions=discovery_v1.EndpointConditions(ready=ready, serving=ready, terminating=not ready))],
        ports=[discovery_v1.EndpointPort(name="dns", port=port, protocol="UDP"),
               discovery_v1.EndpointPort(name="dns-tcp", port=port, protocol="TCP")],
    )


def says_the_same(present: discovery_v1.EndpointSlice | None, wanted: discovery_v1.EndpointSlice) -> bool:
    """Whether a slice on the server, with whatever others added to it, is as it should be."""
    return (present is not None and present.endpoints == wanted.endpoints and present.ports == wanted.ports
            and wanted.metadata.labels.items() <= present.metadata.labels.items()
            and present.metadata.ownerReferences == wanted.metadata.ownerReferences)


async def put(client: Client, wanted: discovery_v1.EndpointSlice) -> None:
    """Create the slice, or make the one that is there say the same."""
    try:
        await client.create(wanted)
    except errors.AlreadyExists:
        patch: dict[str, Any] = msgspec.to_builtins(wanted)
        meta = patch["metadata"]
        patch["metadata"] = {key: meta[key] for key in ("labels", "ownerReferences") if key in meta}
        patch.pop("addressType", None)  # immutable
        await client.patch(discovery_v1.EndpointSlice, wanted.metadata.name, NAMESPACE, patch)
