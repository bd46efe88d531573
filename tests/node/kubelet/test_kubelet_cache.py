"""What is known of the runtime, when news and answers come in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from timonier.kit.clock import FakeClock
from timonier.node.cri import contract as c
from timonier.node.cri.simulated import Behaviour, SimulatedRuntime
from timonier.node.kubelet.cache import RuntimeCache

BOX = c.SandboxConfig("web", "u1", "default", log_directory="/logs")
LABELS = {"io.kubernetes.pod.uid": "u1"}


class Lagging(SimulatedRuntime):
    """Shows a container as running for some time after it told of its end, as containerd does."""

    stale: int = 0

    async def container_status(self, container_id: str) -> c.ContainerStatus:
        status = await super().container_status(container_id)
        if status.state is c.ContainerState.EXITED and self.stale:
            self.stale -= 1
            return c.ContainerStatus(status.id, status.name, status.attempt, c.ContainerState.RUNNING,
                                     status.created_at, status.started_at, 0, 0, status.image, status.image_ref,
                                     labels=status.labels)
        return status


async def made(runtime: SimulatedRuntime, cache: RuntimeCache) -> tuple[str, str]:
    sandbox = await runtime.run_sandbox(BOX)
    container = await runtime.create_container(sandbox, c.ContainerConfig("c", "app:1", labels=LABELS), BOX)
    cache.made(container, sandbox, "u1")
    return sandbox, container


async def test_end_that_comes_before_anybody_looked_is_noticed() -> None:
    clock = FakeClock()
    runtime = Lagging(clock)
    runtime.behaviours["c"] = [Behaviour(runs=0, exit_code=3)]
    cache = RuntimeCache(runtime, clock)
    following = asyncio.create_task(cache.follow())
    await clock.settle()
    sandbox, container = await made(runtime, cache)
    runtime.stale = 3
    await runtime.start_container(container)
    await cache.refresh_container(container, sandbox, "u1")
    assert cache.observed("u1").runs["c"][0].running
    await clock.advance(1)
    assert cache.observed("u1").runs["c"][0].status.exit_code == 3
    following.cancel()


async def test_late_answer_does_not_bring_the_dead_back() -> None:
    clock = FakeClock()
    runtime = Lagging(clock)
    cache = RuntimeCache(runtime, clock)
    sandbox, container = await made(runtime, cache)
    await runtime.start_container(container)
    runtime.crash(container)
    await cache.refresh_container(container, sandbox, "u1")
    runtime.stale = 1
    await cache.refresh_container(container, sandbox, "u1")
    assert cache.observed("u1").runs["c"][0].exited


async def test_container_made_while_the_runtime_lists_is_kept() -> None:
    clock = FakeClock()

    class Slow(SimulatedRuntime):
        async def containers(self) -> Sequence[c.Container]:
            listed = await super().containers()
            await self.clock.sleep(1)
            return listed

    runtime = Slow(clock)
    cache = RuntimeCache(runtime, clock)
    listing = asyncio.create_task(cache.relist())
    await clock.settle()
    sandbox, container = await made(runtime, cache)
    await runtime.start_container(container)
    await cache.refresh_container(container, sandbox, "u1")
    await clock.advance(1)
    await listing
    assert cache.observed("u1").runs["c"][0].id == container
