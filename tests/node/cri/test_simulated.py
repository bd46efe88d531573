"""The simulated runtime behaves like a runtime."""

from __future__ import annotations

import asyncio

import pytest

from timonier.kit.clock import FakeClock
from timonier.node.cri import contract as c
from timonier.node.cri.simulated import Behaviour, SimulatedRuntime

BOX = c.SandboxConfig("web", "u1", "default", log_directory="/logs")


async def started(runtime: SimulatedRuntime, name: str = "c") -> tuple[str, str]:
    await runtime.pull_image("app:1", None, None)
    sandbox = await runtime.run_sandbox(BOX)
    container = await runtime.create_container(sandbox, c.ContainerConfig(name, "app:1", log_path="c/0.log"), BOX)
    await runtime.start_container(container)
    return sandbox, container


async def test_container_ends_when_its_time_is_over_and_says_so() -> None:
    clock = FakeClock()
    runtime = SimulatedRuntime(clock)
    runtime.behaviours["c"] = [Behaviour(runs=5, exit_code=2)]
    heard: list[c.RuntimeEvent] = []

    async def listen() -> None:
        async for event in runtime.events():
            heard.append(event)

    listener = asyncio.create_task(listen())
    await clock.settle()
    _, container = await started(runtime)
    await clock.advance(4)
    assert (await runtime.container_status(container)).state is c.ContainerState.RUNNING
    await clock.advance(1)
    status = await runtime.container_status(container)
    assert (status.state, status.exit_code, status.finished_at - status.started_at) == (c.ContainerState.EXITED, 2, 5)
    assert c.RuntimeEvent(c.EventType.CONTAINER_EXITED, container) in heard
    listener.cancel()
    await runtime.close()


async def test_stopping_waits_for_the_container_and_kills_it_in_the_end() -> None:
    clock = FakeClock()
    runtime = SimulatedRuntime(clock)
    runtime.behaviours["c"] = [Behaviour(stop_takes=None)]
    _, container = await started(runtime)
    stop = asyncio.create_task(runtime.stop_container(container, 10))
    await clock.advance(9)
    assert not stop.done()
    await clock.advance(1)
    await stop
    assert (await runtime.container_status(container)).exit_code == 137


async def test_addresses_are_given_back() -> None:
    runtime = SimulatedRuntime(FakeClock(), "10.1.0.0/30")
    first = await runtime.run_sandbox(BOX)
    assert (await runtime.sandbox_status(first)).ips == ("10.1.0.2",)
    with pytest.raises(c.RuntimeFailure, match="no IP addresses"):
        await runtime.run_sandbox(BOX)
    await runtime.remove_sandbox(first)
    second = await runtime.run_sandbox(BOX)
    assert (await runtime.sandbox_status(second)).ips == ("10.1.0.2",)


async def test_what_is_gone_is_not_found() -> None:
    runtime = SimulatedRuntime(FakeClock())
    with pytest.raises(c.NotInRuntime):
        await runtime.container_status("nobody")
    await runtime.stop_container("nobody", 1)
    await runtime.remove_sandbox("nobody")
