"""Which EndpointSlices should exist for some endpoints, changing as few of the existing ones as possible.

Every slice that changes is sent to every node, so an endpoint stays in the slice where it is, and free places are taken
before a new slice is made. Source: KEP-752; k8s.io/endpointslice, reconciler.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from timonier.api.types import core_v1, discovery_v1, meta_v1
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import clone

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
LARGEST = 100
"""Endpoints in one slice."""

Ports = tuple[tuple[str, int | None, str, str], ...]
"""Name, number, protocol and application protocol of each port: what the endpoints of one slice have in common."""
Group = tuple[str, Ports]
"""Address type and ports."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What all slices of one service and one writer have in common. `owner` becomes their controller."""

    service: str
    namespace: str
    manager: str
    owner: meta_v1.OwnerReference
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def labelled(self) -> dict[str, str]:
        return {**self.labels, SERVICE_NAME: self.service, MANAGED_BY: self.manager}

    def slice(self, group: Group, endpoints: Sequence[discovery_v1.Endpoint]) -> discovery_v1.EndpointSlice:
        address_type, ports = group
        meta = meta_v1.ObjectMeta(generateName=f"{self.service}-", namespace=self.namespace, labels=self.labelled(),
                                  annotations=dict(self.annotations), ownerReferences=[self.owner])
        return discovery_v1.EndpointSlice(metadata=meta, addressType=address_type, endpoints=[*endpoints],
                                          ports=port_objects(ports))


def port_objects(ports: Ports) -> list[discovery_v1.EndpointPort]:
    return [discovery_v1.EndpointPort(name=name, port=number, protocol=protocol, appProtocol=app)
            for name, number, protocol, app in ports]


def ports_of(each: discovery_v1.EndpointSlice) -> Ports:
    return tuple(sorted((port.name, port.port, port.protocol or "TCP", port.appProtocol) for port in each.ports))


def address_type(address: str) -> str:
    return "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4"


def who(endpoint: discovery_v1.Endpoint) -> tuple[object, ...]:
    """What makes an endpoint the same one over time."""
    target = endpoint.targetRef or core_v1.ObjectReference()
    return (*endpoint.addresses, target.uid, target.name)


def reconcile(identity: Identity, existing: Sequence[discovery_v1.EndpointSlice],
              wanted: Mapping[Group, Sequence[discovery_v1.Endpoint]]) -> Plan:
    """The writes that turn `existing` into `wanted`. A group without endpoints keeps one empty slice."""
    create: list[discovery_v1.EndpointSlice] = []
    update: list[discovery_v1.EndpointSlice] = []
    spare = [each for each in existing if (each.addressType, ports_of(each)) not in wanted]
    for group, endpoints in wanted.items():
        same = [each for each in existing if (each.addressType, ports_of(each)) == group]
        kept, superfluous, new = distribute(identity, group, same, endpoints)
        update += [each for each, before in kept if each != before]
        spare += superfluous
        create += new
    for each in [*create]:
        # a slice that is made over is one write and one event where a deletion and a creation are two
        reused = next((old for old in spare if old.addressType == each.addressType), None)
        if reused is not None:
            spare.remove(reused)
            create.remove(each)
            renewed = clone(reused)
            renewed.endpoints, renewed.ports = each.endpoints, each.ports
            renewed.metadata.labels = each.metadata.labels
            update.append(renewed)
    return Plan(create=create, update=update, delete=[Delete.of(each, propagation="") for each in spare])


Kept = list[tuple[discovery_v1.EndpointSlice, discovery_v1.EndpointSlice]]


def distribute(identity: Identity, group: Group, existing: Sequence[discovery_v1.EndpointSlice],
               endpoints: Sequence[discovery_v1.Endpoint]
               ) -> tuple[Kept, list[discovery_v1.EndpointSlice], list[discovery_v1.EndpointSlice]]:
    """Slices of one group: those that stay, each with how it was; those to give up; new ones."""
    waiting = {who(each): each for each in endpoints}
    kept: Kept = []
    for before in existing:
        after = clone(before)
        after.metadata.labels = identity.labelled()
        after.metadata.ownerReferences = [identity.owner]
        after.endpoints = [found for each in before.endpoints if (found := waiting.pop(who(each), None)) is not None]
        kept.append((after, before))
    rest = [*waiting.values()]
    for after, _ in sorted(kept, key=lambda pair: (pair[0] == pair[1], -len(pair[0].endpoints))):
        room = LARGEST - len(after.endpoints)
        after.endpoints, rest = after.endpoints + rest[:room], rest[room:]
    new = [identity.slice(group, rest[start:start + LARGEST]) for start in range(0, len(rest), LARGEST)]
    filled = [pair for pair in kept if pair[0].endpoints]
    if not filled and not new:
        filled = kept[:1]
        new = [] if filled else [identity.slice(group, [])]
    stays = {id(before) for _, before in filled}
    return filled, [before for _, before in kept if id(before) not in stays], new
