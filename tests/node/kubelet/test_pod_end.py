"""A pod's end on the simulated runtime: deletion, grace periods, and what is left behind."""

from __future__ import annotations

import asyncio

import pytest
from support.kubelet_bench import NodeBench, make_pod, state

from timonier.node.cri.simulated import Behaviour


async def test_deletion_stops_containers_and_removes_every_trace(node: NodeBench) -> None:
    pod = await node.create(make_pod(volumes=[{"name": "v", "emptyDir": {}}]))
    assert (node.folder / "kubelet/pods" / pod.metadata.uid).exists()
    await node.delete("web")
    assert node.gone("web")
    assert node.runtime.records == {}
    assert node.runtime.boxes == {}
    assert not (node.folder / "kubelet/pods" / pod.metadata.uid).exists()
    assert not list((node.folder / "logs").iterdir())
    assert "Normal Killing Stopping container c" in node.events


async def test_container_that_ignores_the_stop_signal_is_killed_after_the_grace_period(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(stop_takes=None)]
    await node.create(make_pod(terminationGracePeriodSeconds=20))
    await node.delete("web")
    await node.advance(19)
    assert state(node.pod("web")) == "running"
    await node.advance(2)
    assert node.gone("web")


async def test_deleting_again_with_less_grace_shortens_it(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(stop_takes=None)]
    await node.create(make_pod())
    await node.delete("web", grace=300)
    await node.advance(5)
    await node.delete("web", grace=1)
    await node.advance(3)
    assert node.gone("web")


async def test_force_deleted_pod_is_stopped_though_the_api_has_forgotten_it(node: NodeBench) -> None:
    await node.create(make_pod())
    node.api.drop("default/web")
    await node.settle()
    await node.advance(1)
    assert node.runtime.records == {}
    assert node.runtime.boxes == {}


async def test_start_under_way_is_finished_before_the_pod_is_stopped(node: NodeBench,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    start, broken_off = node.runtime.start_container, []

    async def slow(container_id: str) -> None:
        try:
            await node.clock.sleep(1)
        except asyncio.CancelledError:
            broken_off.append(container_id)
            raise
        await start(container_id)

    monkeypatch.setattr(node.runtime, "start_container", slow)
    await node.create(make_pod())
    await node.delete("web")
    assert not node.gone("web")
    await node.advance(1)
    assert not broken_off
    assert node.events[-2:] == ["Normal Started Container started", "Normal Killing Stopping container c"]
    assert node.gone("web")


async def test_pre_stop_hook_uses_up_the_grace_period(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(stop_takes=None)]
    lifecycle = {"preStop": {"sleep": {"seconds": 8}}}
    await node.create(make_pod("web", {"lifecycle": lifecycle}, terminationGracePeriodSeconds=10))
    await node.delete("web")
    await node.advance(7)
    assert ("stop_container", "c") not in node.runtime.calls
    await node.advance(3)
    assert node.gone("web")
