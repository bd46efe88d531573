"""EndpointSlice: every Service with a selector has slices that list its pods, ready or not, and on their way out.

Source: k8s.io/endpointslice, reconciler; KEP-1672 for the conditions of terminating pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from timonier.api.types import core_v1, discovery_v1
from timonier.controllers.shared import pods as podlib
from timonier.controllers.shared import serving, slices
from timonier.controllers.shared.ownership import controller_reference
from timonier.kit.clock import Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
NODE_PATIENCE = 30.0
"""Seconds after which a pod is looked at again whose node is not known yet."""
BY_SERVICE = "service"


def service_of(each: discovery_v1.EndpointSlice) -> Iterable[str]:
    name = each.metadata.labels.get(slices.SERVICE_NAME, "")
    return (f"{each.metadata.namespace}/{name}",) if name and each.metadata.labels.get(slices.MANAGED_BY) == MANAGER \
        else ()


class EndpointSliceController:
    """Services with a selector."""

    name = "endpoint-slice-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [
            Watch(core_v1.Service, itself),
            Watch(core_v1.Pod, serving.selecting),
            Watch(discovery_v1.EndpointSlice, lambda each, _: service_of(each), {BY_SERVICE: service_of}),
            Watch(core_v1.Node, lambda _node, _snapshot: ()),
        ]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        service = snapshot.get(core_v1.Service, key)
        if service is None or not service.spec.selector or service.spec.type == "ExternalName" \
                or service.metadata.deletionTimestamp:
            return Plan()  # slices go with their Service, whose they are
        existing = snapshot.by_index(discovery_v1.EndpointSlice, BY_SERVICE, key)
        identity = slices.Identity(service.metadata.name, service.metadata.namespace, MANAGER,
                                   controller_reference(service), labels_of(service))
        wanted: dict[slices.Group, list[discovery_v1.Endpoint]] = {}
        unknown = False
        for pod in serving.backing(service, snapshot, terminating=True):
            node = snapshot.get(core_v1.Node, pod.spec.nodeName)
            if node is None and not service.spec.publishNotReadyAddresses:
                unknown = True
                continue
            ports = ports_on(pod, service)
            for family in serving.families(service):
                if found := serving.addresses(pod, family):
                    wanted.setdefault((family, ports), []).append(endpoint(pod, service, found, node))
        for family in serving.families(service):
            if not any(group[0] == family for group in wanted):
                wanted[family, ()] = []
        plan = slices.reconcile(identity, existing, wanted)
        plan.again = NODE_PATIENCE if unknown else None
        return plan


def labels_of(service: core_v1.Service) -> dict[str, str]:
    labels = {key: value for key, value in service.metadata.labels.items() if key != slices.HEADLESS}
    return labels | ({slices.HEADLESS: ""} if serving.headless(service) else {})


def ports_on(pod: core_v1.Pod, service: core_v1.Service) -> slices.Ports:
    """The ports of a Service as this pod has them; ports that it does not name are missing."""
    return tuple(sorted((port.name, number, port.protocol or "TCP", port.appProtocol) for port in service.spec.ports
                        if (number := serving.port_number(pod, port)) is not None))


def endpoint(pod: core_v1.Pod, service: core_v1.Service, addresses: list[str],
             node: core_v1.Node | None) -> discovery_v1.Endpoint:
    serves, going = podlib.ready(pod), bool(pod.metadata.deletionTimestamp)
    ready = bool(service.spec.publishNotReadyAddresses) or (serves and not going)
    return discovery_v1.Endpoint(
        addresses=addresses, hostname=serving.hostname(pod, service), nodeName=pod.spec.nodeName,
        zone=node.metadata.labels.get(ZONE, "") if node else "", targetRef=serving.target(pod),
        conditions=discovery_v1.EndpointConditions(ready=ready, serving=serves, terminating=going))
