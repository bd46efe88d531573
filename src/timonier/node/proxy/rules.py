"""Which endpoints answer at which address: Services and EndpointSlices → routes by frontend. Pure.

A *frontend* is an address, protocol and port that clients use: a cluster IP, an external IP, a load balancer's IP, or
an address of this node with a node port. Its *route* says where connections to it go from this node. How that is told
to the kernel does not belong here. Source: Kubernetes documentation, "Virtual IPs and Service Proxies".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from timonier.api.types import core_v1, discovery_v1

SERVICE_NAME = "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
ZONE = "topology.kubernetes.io/zone"
LOCAL = "Local"
CLIENT_IP = "ClientIP"
AFFINITY_SECONDS = 10800
PROTOCOLS = ("TCP", "UDP", "SCTP")
IPV4, IPV6 = "IPv4", "IPv6"


class Frontend(NamedTuple):
    """Where clients connect to. `protocol` is as in manifests: TCP, UDP or SCTP."""

    address: str
    protocol: str
    port: int


class Endpoint(NamedTuple):
    """Where a connection goes to."""

    address: str
    port: int


class Unanswered(Enum):
    """What happens to packets for a frontend that has no endpoint to go to."""

    REJECT = "reject"
    """There are none at all: the client learns it at once."""
    DROP = "drop"
    """There are some on other nodes, which the Service's traffic policy excludes: another node may answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where connections to one frontend go."""

    endpoints: tuple[Endpoint, ...]
    """Chosen from at random, each as likely as the next."""
    unanswered: Unanswered = Unanswered.REJECT
    shortcut: tuple[Endpoint, ...] = ()
    """Chosen from instead when the client is on this node (externalTrafficPolicy Local: cluster-internal clients may
    reach every endpoint)."""
    keeps_client: bool = False
    """Clients on other machines keep their address, because only endpoints on this node answer."""
    sticky: int = 0
    """Seconds for which a client returns to the same endpoint; 0 for no affinity."""
    admitted: tuple[str, ...] | None = None
    """Ranges whose clients are let in; None for everyone."""
    local: tuple[str, ...] = ()
    """Addresses of endpoints on this node, which may call themselves through the frontend."""

    @property
    def all_endpoints(self) -> frozenset[Endpoint]:
        return frozenset(self.endpoints) | frozenset(self.shortcut)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the rules depend on besides Services: the node that they are for."""

    name: str
    addresses: tuple[str, ...]
    """Addresses of this node, on which node ports answer."""
    pod_cidrs: tuple[str, ...] = ()
    """Ranges of the pods on this node; empty until the node has them."""
    service_cidrs: tuple[str, ...] = ()
    """Ranges of cluster IPs: what no Service claims there is rejected."""
    zone: str = ""
    family: str = IPV4


@dataclass(slots=True)
class Candidates:
    """The endpoints of one service port, by what they may be used for."""

    ready: dict[Endpoint, discovery_v1.Endpoint] = field(default_factory=dict)
    leaving: dict[Endpoint, discovery_v1.Endpoint] = field(default_factory=dict)
    """Terminating but still serving: used when no endpoint is ready (KEP-1669)."""

    def add(self, endpoint: Endpoint, described: discovery_v1.Endpoint) -> None:
        conditions = described.conditions or discovery_v1.EndpointConditions()
        ready = conditions.ready is not False
        serving = ready if conditions.serving is None else conditions.serving
        if ready:
            self.ready[endpoint] = described
        elif serving and conditions.terminating:
            self.leaving[endpoint] = described

    def usable(self) -> dict[Endpoint, discovery_v1.Endpoint]:
        return self.ready or self.leaving

    def on(self, node: str) -> dict[Endpoint, discovery_v1.Endpoint]:
        """Usable endpoints of one node, which are the node's leaving ones only if it has no ready ones."""
        for group in (self.ready, self.leaving):
            if mine := {endpoint: it for endpoint, it in group.items() if it.nodeName == node}:
                return mine
        return {}


def routes(service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice],
           facts: NodeFacts) -> dict[Frontend, Route]:
    """The routes of one Service on this node. Headless and ExternalName services, and those of another proxy, have
    none; addresses of other families are left out."""
    if not is_proxied(service):
        return {}
    found: dict[Frontend, Route] = {}
    mine = [s for s in slices if s.addressType == facts.family and HEADLESS not in s.metadata.labels]
    for port in service.spec.ports:
        candidates = candidates_of(port, mine)
        for frontend, external, ranges in frontends(service, port, facts):
            found.setdefault(frontend, route(service, candidates, facts, external=external, admitted=ranges))
    return found


def is_proxied(service: core_v1.Service) -> bool:
    spec = service.spec
    return (spec.type != "ExternalName" and spec.clusterIP not in ("", "None")
            and PROXY_NAME not in service.metadata.labels)


