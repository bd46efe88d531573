"""From creating a pod on the API server until a watch shows it Running; beside the same CRI calls made bare."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path

from clusters import NAME, environment, start, timonier
from table import Row, main

from timonier.api.types import core_v1, meta_v1
from timonier.client.client import Client
from timonier.cluster.images.archive import archive
from timonier.cluster.images.busybox import busybox
from timonier.kit.kubeconfig import load
from timonier.node.cri.containerd import ContainerdRuntime
from timonier.node.cri.contract import ContainerConfig, SandboxConfig

ROUNDS = 20
IMAGE = "docker.io/library/bench-busybox:1"
COMMAND = ["sleep", "1000"]
LIMIT = 60.0


def measure() -> list[Row]:
    with environment() as env, tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        start(env)
        image = Path(folder) / "image.tar"
        image.write_bytes(archive(busybox(IMAGE)))
        timonier("image", "load", "--name", NAME, str(image), env=env)
        socket = Path("/run/timonier") / NAME / "node-1" / "containerd.sock"
        bare = asyncio.run(bare_calls(socket, Path(folder)))
        created = asyncio.run(pods(env["KUBECONFIG"]))
    sums = [sum(one) for one in bare]
    floor = statistics.median(sums)
    beside = "sandbox + create + start over CRI"
    steps = [Row(f"  {name}", statistics.median(times), None, "ms", note="bare CRI call")
             for name, times in zip(("sandbox", "create", "start"), zip(*bare, strict=True), strict=True)]
    return [Row("pod create to Running, median", statistics.median(created), floor, "ms", beside),
            Row("pod create to Running, worst", max(created), max(sums), "ms", f"worst of {beside}"), *steps]


async def bare_calls(socket: Path, folder: Path) -> list[tuple[float, float, float]]:
    """Milliseconds of each of the three calls, in each round."""
    runtime = ContainerdRuntime(socket)
    taken = []
    try:
        for number in range(ROUNDS):
            sandbox = SandboxConfig(f"bare-{number}", f"bare-{number}", "bench", hostname="bare",
                                    log_directory=str(folder), cgroup_parent=f"/timonier/{NAME}/bare")
            container = ContainerConfig("c", IMAGE, command=tuple(COMMAND), log_path="0.log")
            moments = [time.perf_counter()]
            sandbox_id = await runtime.run_sandbox(sandbox)
            moments.append(time.perf_counter())
            container_id = await runtime.create_container(sandbox_id, container, sandbox)
            moments.append(time.perf_counter())
            await runtime.start_container(container_id)
            moments.append(time.perf_counter())
            first, second, third = (1000 * (b - a) for a, b in itertools.pairwise(moments))
            taken.append((first, second, third))
            await runtime.stop_sandbox(sandbox_id)
            await runtime.remove_sandbox(sandbox_id)
    finally:
        await runtime.close()
    return taken


async def pods(kubeconfig: str) -> list[float]:
    """Milliseconds from the create request to Running, as a watch shows it, of one pod after the other."""
    created = []
    async with Client(load(kubeconfig), name="bench") as client, asyncio.timeout(LIMIT + 2 * ROUNDS):
        await service_account(client)
        version = (await client.list(core_v1.Pod, "default")).metadata.resourceVersion
        events = client.watch(core_v1.Pod, "default", resourceVersion=version)
        for number in range(ROUNDS):
            begin = time.perf_counter()
            await client.create(pod(f"bench-{number}"))
            async for event in events:
                if event.object.status.phase == "Running":
                    break
            created.append(1000 * (time.perf_counter() - begin))
            await client.delete(core_v1.Pod, f"bench-{number}", "default", grace=0)
            async for event in events:
                if event.type == "DELETED":
                    break
            await asyncio.sleep(0.5)  # what the last pod leaves to do is no part of the next one's start
    return created


async def service_account(client: Client) -> None:
    """Wait until pods can be made in the namespace: its service account comes soon after the cluster."""
    async with asyncio.timeout(LIMIT):
        while not (await client.list(core_v1.ServiceAccount, "default")).items:  # noqa: ASYNC110 -- a bench may poll
            await asyncio.sleep(0.1)


def pod(name: str) -> core_v1.Pod:
    container = core_v1.Container(name="c", image=IMAGE, command=COMMAND)
    return core_v1.Pod(metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
                       spec=core_v1.PodSpec(containers=[container], terminationGracePeriodSeconds=0))


if __name__ == "__main__":
    main(measure, "pod start")
