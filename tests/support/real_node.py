"""A kubelet on a real containerd and real time, with an API server that is a few dictionaries."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from support import machine
from support.containerd import CGROUP
from support.kubelet_bench import FakeApi, NodeBench

from timonier.kit.clock import SystemClock
from timonier.node.cri.containerd import ContainerdRuntime
from timonier.node.kubelet import cgroups
from timonier.node.kubelet.probes.attempt import RealNetwork
from timonier.node.kubelet.run import Kubelet
from timonier.node.settings import NodeSettings


class RealNode(NodeBench):
    """One node with real containers; `eventually` takes the place of an advancing clock."""

    def __init__(self, folder: Path, socket: Path, **settings: Any) -> None:
        self.clock = SystemClock()  # type: ignore[assignment]
        self.runtime = ContainerdRuntime(socket)  # type: ignore[assignment]
        self.api = FakeApi(self.clock)
        self.network = RealNetwork()  # type: ignore[assignment]
        self.events, self.node_events, self.folder, self.task = [], [], folder, None
        self.settings = NodeSettings(
            node_name="n1", node_ip="10.89.0.2", kubeconfig=folder / "kubeconfig", containerd_socket=socket,
            root_dir=folder / "kubelet", pod_logs_dir=folder / "logs", cluster_dns="10.96.0.10",
            cgroup_root=CGROUP, **settings)
        self.kubelet = self.new_kubelet()

    def new_kubelet(self) -> Kubelet:
        self.cgroups = cgroups.make("cgroupfs", self.settings.cgroup_root, -1)
        return Kubelet(self.settings, self.runtime, self.api, self.api, self.tell, self.cgroups, self.network,
                       self.clock)

    async def settle(self) -> None:
        await asyncio.sleep(0.01)
        self.raise_crash()

    async def eventually(self, true: Callable[[], Any], within: float = 20.0) -> Any:
        """Wait until something is so; what it gave."""
        end = time.monotonic() + within
        while not (result := true()):
            self.raise_crash()
            assert time.monotonic() < end, f"not so within {within} s: {self.api.pods} {self.events}"
            await asyncio.sleep(0.02)
        return result

    async def started(self, name: str) -> None:
        await self.eventually(lambda: self.pod(name).status.phase == "Running")

    async def ended(self, name: str) -> None:
        await self.eventually(lambda: self.pod(name).status.phase in ("Succeeded", "Failed"))

    def log(self, name: str, container: str = "c", attempt: int = 0) -> str:
        """What a container wrote."""
        [file] = (self.folder / "logs").glob(f"default_{name}_*/{container}/{attempt}.log")
        return "\n".join(line.split(" ", 3)[3] for line in file.read_text().splitlines())


@contextlib.asynccontextmanager
async def real_node(folder: Path, socket: Path, **settings: Any) -> AsyncIterator[RealNode]:
    """A node in a folder whose name tells the run, so that its mounts can be found whatever becomes of it."""
    home = folder / machine.PREFIX
    home.mkdir()
    node = RealNode(home, socket, **settings)
    await node.start()
    try:
        yield node
        for name in [pod.metadata.name for pod in node.api.pods.values()]:
            await node.delete(name, grace=0)
            await node.eventually(lambda name=name: node.gone(name))
    finally:
        await node.crash()
        await node.runtime.close()
        machine.unmount(home)
    node.cgroups.remove_base()  # type: ignore[attr-defined]
