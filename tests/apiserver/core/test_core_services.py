"""Services: addresses and node ports, of which each is given out once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, running

from timonier.apiserver.allocate import Addresses, Ports
from timonier.apiserver.maintenance import repair_claims

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]} | spec}


async def test_a_service_gets_an_address(cluster: Cluster) -> None:
    made = (await cluster.post(SERVICES, service())).json
    address = made["spec"]["clusterIP"]
    assert address.startswith("10.96.")
    assert made["spec"]["clusterIPs"] == [address]
    assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert made["status"] == {"loadBalancer": {}}
    claim = (await cluster.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}")).json
    assert claim["spec"]["parentRef"] == {"group": "", "resource": "services", "namespace": "default", "name": "web"}


async def test_the_kubernetes_service_has_the_first_address(cluster: Cluster) -> None:
    assert (await cluster.get(f"{SERVICES}/kubernetes")).json["spec"]["clusterIP"] == "10.96.0.1"
    endpoints = (await cluster.get("/api/v1/namespaces/default/endpoints/kubernetes")).json
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.0.0.1"}]


@pytest.mark.parametrize(("address", "why"), [
    pytest.param("10.96.0.1", 'failed to allocate IP 10.96.0.1: provided IP is already allocated', id="taken"),
    pytest.param("10.1.2.3", "failed to allocate IP 10.1.2.3: the provided IP (10.1.2.3) is not in the valid range. "
                             "The range of valid IPs is 10.96.0.0/16", id="outside"),
])
async def test_addresses_that_cannot_be_had(cluster: Cluster, address: str, why: str) -> None:
    reply = await cluster.post(SERVICES, service(clusterIP=address))
    assert reply.code == 422
    assert reply.message == f'Service "web" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: {why}'


async def test_an_address_can_be_asked_for_and_comes_back_on_deletion(cluster: Cluster) -> None:
    for _ in range(2):
        made = await cluster.post(SERVICES, service(clusterIP="10.96.0.10"))
        assert made.json["spec"]["clusterIP"] == "10.96.0.10"
        assert (await cluster.delete(f"{SERVICES}/web")).code == 200


async def test_a_refused_service_gives_back_what_it_claimed(cluster: Cluster) -> None:
    reply = await cluster.post(SERVICES, service("UPPER", clusterIP="10.96.0.10", type="NodePort"))
    assert reply.code == 422
    assert (await cluster.post(SERVICES, service(clusterIP="10.96.0.10"))).code == 201


async def test_dry_run_claims_nothing(cluster: Cluster) -> None:
    for _ in range(2):
        assert (await cluster.post(f"{SERVICES}?dryRun=All", service(clusterIP="10.96.0.10"))).code == 201


async def test_node_ports_are_given_kept_and_given_back(cluster: Cluster) -> None:
    made = (await cluster.post(SERVICES, service(type="NodePort"))).json
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    again = (await cluster.put(f"{SERVICES}/web", service(type="NodePort"))).json
    assert again["spec"]["ports"][0]["nodePort"] == port
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    taken = await cluster.post(SERVICES, service("other", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    assert taken.message == ('Service "other" is invalid: spec.ports[0].nodePort: Invalid value: '
                             f'{port}: provided port is already allocated')
    plain = (await cluster.put(f"{SERVICES}/web", again | {"spec": again["spec"] | {"type": "ClusterIP"}})).json
    assert "nodePort" not in plain["spec"]["ports"][0]
    assert (await cluster.post(SERVICES, service("other", type="NodePort",
                                                 ports=[{"port": 80, "nodePort": port}]))).code == 201


async def test_node_ports_outside_the_range_are_refused(cluster: Cluster) -> None:
    reply = await cluster.post(SERVICES, service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    assert reply.message == ('Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is '
                             'not in the valid range. The range of valid ports is 30000-32767')


async def test_headless_and_external_services_need_no_address(cluster: Cluster) -> None:
    headless = (await cluster.post(SERVICES, service("headless", clusterIP="None"))).json
    assert headless["spec"]["clusterIPs"] == ["None"]
    external = await cluster.post(SERVICES, {"metadata": {"name": "ext"}, "spec": {
        "type": "ExternalName", "externalName": "example.com"}})
    assert external.code == 201, external.content
    assert "clusterIP" not in external.json["spec"]
    claims = (await cluster.get("/apis/networking.k8s.io/v1/ipaddresses")).json["items"]
    assert [claim["metadata"]["name"] for claim in claims] == ["10.96.0.1"]


async def test_many_at_once_get_different_things_until_nothing_is_left(tmp_path: Path) -> None:
    async with running(tmp_path, service_cluster_ip_range="10.96.0.0/28",
                       service_node_port_range="30000-30019") as cluster:
        replies = await asyncio.gather(*(cluster.post(SERVICES, service(f"s{n}", type="NodePort")) for n in range(20)))
        made = [reply.json["spec"] for reply in replies if reply.code == 201]
        refused = [reply for reply in replies if reply.code != 201]
        addresses = {spec["clusterIP"] for spec in made}
        assert len(made) == len(addresses) == len({spec["ports"][0]["nodePort"] for spec in made}) == 13
        assert {reply.message for reply in refused} == {
            "Internal error occurred: failed to allocate a serviceIP: range is full"}
        # What the refused ones had claimed meanwhile is free again.
        lucky = next(reply for reply in replies if reply.code == 201)
        await cluster.delete(f"{SERVICES}/{lucky.json['metadata']['name']}")
        assert (await cluster.post(SERVICES, service("last", type="NodePort"))).code == 201


async def test_claims_that_a_crash_left_behind_are_given_back(cluster: Cluster) -> None:
    import ipaddress

    addresses = Addresses(cluster.store, ipaddress.ip_network("10.96.0.0/16"), cluster.clock)
    ports, seen = Ports(cluster.store, 30000, 32767), dict[int, float]()
    await addresses.claim("10.96.0.77", "default/ghost")
    await ports.claim(30077, "default/ghost")
    await repair_claims(cluster.registry, addresses, ports, seen)
    assert await cluster.store.get("/timonier/nodeports/30077")
    await cluster.clock.advance(600)
    await repair_claims(cluster.registry, addresses, ports, seen)
    assert await cluster.store.get("/timonier/nodeports/30077") is None
    assert await cluster.store.get("/ipaddresses.networking.k8s.io/10.96.0.77") is None
    assert await cluster.store.get("/ipaddresses.networking.k8s.io/10.96.0.1")