def frontends(service: core_v1.Service, port: core_v1.ServicePort,
              facts: NodeFacts) -> Iterator[tuple[Frontend, bool, tuple[str, ...] | None]]:
    """Every frontend of a port; whether it is external; the ranges that it admits, None for all."""
    spec, protocol = service.spec, port.protocol or "TCP"
    if protocol not in PROTOCOLS:
        return
    for address in spec.clusterIPs or [spec.clusterIP]:
        if is_of(address, facts.family):
            yield Frontend(address, protocol, port.port), False, None
    for address in spec.externalIPs:
        if is_of(address, facts.family):
            yield Frontend(address, protocol, port.port), True, None
    if spec.type == "LoadBalancer" and service.status.loadBalancer:
        ranges = tuple(r.strip() for r in spec.loadBalancerSourceRanges if is_of(r, facts.family))
        guarded = ranges if spec.loadBalancerSourceRanges else None
        for ingress in service.status.loadBalancer.ingress:
            if is_of(ingress.ip, facts.family) and ingress.ipMode != "Proxy":
                yield Frontend(ingress.ip, protocol, port.port), True, guarded
    if spec.type in ("NodePort", "LoadBalancer") and port.nodePort:
        for address in facts.addresses:
            if is_of(address, facts.family):
                yield Frontend(address, protocol, port.nodePort), True, None


def route(service: core_v1.Service, candidates: Candidates, facts: NodeFacts, *, external: bool,
          admitted: tuple[str, ...] | None) -> Route:
    policy = service.spec.externalTrafficPolicy if external else service.spec.internalTrafficPolicy
    everywhere = nearest(candidates.usable(), facts)
    here = candidates.on(facts.name)
    only_here = policy == LOCAL
    chosen = here if only_here else everywhere
    return Route(
        endpoints=tuple(sorted(chosen)),
        unanswered=Unanswered.DROP if only_here and everywhere else Unanswered.REJECT,
        shortcut=tuple(sorted(everywhere)) if only_here and external else (),
        keeps_client=only_here and external,
        sticky=affinity(service.spec),
        admitted=admitted,
        local=tuple(sorted({endpoint.address for endpoint in here})),
    )


def candidates_of(port: core_v1.ServicePort, slices: Sequence[discovery_v1.EndpointSlice]) -> Candidates:
    """The endpoints of a service port: slices name their ports as the Service does, and hold numbers, so named target
    ports are already resolved, for each endpoint its own way."""
    candidates, protocol = Candidates(), port.protocol or "TCP"
    for piece in slices:
        for offered in piece.ports:
            if offered.name != port.name or (offered.protocol or "TCP") != protocol or not offered.port:
                continue
            for described in piece.endpoints:
                for address in described.addresses[:1]:  # the rest are other names of the same endpoint
                    candidates.add(Endpoint(address, offered.port), described)
    return candidates


def nearest(usable: dict[Endpoint, discovery_v1.Endpoint], facts: NodeFacts) -> dict[Endpoint, discovery_v1.Endpoint]:
    """Endpoints that are hinted for this node, else for its zone; all of them unless every one carries such hints and
    some are for us (KEP-4444, `trafficDistribution`)."""
    hinted = [(endpoint, it, it.hints) for endpoint, it in usable.items() if it.hints]
    if len(hinted) < len(usable):
        return usable
    if all(hints.forNodes for *_, hints in hinted):
        same = {e: it for e, it, hints in hinted if any(n.name == facts.name for n in hints.forNodes)}
        if same:
            return same
    if facts.zone and all(hints.forZones for *_, hints in hinted):
        same = {e: it for e, it, hints in hinted if any(z.name == facts.zone for z in hints.forZones)}
        if same:
            return same
    return usable


def affinity(spec: core_v1.ServiceSpec) -> int:
    if spec.sessionAffinity != CLIENT_IP:
        return 0
    config = spec.sessionAffinityConfig
    return (config.clientIP.timeoutSeconds if config and config.clientIP else None) or AFFINITY_SECONDS


def is_of(address: str, family: str) -> bool:
    """Whether text is an address or a range of this family; False for what is neither."""
    try:
        return ipaddress.ip_network(address.strip(), strict=False).version == (6 if family == IPV6 else 4)
    except ValueError:
        return False


def with_node(facts: NodeFacts, node: core_v1.Node) -> NodeFacts:
    """The facts as this node's own object states them: its range of pods and its zone."""
    cidrs = node.spec.podCIDRs or [node.spec.podCIDR]
    return replace(facts, pod_cidrs=tuple(cidr for cidr in cidrs if is_of(cidr, facts.family)),
                   zone=node.metadata.labels.get(ZONE, ""))


def service_key(piece: discovery_v1.EndpointSlice) -> str:
    """`namespace/name` of the Service to which a slice belongs; empty if to none."""
    name = piece.metadata.labels.get(SERVICE_NAME, "")
    return f"{piece.metadata.namespace}/{name}" if name else ""
