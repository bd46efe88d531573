"""Mirrored EndpointSlices: Endpoints that somebody writes by hand, for a Service without selector, become slices too.

Source: kubernetes/pkg/controller/endpointslicemirroring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from timonier.api.types import core_v1, discovery_v1
from timonier.controllers.shared import slices
from timonier.controllers.shared.ownership import controller_reference
from timonier.kit.clock import Time
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration",
                        "endpoints.kubernetes.io/last-change-trigger-time"})
LARGEST = 1000
"""Addresses of one subset that are mirrored."""
BY_SERVICE = "mirrored"


def mirrored_for(each: discovery_v1.EndpointSlice) -> Iterable[str]:
    name = each.metadata.labels.get(slices.SERVICE_NAME, "")
    return (f"{each.metadata.namespace}/{name}",) if name and each.metadata.labels.get(slices.MANAGED_BY) == MANAGER \
        else ()


class EndpointSliceMirroringController:
    """Endpoints without a selecting Service."""

    name = "endpoint-slice-mirroring-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Endpoints, itself), Watch(core_v1.Service, itself),
                Watch(discovery_v1.EndpointSlice, lambda each, _: mirrored_for(each), {BY_SERVICE: mirrored_for})]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        endpoints, service = snapshot.get(core_v1.Endpoints, key), snapshot.get(core_v1.Service, key)
        existing = snapshot.by_index(discovery_v1.EndpointSlice, BY_SERVICE, key)
        if endpoints is None or service is None or service.spec.selector or not mirrors(endpoints):
            return Plan(delete=[Delete.of(each, propagation="") for each in existing])
        annotations = {key: value for key, value in endpoints.metadata.annotations.items() if key not in NOT_COPIED}
        identity = slices.Identity(endpoints.metadata.name, endpoints.metadata.namespace, MANAGER,
                                   controller_reference(endpoints), endpoints.metadata.labels, annotations)
        wanted: dict[slices.Group, list[discovery_v1.Endpoint]] = {}
        for subset in endpoints.subsets:
            ports: slices.Ports = tuple(sorted((port.name, port.port, port.protocol or "TCP", port.appProtocol)
                                               for port in subset.ports))
            for address, ready in addresses(subset):
                group = slices.address_type(address.ip), ports
                wanted.setdefault(group, []).append(endpoint(address, ready))
        return slices.reconcile(identity, existing, wanted)


def mirrors(endpoints: core_v1.Endpoints) -> bool:
    return endpoints.metadata.labels.get(SKIP) != "true" and LEADER not in endpoints.metadata.annotations


def addresses(subset: core_v1.EndpointSubset) -> list[tuple[core_v1.EndpointAddress, bool]]:
    ready, not_ready = [(each, True) for each in subset.addresses], [(each, False) for each in subset.notReadyAddresses]
    return (ready + not_ready)[:LARGEST]


def endpoint(address: core_v1.EndpointAddress, ready: bool) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(addresses=[address.ip], hostname=address.hostname, nodeName=address.nodeName,
                                 targetRef=address.targetRef, conditions=discovery_v1.EndpointConditions(ready=ready))
