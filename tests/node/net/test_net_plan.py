"""Nodes → routes, rules and CNI configuration."""

from __future__ import annotations

from support.services import node

from timonier.node.net import plan
from timonier.node.net.plan import Place, Route

PLACE = Place("a", "10.89.0.2", "10.244.0.0/16", "10.96.0.0/16")
DEAD_ENDS = {Route(cidr, device="lo", source="10.89.0.2") for cidr in ("10.244.0.0/16", "10.96.0.0/16")}


def test_lonely_node_has_dead_ends_for_the_clusters_ranges() -> None:
    assert plan.routes(PLACE, [node("a", "10.89.0.2", pod_cidr="10.244.0.0/24")]) == DEAD_ENDS


def test_every_other_node_is_the_way_to_its_own_pods() -> None:
    found = plan.routes(PLACE, [node("a", "10.89.0.2", pod_cidr="10.244.0.0/24"),
                                node("b", "10.89.0.3", pod_cidr="10.244.1.0/24")])
    assert found - DEAD_ENDS == {Route("10.244.1.0/24", gateway="10.89.0.3", source="10.89.0.2")}


def test_nodes_that_lack_an_address_or_a_range_have_no_route_yet() -> None:
    assert plan.routes(PLACE, [node("b", "10.89.0.3"), node("c", pod_cidr="10.244.2.0/24"),
                               node("d", "fd00::1", pod_cidr="10.244.3.0/24"),
                               node("e", "10.89.0.9", pod_cidr="nonsense")]) == DEAD_ENDS


def test_another_node_that_claims_our_address_gets_no_route() -> None:
    assert plan.routes(PLACE, [node("b", "10.89.0.2", pod_cidr="10.244.1.0/24")]) == DEAD_ENDS


def test_cluster_without_ranges_has_no_dead_ends() -> None:
    assert plan.routes(Place("a", "10.89.0.2", "", ""), []) == set()


def test_pods_get_addresses_of_the_nodes_range_and_fit_its_link() -> None:
    ptp, portmap = plan.cni_configuration("10.244.0.0/24", 1400, "/state")["plugins"]
    assert (ptp["type"], ptp["mtu"], ptp["ipam"]["ranges"]) == ("ptp", 1400, [[{"subnet": "10.244.0.0/24"}]])
    assert portmap["capabilities"] == {"portMappings": True}


def test_pods_keep_their_address_towards_pods_services_and_nodes_alone() -> None:
    text = plan.table("t", PLACE, ["10.244.0.0/24"], [node("b", "10.89.0.3")])
    assert "set cluster { type ipv4_addr; flags interval; auto-merge; elements = { " \
           "10.244.0.0/16, 10.244.0.0/24, 10.89.0.2, 10.89.0.3, 10.96.0.0/16 }; }" in text
