"""How the server finds what stands behind a Service, and reaches it.

Nothing leads from the server into the pod network but the kubelets: a connection to a pod is asked of the kubelet of
its node (`Kubelets.dial`). Proxied requests, webhooks and aggregated APIs all go this way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from timonier.api.errors import BadRequest, NotFound, ServiceUnavailable
from timonier.api.kinds import BY_ID, Kind
from timonier.apiserver.kubelets import Kubelets
from timonier.apiserver.request import Object

SERVICE, SLICE, NODE = BY_ID["v1/Service"], BY_ID["discovery.k8s.io/v1/EndpointSlice"], BY_ID["v1/Node"]
SERVICE_LABEL = "kubernetes.io/service-name"


class Registry(Protocol):
    """The part of the registry that is read here."""

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]: ...


class Endpoint(NamedTuple):
    """Something that answers for a Service, and the node through which it is reached."""

    address: str
    port: int
    via: Object


def endpoint(registry: Registry, service: Object, port: str) -> Endpoint:
    """One of the ready endpoints of a service, by chance; `port` is a name, a number, or empty for the only one.

    Raises ServiceUnavailable where there is none, BadRequest for an address that no pod can have.
    """
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    wanted = service_port(service, port)
    found = list(ready(registry, namespace, name, wanted.get("name") or ""))
    if not found:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    address, number, node_name = random.choice(found)
    refuse_address(address)
    nodes = [registry.peek(NODE, "", node_name)] if node_name else registry.peek_all(NODE)
    via = next((each for each in nodes if each is not None), None)
    if via is None:
        raise ServiceUnavailable(f'no node leads to the endpoints of service "{name}"')
    return Endpoint(address, number, via)


async def dial(registry: Registry, kubelets: Callable[[], Kubelets], namespace: str, name: str, port: int
               ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw connection to a service's port. Raises NotFound, ServiceUnavailable, BadRequest and ConnectionFailed."""
    service = registry.peek(SERVICE, namespace, name)
    if service is None:
        raise NotFound(f'service "{name}" not found')
    found = endpoint(registry, service, str(port))
    return await kubelets().dial(found.via, found.address, found.port)


def service_port(service: Object, asked: str) -> Object:
    """The port of a service that a name or number means; its only one where none is asked for."""
    name, ports = service["metadata"]["name"], service["spec"].get("ports") or []
    if not asked and len(ports) == 1:
        return dict(ports[0])
    for each in ports:
        if asked in (each.get("name") or "", str(each["port"])):
            return dict(each)
    raise ServiceUnavailable(f'no service port "{asked}" found for service "{name}"')


def ready(registry: Registry, namespace: str, service: str, port: str) -> Iterator[tuple[str, int, str]]:
    """(address, port, node) of every ready endpoint, by the service's slices."""
    for each in registry.peek_all(SLICE, namespace):
        if ((each["metadata"].get("labels") or {}).get(SERVICE_LABEL)) != service:
            continue
        numbers = [found["port"] for found in each.get("ports") or ()
                   if (found.get("name") or "") == port and found.get("port")]
        for found in each.get("endpoints") or () if numbers else ():
            if (found.get("conditions") or {}).get("ready") is not False:
                yield from ((address, numbers[0], found.get("nodeName") or "") for address in found["addresses"][:1])


def refuse_address(address: str) -> None:
    """Raises BadRequest for an address that no pod can have, so that nobody reaches a node's own loopback."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise BadRequest("address not allowed")
