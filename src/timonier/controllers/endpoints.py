"""Endpoints: the older form of what EndpointSlices say, one object a Service, for clients that still read it.

Source: kubernetes/pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timonier.api.types import core_v1, meta_v1
from timonier.controllers.shared import pods as podlib
from timonier.controllers.shared import serving
from timonier.controllers.shared.slices import HEADLESS
from timonier.kit.clock import Time
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

LARGEST = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"

Ports = tuple[tuple[str, int, str, str], ...]


class EndpointsController:
    """Services with a selector."""

    name = "endpoint-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Service, itself), Watch(core_v1.Pod, serving.selecting), Watch(core_v1.Endpoints, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        service, current = snapshot.get(core_v1.Service, key), snapshot.get(core_v1.Endpoints, key)
        if service is None:
            ours = current is not None and current.metadata.labels.get(MANAGED_BY) == MANAGER
            return Plan(delete=[Delete.of(current)] if current is not None and ours else [])
        if not service.spec.selector or service.spec.type == "ExternalName" or service.metadata.deletionTimestamp:
            return Plan()
        wanted = clone(current) if current is not None else core_v1.Endpoints(
            metadata=meta_v1.ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace))
        wanted.subsets = subsets(service, serving.backing(service, snapshot, terminating=bool(
            service.spec.publishNotReadyAddresses)))
        labels = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
        wanted.metadata.labels = labels | ({HEADLESS: ""} if serving.headless(service) else {}) | {MANAGED_BY: MANAGER}
        if truncate(wanted):
            wanted.metadata.annotations[OVER_CAPACITY] = "truncated"
        else:
            wanted.metadata.annotations.pop(OVER_CAPACITY, None)
        if current is None:
            return Plan(create=[wanted])
        return Plan(update=[wanted] if wanted != current else [])


def subsets(service: core_v1.Service, pods: Sequence[core_v1.Pod]) -> list[core_v1.EndpointSubset]:
    """Addresses grouped by the ports that they have in common, everything in a fixed order."""
    found: dict[Ports, core_v1.EndpointSubset] = {}
    family = serving.families(service)[0]
    for pod in pods:
        addresses = serving.addresses(pod, family)
        ports: Ports = tuple(sorted(
            (port.name, number, port.protocol or "TCP", port.appProtocol) for port in service.spec.ports
            if (number := serving.port_number(pod, port)) is not None))
        if not addresses or (service.spec.ports and not ports):
            continue
        subset = found.setdefault(ports, core_v1.EndpointSubset(ports=[
            core_v1.EndpointPort(name=name, port=number, protocol=protocol, appProtocol=app)
            for name, number, protocol, app in ports]))
        address = core_v1.EndpointAddress(ip=addresses[0], nodeName=pod.spec.nodeName, targetRef=serving.target(pod),
                                          hostname=serving.hostname(pod, service))
        ready = bool(service.spec.publishNotReadyAddresses) or podlib.ready(pod)
        (subset.addresses if ready else subset.notReadyAddresses).append(address)
    for subset in found.values():
        subset.addresses.sort(key=lambda address: address.ip)
        subset.notReadyAddresses.sort(key=lambda address: address.ip)
    return [subset for _, subset in sorted(found.items())]


def truncate(endpoints: core_v1.Endpoints) -> bool:
    """Keep at most `LARGEST` addresses, ready ones first; whether any had to go."""
    room, cut = LARGEST, False
    for kind in ("addresses", "notReadyAddresses"):
        for subset in endpoints.subsets:
            listed = getattr(subset, kind)
            cut = cut or len(listed) > room
            del listed[room:]
            room -= len(listed)
    return cut
