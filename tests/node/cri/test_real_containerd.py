"""What containerd itself answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.containerd import CGROUP, IMAGE

from timonier.node.cri import contract as c
from timonier.node.cri.containerd import ContainerdRuntime

pytestmark = pytest.mark.machine


@pytest.fixture
async def runtime(containerd_socket: Path) -> AsyncIterator[ContainerdRuntime]:
    made = ContainerdRuntime(containerd_socket)
    yield made
    for sandbox in await made.sandboxes():
        await made.stop_sandbox(sandbox.id)
        await made.remove_sandbox(sandbox.id)
    await made.close()


def box(folder: Path) -> c.SandboxConfig:
    return c.SandboxConfig("web", "u1", "default", hostname="web", log_directory=str(folder),
                           labels={"io.kubernetes.pod.uid": "u1"}, cgroup_parent=CGROUP)


async def test_runtime_says_who_it_is_and_that_it_is_ready(runtime: ContainerdRuntime) -> None:
    version = await runtime.version()
    assert (version.name, version.api_version) == ("containerd", "v1")
    assert {one.type: one.status for one in await runtime.conditions()} == \
        {"RuntimeReady": True, "NetworkReady": True}
    image = await runtime.image_status(IMAGE)
    assert image is not None
    assert IMAGE in image.tags
    assert await runtime.image_status("docker.io/library/nobody:1") is None


async def test_life_of_a_container_is_seen_and_heard(runtime: ContainerdRuntime, tmp_path: Path) -> None:
    heard: asyncio.Queue[c.RuntimeEvent] = asyncio.Queue()

    async def listen() -> None:
        async for event in runtime.events():
            await heard.put(event)

    listener = asyncio.create_task(listen())
    config = box(tmp_path)
    sandbox = await runtime.run_sandbox(config)
    status = await runtime.sandbox_status(sandbox)
    assert status.sandbox.state is c.SandboxState.READY
    assert len(status.ips) == 1
    command = ("sh", "-c", "echo out; exit 7")
    container = await runtime.create_container(sandbox, c.ContainerConfig(
        "c", IMAGE, command=command, log_path="0.log", labels={"io.kubernetes.pod.uid": "u1"}), config)
    await runtime.start_container(container)
    async with asyncio.timeout(10):
        while (await heard.get()) != c.RuntimeEvent(c.EventType.CONTAINER_EXITED, container):
            continue
    listener.cancel()
    for _ in range(100):
        ended = await runtime.container_status(container)
        if ended.state is c.ContainerState.EXITED:
            break
        await asyncio.sleep(0.02)
    assert (ended.exit_code, ended.reason) == (7, "Error")
    assert ended.log_path == str(tmp_path / "0.log")
    assert (tmp_path / "0.log").read_text().endswith("stdout F out\n")


async def test_commands_run_in_a_container_to_their_end_or_the_end_of_their_time(runtime: ContainerdRuntime,
                                                                                 tmp_path: Path) -> None:
    config = box(tmp_path)
    sandbox = await runtime.run_sandbox(config)
    container = await runtime.create_container(
        sandbox, c.ContainerConfig("c", IMAGE, command=("sleep", "100"), log_path="0.log"), config)
    await runtime.start_container(container)
    result = await runtime.exec_sync(container, ["sh", "-c", "echo out; echo err >&2; exit 4"], 5)
    assert (result.exit_code, result.stdout, result.stderr) == (4, b"out\n", b"err\n")
    with pytest.raises(c.RuntimeFailure) as late:
        await runtime.exec_sync(container, ["sleep", "30"], 1)
    assert late.value.code == "DEADLINE_EXCEEDED"
    url = await runtime.exec_url(container, ["sh"], tty=False, stdin=True, stdout=True, stderr=True)
    assert url.startswith("http://127.0.0.1:")
    assert [one.id for one in await runtime.stats()] == [container]
    await runtime.stop_container(container, 0)
    assert (await runtime.container_status(container)).exit_code == 137


async def test_errors_have_the_contracts_types(runtime: ContainerdRuntime, tmp_path: Path) -> None:
    with pytest.raises(c.NotInRuntime):
        await runtime.container_status("nobody")
    await runtime.stop_container("nobody", 1)
    await runtime.stop_sandbox("nobody")
    silent = ContainerdRuntime(tmp_path / "no.sock")
    with pytest.raises(c.RuntimeUnavailable):
        await silent.version()
    await silent.close()
