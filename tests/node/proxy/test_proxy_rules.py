"""Services and EndpointSlices → routes."""

from __future__ import annotations

from typing import Any

import pytest
from support.services import endpoint, node, service, slice_of

from timonier.api.types import core_v1, discovery_v1
from timonier.node.proxy.health import health_of
from timonier.node.proxy.rules import Endpoint, Frontend, NodeFacts, Unanswered, routes, with_node

FACTS = NodeFacts("a", ("10.89.0.2",), pod_cidrs=("10.244.0.0/24",), service_cidrs=("10.96.0.0/16",))
VIP = Frontend("10.96.0.5", "TCP", 80)
ONE, TWO, FAR = (Endpoint(address, 8080) for address in ("10.244.0.1", "10.244.0.2", "10.244.1.1"))


def of(svc: core_v1.Service, *slices: discovery_v1.EndpointSlice, facts: NodeFacts = FACTS) -> dict[Any, Any]:
    return routes(svc, slices, facts)


def test_cluster_ip_leads_to_all_ready_endpoints_of_all_slices() -> None:
    found = of(service("web", "10.96.0.5"), slice_of("web", endpoint(ONE.address), endpoint("10.244.0.9", ready=False)),
               slice_of("web", endpoint(FAR.address, node="b"), name="web-2"))
    assert found.keys() == {VIP}
    assert found[VIP].endpoints == (ONE, FAR)
    assert found[VIP].local == (ONE.address,)


@pytest.mark.parametrize("svc", [
    pytest.param(service("web", "None"), id="headless"),
    pytest.param(service("web", "", type="ExternalName", externalName="x.example"), id="external-name"),
    pytest.param(service("web", ""), id="without-address-yet"),
    pytest.param(service("web", "10.96.0.5", labels={"service.kubernetes.io/service-proxy-name": "other"}),
                 id="of-another-proxy"),
])
def test_services_that_are_not_ours_to_proxy_have_no_routes(svc: core_v1.Service) -> None:
    assert of(svc, slice_of("web", endpoint(ONE.address))) == {}


def test_unknown_readiness_counts_as_ready() -> None:
    assert of(service("web", "10.96.0.5"), slice_of("web", endpoint(ONE.address, ready=None)))[VIP].endpoints == (ONE,)


def test_terminating_endpoints_serve_when_no_other_is_ready() -> None:
    leaving = endpoint(ONE.address, ready=False, serving=True, terminating=True)
    assert of(service("web", "10.96.0.5"), slice_of("web", leaving))[VIP].endpoints == (ONE,)
    both = slice_of("web", leaving, endpoint(TWO.address))
    assert of(service("web", "10.96.0.5"), both)[VIP].endpoints == (TWO,)


def test_ports_are_matched_by_name_and_protocol_and_numbers_come_from_the_slice() -> None:
    svc = service("web", "10.96.0.5", ports=[
        core_v1.ServicePort(name="http", port=80, targetPort="web"),
        core_v1.ServicePort(name="dns", port=53, protocol="UDP")])
    found = of(svc, slice_of("web", endpoint(ONE.address), port_name="http", port=8080),
               slice_of("web", endpoint(TWO.address), port_name="http", port=9090, name="web-2"),
               slice_of("web", endpoint(TWO.address), port_name="dns", port=53, protocol="UDP", name="web-3"))
    assert found[VIP].endpoints == (ONE, Endpoint(TWO.address, 9090))
    assert found[Frontend("10.96.0.5", "UDP", 53)].endpoints == (Endpoint(TWO.address, 53),)


def test_node_port_answers_on_the_addresses_of_the_node_alone() -> None:
    found = of(service("web", "10.96.0.5", node_port=30080), slice_of("web", endpoint(ONE.address)))
    assert found.keys() == {VIP, Frontend("10.89.0.2", "TCP", 30080)}


