"""A pod of one container on a real runtime."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from support.containerd import CGROUP, IMAGE

from timonier.api.types import core_v1
from timonier.node.cri.contract import ContainerConfig, Runtime, SandboxConfig


@dataclass
class RunningPod:
    pod: core_v1.Pod
    sandbox: str
    container: str


@contextlib.asynccontextmanager
async def running_pod(runtime: Runtime, logs: Path, command: list[str], *, tty: bool = False, stdin: bool = False
                      ) -> AsyncIterator[RunningPod]:
    """A pod `default/web` with container `main`, its status as a kubelet would write it."""
    uid = str(uuid.uuid4())
    sandbox_config = SandboxConfig("web", uid, "default", log_directory=str(logs), cgroup_parent=CGROUP)
    sandbox = await runtime.run_sandbox(sandbox_config)
    try:
        config = ContainerConfig("main", IMAGE, command=tuple(command), log_path="main.log", tty=tty, stdin=stdin)
        container = await runtime.create_container(sandbox, config, sandbox_config)
        await runtime.start_container(container)
        pod = core_v1.Pod()
        pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "web", "default", uid
        pod.spec.containers = [core_v1.Container(name="main", image=IMAGE)]
        state = core_v1.ContainerState(running=core_v1.ContainerStateRunning())
        pod.status.containerStatuses = [core_v1.ContainerStatus(name="main", state=state,
                                                                containerID=f"containerd://{container}")]
        yield RunningPod(pod, sandbox, container)
    finally:
        await runtime.stop_sandbox(sandbox)
        await runtime.remove_sandbox(sandbox)
