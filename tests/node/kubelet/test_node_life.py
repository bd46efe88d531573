"""A node on the simulated runtime: how it registers, when it is ready, and which pods it takes."""

from __future__ import annotations

import copy
from pathlib import Path

from support.kubelet_bench import NodeBench, make_pod, node_bench, state

from timonier.api.types import core_v1
from timonier.node.cri.simulated import Behaviour


async def test_pod_beyond_the_nodes_room_is_turned_away(tmp_path: Path) -> None:
    async with node_bench(tmp_path, max_pods=1) as node:
        await node.create(make_pod("one"))
        pod = await node.create(make_pod("two"))
        assert (pod.status.phase, pod.status.reason) == ("Failed", "OutOfpods")
        assert pod.status.message == ("Pod was rejected: Node didn't have enough resource: pods, requested: 1, "
                                      "used: 1, capacity: 1")
        assert node.runtime.named("c")[0].sandbox_id
        assert len(node.runtime.boxes) == 1


async def test_pod_that_the_api_has_forgotten_takes_no_room(tmp_path: Path) -> None:
    async with node_bench(tmp_path, max_pods=1) as node:
        node.runtime.behaviours["c"] = [Behaviour(stop_takes=20)]
        await node.create(make_pod("one"))
        node.api.drop("default/one")
        await node.settle()
        assert len(node.runtime.boxes) == 1, "it is still being stopped"
        pod = await node.create(make_pod("two"))
        assert pod.status.phase == "Running"


async def test_pod_that_does_not_select_this_node_is_turned_away(node: NodeBench) -> None:
    pod = await node.create(make_pod(nodeSelector={"disk": "ssd"}))
    assert (pod.status.phase, pod.status.reason) == ("Failed", "NodeAffinity")


async def test_node_labelled_a_moment_ago_takes_the_pod_that_wants_the_label(node: NodeBench) -> None:
    labelled = copy.deepcopy(node.api.nodes["n1"])
    labelled.metadata.labels["disk"] = "ssd"
    node.api.nodes["n1"] = labelled
    pod = await node.create(make_pod(nodeSelector={"disk": "ssd"}))
    assert state(pod) == "running"


async def test_node_registers_reports_and_renews_its_lease(tmp_path: Path) -> None:
    async with node_bench(tmp_path, node_labels=("disk=ssd",), register_with_taints=("own=me:NoSchedule",)) as node:
        made = node.api.nodes["n1"]
        assert made.metadata.labels["kubernetes.io/hostname"] == "n1"
        assert made.metadata.labels["disk"] == "ssd"
        assert made.spec.taints == [core_v1.Taint(key="own", value="me", effect="NoSchedule")]
        given = {one.type: (one.status, one.reason, one.message) for one in made.status.conditions}
        assert given["Ready"] == ("True", "KubeletReady", "kubelet is posting ready status")
        assert given["MemoryPressure"] == \
            ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available")
        assert given["PIDPressure"][1] == "KubeletHasSufficientPID"
        assert set(made.status.capacity) == {"cpu", "memory", "pods", "ephemeral-storage", "hugepages-1Gi",
                                             "hugepages-2Mi"}
        before = len(node.api.leases)
        await node.advance(30)
        assert len(node.api.leases) == before + 3
        assert node.api.leases[-1].spec.holderIdentity == "n1"


async def test_node_without_a_runtime_is_not_ready_until_it_is_back(node: NodeBench) -> None:
    from timonier.node.cri.contract import RuntimeUnavailable
    gone = RuntimeUnavailable("UNAVAILABLE", "no such socket")
    node.runtime.failures["containers"] = [gone] * 15
    await node.advance(10)
    await node.advance(10)
    ready = next(one for one in node.api.nodes["n1"].status.conditions if one.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "KubeletNotReady")
    await node.advance(30)
    ready = next(one for one in node.api.nodes["n1"].status.conditions if one.type == "Ready")
    assert ready.status == "True"


async def test_node_that_was_declared_unknown_says_soon_that_it_is_ready(node: NodeBench) -> None:
    def ready() -> str:
        return next(c.status for c in node.api.nodes["n1"].status.conditions if c.type == "Ready")

    unheard = copy.deepcopy(node.api.nodes["n1"])
    for condition in unheard.status.conditions:
        condition.status, condition.reason = "Unknown", "NodeStatusUnknown"
    node.api.nodes["n1"] = unheard
    await node.advance(10)
    assert ready() == "True"
    del node.api.nodes["n1"]
    await node.advance(20)
    assert ready() == "True"
