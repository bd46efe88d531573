"""Real packets through the proxy: a node with two pods, a second node with one, and a client outside the cluster."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.mirrors import HandMirror
from support.netlab import Namespace, Responder, attach_pod, connect, loop_in
from support.services import endpoint, node, service, slice_of

from timonier.api.types import core_v1, discovery_v1
from timonier.kit.nft import Nftables
from timonier.node.net.run import run_network
from timonier.node.proxy import run as proxy_run
from timonier.node.proxy.ledger import Ledger
from timonier.node.proxy.nftables import KernelTable
from timonier.node.proxy.rules import NodeFacts, routes
from timonier.node.proxy.run import run_proxy

pytestmark = pytest.mark.machine

VIP = "10.96.0.5"
NODE, OTHER_NODE, OUTSIDE = "10.89.7.2", "10.89.7.3", "10.89.7.1"
POD1, POD2, POD3 = "10.244.0.11", "10.244.0.12", "10.244.1.13"


@dataclass
class Lab:
    node: Namespace
    other: Namespace
    outside: Namespace
    pod1: Namespace
    pod2: Namespace
    pod3: Namespace
    services: HandMirror[core_v1.Service] = field(default_factory=HandMirror)
    slices: HandMirror[discovery_v1.EndpointSlice] = field(default_factory=HandMirror)
    submit: Callable[[Any], Any] = lambda work: work
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _proxy: list[proxy_run.Proxy] = field(default_factory=list)

    def give(self, *objects: core_v1.Service | discovery_v1.EndpointSlice) -> None:
        """Change the mirrors and wait until the kernel has it."""
        async def change() -> None:
            for each in objects:
                mirror: HandMirror[Any] = self.services if isinstance(each, core_v1.Service) else self.slices
                mirror.put(each)
        self.submit(change())
        self.settle()

    def settle(self) -> None:
        until = time.monotonic() + 10
        while not self._proxy[0].idle:
            assert time.monotonic() < until, "the proxy never came to rest"
            time.sleep(0.002)

    def clear(self) -> None:
        async def change() -> None:
            for mirror in (self.services, self.slices):
                for each in mirror.list():
                    mirror.remove(f"{each.metadata.namespace}/{each.metadata.name}")
        self.submit(change())
        self.settle()


@pytest.fixture(scope="module")
def whole_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    spaces = [Namespace(name) for name in ("node", "other", "out", "pod1", "pod2", "pod3")]
    lab = Lab(*spaces)
    responders = []
    try:
        wire_up(lab)
        responders = [Responder(lab.pod1, "pod1", 8080), Responder(lab.pod2, "pod2", 8080),
                      Responder(lab.pod3, "pod3", 8080)]
        with loop_in(lab.node) as submit:
            lab.submit = submit
            with pytest.MonkeyPatch.context() as monkeypatch:
                submit(start(lab, tmp_path_factory.mktemp("cni"), monkeypatch))
            yield lab
    finally:
        for responder in responders:
            responder.close()
        for space in spaces:
            space.delete()


def wire_up(lab: Lab) -> None:
    """A switch outside, to which both nodes are connected, and the pods on their nodes."""
    lab.outside.ip("link add br0 type bridge")
    lab.outside.ip("link set br0 up")
    lab.outside.ip(f"addr add {OUTSIDE}/24 dev br0")
    lab.outside.ip(f"route add 10.96.0.0/16 via {NODE}")
    for each, address, port in ((lab.node, NODE, "p1"), (lab.other, OTHER_NODE, "p2")):
        connect(each, "eth0", lab.outside, port)
        lab.outside.ip(f"link set {port} master br0")
        each.ip(f"addr add {address}/24 dev eth0")
        each.ip(f"route add default via {OUTSIDE}")
    attach_pod(lab.node, lab.pod1, POD1, "10.244.0.1", "veth1")
    attach_pod(lab.node, lab.pod2, POD2, "10.244.0.1", "veth2")
    attach_pod(lab.other, lab.pod3, POD3, "10.244.1.1", "veth3")
    lab.other.ip(f"route add 10.244.0.0/24 via {NODE}")
    lab.other.inside(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))


async def start(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = HandMirror(node("a", NODE, pod_cidr="10.244.0.0/24"), node("b", OTHER_NODE, pod_cidr="10.244.1.0/24"))
    ready, network_ready = asyncio.Event(), asyncio.Event()
    made = proxy_run.Proxy

    def keep(*arguments: Any) -> proxy_run.Proxy:
        lab._proxy.append(made(*arguments))
        return lab._proxy[0]

    monkeypatch.setattr(proxy_run, "Proxy", keep)
    lab.tasks = [
        asyncio.create_task(run_network(node_name="a", node_ip=NODE, cluster_cidr="10.244.0.0/16",
                                        service_cidr="10.96.0.0/16", cni_conf_dir=folder / "net.d", nodes=nodes,
                                        on_ready=network_ready.set)),
        asyncio.create_task(run_proxy(node_name="a", addresses=[NODE], services=lab.services, slices=lab.slices,
                                      nodes=nodes, service_cidrs=["10.96.0.0/16"], on_ready=ready.set)),
    ]
    await asyncio.wait_for(asyncio.gather(ready.wait(), network_ready.wait()), 5)


@pytest.fixture
def lab(whole_lab: Lab) -> Iterator[Lab]:
    yield whole_lab
    whole_lab.clear()


def three(name: str = "web", **slice_: Any) -> discovery_v1.EndpointSlice:
    return slice_of(name, endpoint(POD1), endpoint(POD2), endpoint(POD3, node="b"), **slice_)


def who(said: str) -> str:
    return said.split()[0]


def udp_ask(client: socket.socket, address: str, port: int) -> str:
    client.sendto(b"?", (address, port))
    return client.recv(100).decode()


def test_cluster_ip_reaches_every_endpoint_about_equally(lab: Lab) -> None:
    lab.give(service("web", VIP), three())
    seen = Counter(who(lab.pod1.ask(VIP, 80)) for _ in range(300))
    assert seen.keys() == {"pod1", "pod2", "pod3"}
    assert min(seen.values()) > 60


def test_pods_are_seen_by_their_own_address(lab: Lab) -> None:
    lab.give(service("web", VIP), slice_of("web", endpoint(POD3, node="b")))
    assert lab.pod1.ask(VIP, 80) == f"pod3 {POD1}"


def test_node_itself_reaches_a_cluster_ip(lab: Lab) -> None:
    lab.give(service("web", VIP), three())
    assert {lab.node.ask(VIP, 80) for _ in range(40)} == {f"pod1 {NODE}", f"pod2 {NODE}", f"pod3 {NODE}"}


def test_pod_reaches_itself_through_its_service(lab: Lab) -> None:
    lab.give(service("web", VIP), slice_of("web", endpoint(POD1)))
    assert lab.pod1.ask(VIP, 80) == "pod1 10.244.0.1"


def test_machine_outside_reaches_a_cluster_ip_by_way_of_the_node(lab: Lab) -> None:
    lab.give(service("web", VIP), three())
    assert {who(lab.outside.ask(VIP, 80)) for _ in range(40)} == {"pod1", "pod2", "pod3"}


def test_udp_reaches_endpoints_and_comes_back_from_the_service(lab: Lab) -> None:
    lab.give(service("dns", VIP, port=53, protocol="UDP"), three("dns", protocol="UDP"))
    with lab.pod1.udp() as client:
        client.connect((VIP, 53))
        client.send(b"?")
        assert who(client.recv(100).decode()) in ("pod1", "pod2", "pod3")


def test_node_port_of_the_node_reaches_all_endpoints_and_hides_the_client(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080), three())
    said = {lab.outside.ask(NODE, 30080) for _ in range(40)}
    assert {who(each) for each in said} == {"pod1", "pod2", "pod3"}
    assert not any(OUTSIDE in each for each in said)


def test_node_port_does_not_answer_on_localhost(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080), three())
    with pytest.raises(ConnectionRefusedError):
        lab.node.ask("127.0.0.1", 30080)


def test_pod_of_this_node_and_node_itself_reach_the_node_port(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080), three())
    for client in (lab.pod1, lab.node, lab.pod3):
        assert {who(client.ask(NODE, 30080)) for _ in range(40)} == {"pod1", "pod2", "pod3"}


def test_local_external_policy_keeps_the_client_and_the_traffic_on_the_node(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080, externalTrafficPolicy="Local"), three())
    assert {lab.outside.ask(NODE, 30080) for _ in range(30)} == {f"pod1 {OUTSIDE}", f"pod2 {OUTSIDE}"}
    assert {who(lab.pod1.ask(NODE, 30080)) for _ in range(40)} == {"pod1", "pod2", "pod3"}


def test_local_external_policy_drops_where_only_other_nodes_have_endpoints(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080, externalTrafficPolicy="Local"),
             slice_of("web", endpoint(POD3, node="b")))
    with lab.outside.tcp() as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.connect((NODE, 30080))
    assert who(lab.pod1.ask(NODE, 30080)) == "pod3"


def test_local_internal_policy_stays_on_the_node(lab: Lab) -> None:
    lab.give(service("web", VIP, internalTrafficPolicy="Local"), three())
    assert {who(lab.pod1.ask(VIP, 80)) for _ in range(30)} == {"pod1", "pod2"}


def test_external_and_load_balancer_addresses_reach_endpoints(lab: Lab) -> None:
    lab.give(service("web", VIP, externalIPs=["192.0.2.1"], type="LoadBalancer", ingress=("192.0.2.2",),
                     loadBalancerSourceRanges=["10.244.0.0/16"]), three())
    assert who(lab.pod1.ask("192.0.2.1", 80)) in ("pod1", "pod2", "pod3")
    assert who(lab.pod1.ask("192.0.2.2", 80)) in ("pod1", "pod2", "pod3")
    lab.outside.ip(f"route replace 192.0.2.2/32 via {NODE}")
    with lab.outside.tcp() as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.connect(("192.0.2.2", 80))


def test_client_ip_affinity_returns_to_the_same_endpoint_until_it_is_gone(lab: Lab) -> None:
    lab.give(service("web", VIP, sessionAffinity="ClientIP"), three())
    first = {who(lab.pod1.ask(VIP, 80)) for _ in range(20)}
    assert len(first) == 1
    gone = {"pod1": POD1, "pod2": POD2, "pod3": POD3}[first.pop()]
    rest = [endpoint(address, node="b" if address == POD3 else "a") for address in (POD1, POD2, POD3)
            if address != gone]
    lab.give(slice_of("web", *rest))
    second = {who(lab.pod1.ask(VIP, 80)) for _ in range(20)}
    assert len(second) == 1
    lab.give(service("web", VIP), three())
    assert len({who(lab.pod1.ask(VIP, 80)) for _ in range(60)}) == 3


def test_client_of_a_node_port_with_affinity_returns_too(lab: Lab) -> None:
    lab.give(service("web", VIP, node_port=30080, sessionAffinity="ClientIP"), three())
    assert len({who(lab.outside.ask(NODE, 30080)) for _ in range(20)}) == 1


def test_endpoint_on_the_node_itself_answers_and_is_remembered(lab: Lab) -> None:
    responder = Responder(lab.node, "node", 8080)
    try:
        lab.give(service("web", VIP, sessionAffinity="ClientIP"), slice_of("web", endpoint(NODE), endpoint(POD2)))
        assert len({who(lab.pod1.ask(VIP, 80)) for _ in range(20)}) == 1
        lab.give(service("web", VIP), slice_of("web", endpoint(NODE)))
        assert lab.pod1.ask(VIP, 80) == f"node {POD1}"
        assert lab.node.ask(VIP, 80) == f"node {NODE}"
    finally:
        responder.close()


@pytest.mark.parametrize("client", ["pod1", "node", "outside"])
def test_service_without_endpoints_refuses_at_once(lab: Lab, client: str) -> None:
    lab.give(service("web", VIP, node_port=30080))
    for address, port in ((VIP, 80), (NODE, 30080)):
        with pytest.raises(ConnectionRefusedError):
            getattr(lab, client).ask(address, port)


@pytest.mark.parametrize("client", ["pod1", "node", "outside"])
def test_addresses_and_ports_that_no_service_claims_are_refused(lab: Lab, client: str) -> None:
    lab.give(service("web", VIP), three())
    for address, port in (("10.96.77.77", 80), (VIP, 81)):
        with pytest.raises(ConnectionRefusedError):
            getattr(lab, client).ask(address, port)


def test_udp_to_an_unclaimed_address_is_refused(lab: Lab) -> None:
    with lab.pod1.udp() as client:
        client.connect(("10.96.77.77", 53))
        client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)


def test_pods_that_are_not_there_are_unreachable_at_once_and_nothing_leaves_the_node(lab: Lab) -> None:
    sniffer = lab.node.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)))
    sniffer.bind(("eth0", 0x0800))
    sniffer.setblocking(False)
    try:
        for address in ("10.244.0.99", "10.244.9.9", "10.96.3.3"):
            for client in (lab.pod1, lab.node):
                with client.tcp() as asker:
                    assert asker.connect_ex((address, 80)) in (errno.EHOSTUNREACH, errno.ECONNREFUSED)
        leaked = []
        try:
            while packet := sniffer.recv(2000):
                leaked.append(socket.inet_ntoa(packet[16:20]))
        except BlockingIOError:
            pass
        assert not [each for each in leaked if each in ("10.244.0.99", "10.244.9.9", "10.96.3.3")]
    finally:
        sniffer.close()


def test_pods_leave_the_cluster_under_the_address_of_their_node(lab: Lab) -> None:
    responder = Responder(lab.outside, "outside", 9090)
    try:
        assert lab.pod1.ask(OUTSIDE, 9090) == f"outside {NODE}"
        assert lab.pod1.ask(POD3, 8080) == f"pod3 {POD1}"
    finally:
        responder.close()


def test_udp_client_moves_on_when_its_endpoint_vanishes(lab: Lab) -> None:
    lab.give(service("dns", VIP, port=53, protocol="UDP"), slice_of("dns", endpoint(POD2), protocol="UDP"))
    with lab.pod1.udp() as client:
        client.connect((VIP, 53))
        client.send(b"?")
        assert who(client.recv(100).decode()) == "pod2"
        lab.give(slice_of("dns", endpoint(POD3, node="b"), protocol="UDP"))
        client.send(b"?")
        assert who(client.recv(100).decode()) == "pod3"


def test_udp_client_that_came_too_early_is_served_once_there_is_an_endpoint(lab: Lab) -> None:
    with lab.pod1.udp() as client:
        client.connect((VIP, 53))
        client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
        lab.give(service("dns", VIP, port=53, protocol="UDP"), slice_of("dns", endpoint(POD2), protocol="UDP"))
        client.send(b"?")
        assert who(client.recv(100).decode()) == "pod2"


def test_open_connections_and_new_ones_survive_full_replacements(lab: Lab) -> None:
    lab.give(service("web", VIP), three())
    failures: list[str] = []
    asked, stop = Counter[str](), threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                asked[who(lab.pod1.ask(VIP, 80))] += 1
            except OSError as error:
                failures.append(str(error))

    asker = threading.Thread(target=keep_asking)
    asker.start()
    for _ in range(20):
        lab.node.inside(lambda: replace_table(lab))
        time.sleep(0.02)
    stop.set()
    asker.join()
    assert not failures
    assert sum(asked.values()) > 50


def replace_table(lab: Lab) -> None:
    """Write the whole table anew, as a proxy that has just started does."""
    facts = NodeFacts("a", (NODE,), ("10.244.0.0/24",), ("10.96.0.0/16",))
    ledger = Ledger()
    ledger.update({each.metadata.name: routes(each, lab.slices.list(), facts) for each in lab.services.list()})
    kernel = KernelTable(proxy_run.TABLE, Nftables())
    kernel.replace(ledger.elements(), [NODE, "10.244.0.0/24"], ["10.96.0.0/16"])
    kernel.close()


def test_rules_return_after_somebody_flushed_them(lab: Lab) -> None:
    lab.give(service("web", VIP), three())
    lab.node.run("nft", "flush", "ruleset")
    until = time.monotonic() + proxy_run.INSPECT + 3
    while True:
        try:
            assert who(lab.pod1.ask(VIP, 80))
            return
        except OSError:
            assert time.monotonic() < until, "rules did not return"
            time.sleep(0.1)
