"""The pod network in a namespace of the test: routes, rules, sysctls, and pods that CNI's own plugins attach."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.mirrors import HandMirror
from support.netlab import Namespace, Responder, connect, loop_in
from support.services import node

from timonier.kit.clock import SystemClock
from timonier.kit.nft import Nftables
from timonier.node.net import routes
from timonier.node.net.plan import Place
from timonier.node.net.run import CONFIGURATION, TABLE, Network, run_network, write_sysctls

pytestmark = pytest.mark.machine

HERE, THERE = "10.89.8.2", "10.89.8.3"
PLUGINS = "/usr/lib/cni"


@pytest.fixture
def space() -> Iterator[Namespace]:
    home, away = Namespace("home"), Namespace("away")
    connect(home, "eth0", away, "eth0")
    home.ip(f"addr add {HERE}/24 dev eth0")
    home.ip("link set eth0 mtu 1420")
    yield home
    home.delete()
    away.delete()


@pytest.fixture
def submit(space: Namespace) -> Iterator[Callable[[Any], Any]]:
    with loop_in(space) as submit:
        yield submit


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, "never happened"
        time.sleep(0.02)


def start(submit: Callable[[Any], Any], nodes: HandMirror[Any], folder: Path, **options: Any) -> asyncio.Event:
    async def begin() -> asyncio.Event:
        ready = asyncio.Event()
        start.task = asyncio.create_task(run_network(  # type: ignore[attr-defined]
            node_name="a", node_ip=HERE, cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16",
            cni_conf_dir=folder / "net.d", nodes=nodes, on_ready=ready.set, **options))
        return ready
    made: asyncio.Event = submit(begin())
    return made


def test_network_is_ready_once_the_node_has_its_range(
        space: Namespace, submit: Callable[[Any], Any], tmp_path: Path) -> None:
    nodes = HandMirror(node("a", HERE))
    ready = start(submit, nodes, tmp_path)
    eventually(lambda: "10.96.0.0/16 dev lo" in space.ip("route"))
    assert not ready.is_set()
    assert not (tmp_path / "net.d" / CONFIGURATION).exists()

    async def give_range() -> None:
        nodes.put(node("a", HERE, pod_cidr="10.244.0.0/24"))
        await asyncio.wait_for(ready.wait(), 3)
    submit(give_range())
    written = json.loads((tmp_path / "net.d" / CONFIGURATION).read_text())
    assert written["plugins"][0]["mtu"] == 1420
    assert space.run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"


def test_routes_follow_the_nodes(space: Namespace, submit: Callable[[Any], Any], tmp_path: Path) -> None:
    nodes = HandMirror(node("a", HERE, pod_cidr="10.244.0.0/24"), node("b", THERE, pod_cidr="10.244.1.0/24"))
    start(submit, nodes, tmp_path)
    eventually(lambda: f"10.244.1.0/24 via {THERE}" in space.ip("route"))

    async def move() -> None:
        nodes.remove("b")
        nodes.put(node("c", "10.89.8.4", pod_cidr="10.244.2.0/24"))
    submit(move())
    eventually(lambda: "10.244.2.0/24 via 10.89.8.4" in space.ip("route"))
    assert "10.244.1.0/24" not in space.ip("route")


def test_new_process_takes_over_the_routes_of_the_last_and_leaves_those_of_others(space: Namespace) -> None:
    space.ip(f"route add 10.244.9.0/24 via {THERE} proto {routes.OURS}")
    space.ip(f"route add 172.31.0.0/16 via {THERE}")
    assert space.inside(lambda: routes.show(set())) == {}
    assert "10.244.9.0/24" not in space.ip("route")
    assert "172.31.0.0/16" in space.ip("route")


def test_routes_of_the_last_process_stand_until_the_nodes_are_known(space: Namespace, tmp_path: Path) -> None:
    space.ip(f"route add 10.244.1.0/24 via {THERE} proto {routes.OURS}")
    nodes: HandMirror[Any] = HandMirror()
    nodes.synced.clear()
    network = space.inside(lambda: Network(Place("a", HERE, "10.244.0.0/16", ""), "10.244.0.0/24", nodes,
                                           tmp_path, tmp_path, Nftables(), TABLE, SystemClock()))
    assert space.inside(network.sync)
    assert "10.244.1.0/24" in space.ip("route")
    nodes.synced.set()
    assert space.inside(network.sync)
    assert "10.244.1.0/24" not in space.ip("route")


def test_route_that_the_kernel_refuses_is_reported_and_the_others_stand(space: Namespace) -> None:
    from timonier.node.net.plan import Route
    unreachable, fine = Route("10.244.1.0/24", gateway="203.0.113.9"), Route("10.244.2.0/24", gateway=THERE)
    assert space.inside(lambda: routes.show({unreachable, fine})).keys() == {unreachable}
    assert "10.244.2.0/24" in space.ip("route")


def test_rules_return_after_somebody_flushed_them(space: Namespace, tmp_path: Path) -> None:
    nodes = HandMirror(node("a", HERE, pod_cidr="10.244.0.0/24"))
    network = space.inside(lambda: Network(Place("a", HERE, "10.244.0.0/16", ""), "", nodes,
                                           tmp_path, tmp_path, Nftables(), TABLE, SystemClock()))
    for _ in range(2):
        assert space.inside(network.sync)
        assert "masquerade" in space.run("nft", "list", "table", "ip", TABLE)
        space.run("nft", "flush", "ruleset")


def test_pods_attached_by_cni_reach_each_other_through_the_node(
        space: Namespace, submit: Callable[[Any], Any], tmp_path: Path) -> None:
    start(submit, HandMirror(node("a", HERE, pod_cidr="10.244.0.0/24")), tmp_path)
    eventually((tmp_path / "net.d" / CONFIGURATION).exists)
    configuration = json.loads((tmp_path / "net.d" / CONFIGURATION).read_text())
    pods = [Namespace("cni1"), Namespace("cni2")]
    try:
        addresses = [cni(space, "ADD", configuration, pod)["ips"][0]["address"].split("/")[0] for pod in pods]
        assert all(address.startswith("10.244.0.") for address in addresses)
        assert "mtu 1420" in pods[0].ip("link show eth0")
        responder = Responder(pods[1], "second", 8080)
        try:
            assert pods[0].ask(addresses[1], 8080) == f"second {addresses[0]}"
            assert space.ask(addresses[1], 8080).startswith("second ")
        finally:
            responder.close()
        for pod in pods:
            cni(space, "DEL", configuration, pod)
        with pods[0].tcp() as client:
            assert client.connect_ex((addresses[1], 8080))
    finally:
        for pod in pods:
            pod.delete()


def cni(space: Namespace, command: str, configuration: dict[str, Any], pod: Namespace) -> dict[str, Any]:
    """Run the first plugin of a configuration, as a runtime would."""
    plugin = configuration["plugins"][0] | {key: configuration[key] for key in ("cniVersion", "name")}
    environment = os.environ | {"CNI_COMMAND": command, "CNI_CONTAINERID": pod.name, "CNI_IFNAME": "eth0",
                                "CNI_NETNS": f"/run/netns/{pod.name}", "CNI_PATH": PLUGINS}
    done = subprocess.run(["nsenter", f"--net=/run/netns/{space.name}", f"{PLUGINS}/{plugin['type']}"],
                          input=json.dumps(plugin), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


def test_sysctl_that_cannot_be_set_is_reported_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sysctls(tmp_path)
    assert "cannot set sysctl" in caplog.text