def test_load_balancer_answers_where_its_status_says_to_those_it_admits() -> None:
    svc = service("web", "10.96.0.5", type="LoadBalancer", ingress=("192.0.2.1", "2001:db8::1"),
                  externalIPs=["192.0.2.9"], loadBalancerSourceRanges=["10.0.0.0/8", "2001:db8::/32"])
    found = of(svc, slice_of("web", endpoint(ONE.address)))
    assert found[Frontend("192.0.2.1", "TCP", 80)].admitted == ("10.0.0.0/8",)
    assert found[Frontend("192.0.2.9", "TCP", 80)].admitted is None
    assert len(found) == 3


def test_ranges_of_another_family_alone_admit_nobody() -> None:
    svc = service("web", "10.96.0.5", type="LoadBalancer", ingress=("192.0.2.1",),
                  loadBalancerSourceRanges=["2001:db8::/32"])
    assert of(svc)[Frontend("192.0.2.1", "TCP", 80)].admitted == ()


def test_local_external_policy_keeps_clients_and_gives_the_nodes_own_a_shortcut() -> None:
    found = of(service("web", "10.96.0.5", node_port=30080, externalTrafficPolicy="Local"),
               slice_of("web", endpoint(ONE.address), endpoint(FAR.address, node="b")))
    outside = found[Frontend("10.89.0.2", "TCP", 30080)]
    assert (outside.endpoints, outside.shortcut, outside.keeps_client) == ((ONE,), (ONE, FAR), True)
    assert found[VIP].endpoints == (ONE, FAR)


def test_traffic_that_a_policy_keeps_from_other_nodes_is_dropped_and_the_rest_rejected() -> None:
    far = slice_of("web", endpoint(FAR.address, node="b"))
    svc = service("web", "10.96.0.5", node_port=30080, externalTrafficPolicy="Local", internalTrafficPolicy="Local")
    assert {route.unanswered for route in of(svc, far).values()} == {Unanswered.DROP}
    assert {route.unanswered for route in of(svc).values()} == {Unanswered.REJECT}


@pytest.mark.parametrize(("hints", "expected"), [
    pytest.param([{"nodes": ("a",)}, {"nodes": ("b",)}], (ONE,), id="same-node"),
    pytest.param([{"zones": ("z1",)}, {"zones": ("z2",)}], (ONE,), id="same-zone"),
    pytest.param([{"zones": ("z2",)}, {"zones": ("z3",)}], (ONE, FAR), id="none-for-us"),
    pytest.param([{"zones": ("z1",)}, {}], (ONE, FAR), id="not-all-hinted"),
])
def test_hints_narrow_the_choice_only_if_all_endpoints_have_them(hints: list[Any], expected: Any) -> None:
    facts = with_node(FACTS, node("a", labels={"topology.kubernetes.io/zone": "z1"}))
    found = of(service("web", "10.96.0.5"), slice_of(
        "web", endpoint(ONE.address, **hints[0]), endpoint(FAR.address, node="b", **hints[1])), facts=facts)
    assert found[VIP].endpoints == expected


def test_affinity_lasts_three_hours_unless_the_service_says_otherwise() -> None:
    assert of(service("web", "10.96.0.5", sessionAffinity="ClientIP"))[VIP].sticky == 10800
    config = core_v1.SessionAffinityConfig(clientIP=core_v1.ClientIPConfig(timeoutSeconds=60))
    svc = service("web", "10.96.0.5", sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert of(svc)[VIP].sticky == 60


def test_slices_of_the_other_family_are_left_out() -> None:
    assert of(service("web", "10.96.0.5"), slice_of("web", endpoint("2001:db8::1"), family="IPv6"))[VIP].endpoints == ()


def test_health_check_port_counts_ready_local_endpoints() -> None:
    svc = service("web", "10.96.0.5", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=31000)
    answer = health_of(svc, [slice_of("web", endpoint(ONE.address), endpoint(FAR.address, node="b"))], FACTS)
    assert answer is not None
    port, health = answer
    assert (port, health.local_endpoints) == (31000, 1)
    assert health.response().startswith(b"HTTP/1.1 200 ")
    empty = health_of(svc, [], FACTS)
    assert empty is not None
    assert empty[1].response().startswith(b"HTTP/1.1 503 ")
    assert health_of(service("web", "10.96.0.5"), [], FACTS) is None
