"""A runtime that keeps sandboxes and containers in memory and runs nothing, with the same face as containerd.

What a container does is a `Behaviour`, chosen by container name or image and by attempt; time comes from the clock
that it is given. So a thousand nodes fit in one process, and a scenario plays the same way each time.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from timonier.kit.clock import Clock, Seconds, SystemClock, Time
from timonier.node.cri import contract as c
from timonier.node.cri.references import normalise

KILLED = 137
TERMINATED = 143


@dataclass(frozen=True)
class Behaviour:
    """What one run of a container does."""

    runs: Seconds | None = None
    """Seconds until it ends by itself; None for one that runs until it is stopped."""
    exit_code: int = 0
    message: str = ""
    """What it leaves at its termination message path; written to the host path when that is mounted."""
    oom_killed: bool = False
    stop_takes: Seconds | None = 0.0
    """Seconds from the stop signal to its exit; None for one that ignores the signal."""
    stop_exit_code: int = TERMINATED
    create_error: str = ""
    start_error: str = ""
    execute: Callable[[Sequence[str]], c.ExecResult] = lambda command: c.ExecResult(0, b"", b"")


FOREVER = Behaviour()


@dataclass
class Running:
    """A container's record: its config, the behaviour of this run, and its moments."""

    id: str
    sandbox_id: str
    config: c.ContainerConfig
    behaviour: Behaviour
    log_path: str
    created_at: Time
    started_at: Time = 0.0
    finished_at: Time = 0.0
    exit_code: int = 0
    reason: str = ""

    @property
    def state(self) -> c.ContainerState:
        if self.finished_at:
            return c.ContainerState.EXITED
        return c.ContainerState.RUNNING if self.started_at else c.ContainerState.CREATED


class SimulatedRuntime:
    """`contract.Runtime` in memory. Tests set `behaviours`, `refused_images` and `failures`, and read `calls`."""

    def __init__(self, clock: Clock | None = None, pod_cidr: str = "10.244.0.0/24", *,
                 pull_takes: Seconds = 0.0) -> None:
        self.clock = clock or SystemClock()
        self.behaviours: dict[str, list[Behaviour]] = {}
        """By container name or image: the behaviour of each run, the last one of all that follow."""
        self.refused_images: dict[str, str] = {}
        """Images that cannot be pulled, and the registry's words."""
        self.failures: dict[str, list[c.RuntimeFailure]] = defaultdict(list)
        """By method name: errors that its next calls raise."""
        self.calls: list[tuple[str, str]] = []
        """What was asked, in order: method and the name or id that it was about."""
        self.pull_takes = pull_takes
        self.records: dict[str, Running] = {}
        self.boxes: dict[str, tuple[c.Sandbox, c.SandboxConfig, str]] = {}
        self.present: dict[str, c.ImageStatus] = {}
        self._network = ipaddress.ip_network(pod_cidr)
        self._ids = itertools.count(1)
        self._runs: dict[tuple[str, str], itertools.count[int]] = {}
        self._listeners: set[asyncio.Queue[c.RuntimeEvent]] = set()
        self._endings: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def close(self) -> None:
        for task in self._endings.values():
            task.cancel()
        await asyncio.gather(*self._endings.values(), return_exceptions=True)

    # For tests.

    def add_image(self, image: str, **fields: object) -> None:
        """Have an image without pulling it."""
        name = normalise(image)
        digest = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        status = c.ImageStatus(digest, (name,), (f"{name.rpartition(':')[0]}@{digest}",), 1_000_000)
        self.present[name] = replace(status, **fields)  # type: ignore[arg-type]

    def crash(self, container_id: str, exit_code: int = 1) -> None:
        """End a running container from outside."""
        self._finish(self.records[container_id], exit_code)

    def named(self, name: str) -> list[Running]:
        """The records of the containers of a name, oldest first."""
        return [record for record in self.records.values() if record.config.name == name]

    # The runtime itself.

    async def version(self) -> c.Version:
        return c.Version("simulated", "1.0.0", "v1")

    async def conditions(self) -> Sequence[c.Condition]:
        return [c.Condition("RuntimeReady", True), c.Condition("NetworkReady", True)]

    async def events(self) -> AsyncIterator[c.RuntimeEvent]:
        queue: asyncio.Queue[c.RuntimeEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    # Sandboxes.

    async def run_sandbox(self, config: c.SandboxConfig) -> str:
        self._note("run_sandbox", config.name)
        sandbox_id = self._new_id()
        address = "" if config.security.namespaces.network is c.Namespace.NODE else self._free_address()
        sandbox = c.Sandbox(sandbox_id, config.name, config.uid, config.namespace, config.attempt,
                            c.SandboxState.READY, self.clock.now(), dict(config.labels), dict(config.annotations))
        self.boxes[sandbox_id] = (sandbox, config, address)
        self._tell(c.EventType.CONTAINER_STARTED, sandbox_id)
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        self._note("stop_sandbox", sandbox_id)
        if sandbox_id not in self.boxes:
            return
        for record in self._within(sandbox_id):
            if record.state is c.ContainerState.RUNNING:
                self._finish(record, KILLED)
        sandbox, config, _ = self.boxes[sandbox_id]
        self.boxes[sandbox_id] = (replace(sandbox, state=c.SandboxState.NOT_READY), config, "")
        self._tell(c.EventType.CONTAINER_EXITED, sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._note("remove_sandbox", sandbox_id)
        for record in self._within(sandbox_id):
            await self.remove_container(record.id)
        self.boxes.pop(sandbox_id, None)

    async def sandboxes(self) -> Sequence[c.Sandbox]:
        return [sandbox for sandbox, _, _ in self.boxes.values()]

    async def sandbox_status(self, sandbox_id: str) -> c.SandboxStatus:
        if sandbox_id not in self.boxes:
            raise missing("sandbox", sandbox_id)
        sandbox, config, address = self.boxes[sandbox_id]
        return c.SandboxStatus(sandbox, (address,) if address else (), config.security.namespaces.network)

    # Containers.

    async def create_container(self, sandbox_id: str, config: c.ContainerConfig, sandbox: c.SandboxConfig) -> str:
        self._note("create_container", config.name)
        if sandbox_id not in self.boxes:
            raise missing("sandbox", sandbox_id)
        behaviour = self._behaviour(sandbox.uid, config)
        if behaviour.create_error:
            raise c.RuntimeFailure("UNKNOWN", behaviour.create_error)
        container_id = self._new_id()
        self.records[container_id] = Running(container_id, sandbox_id, config, behaviour,
                                             f"{sandbox.log_directory}/{config.log_path}", self.clock.now())
        return container_id

    async def start_container(self, container_id: str) -> None:
        record = self._record(container_id)
        self._note("start_container", record.config.name)
        if record.behaviour.start_error:
            self._finish(record, 128, "StartError")
            raise c.RuntimeFailure("UNKNOWN", record.behaviour.start_error)
        record.started_at = self.clock.now()
        self._tell(c.EventType.CONTAINER_STARTED, container_id)
        if record.behaviour.runs is not None:
            self._end_after(record, record.behaviour.runs, record.behaviour.exit_code)

    async def stop_container(self, container_id: str, grace: Seconds) -> None:
        record = self.records.get(container_id)
        self._note("stop_container", record.config.name if record else container_id)
        if record is None or record.state is not c.ContainerState.RUNNING:
            return
        takes = record.behaviour.stop_takes
        if takes is None or takes > grace:
            self._end_after(record, grace, KILLED)
        else:
            self._end_after(record, takes, record.behaviour.stop_exit_code)
        await self._ended[container_id].wait()

    async def remove_container(self, container_id: str) -> None:
        record = self.records.pop(container_id, None)
        if record and record.state is c.ContainerState.RUNNING:
            self._finish(record, KILLED)
        if record:
            self._ended.pop(container_id, None)
            self._tell(c.EventType.CONTAINER_DELETED, container_id)

    async def containers(self) -> Sequence[c.Container]:
        self._raise_failure("containers")
        return [c.Container(r.id, r.sandbox_id, r.config.name, r.config.attempt, r.config.image, self._digest(r),
                            r.state, r.created_at, dict(r.config.labels), dict(r.config.annotations))
                for r in self.records.values()]

    async def container_status(self, container_id: str) -> c.ContainerStatus:
        r = self._record(container_id)
        return c.ContainerStatus(
            r.id, r.config.name, r.config.attempt, r.state, r.created_at, r.started_at, r.finished_at, r.exit_code,
            self._image_name(r), self._digest(r), r.reason, "", r.log_path, dict(r.config.labels),
            dict(r.config.annotations), r.config.mounts)

    async def update_resources(self, container_id: str, resources: c.LinuxResources) -> None:
        record = self._record(container_id)
        record.config = replace(record.config, resources=resources)

    async def reopen_log(self, container_id: str) -> None:
        self._note("reopen_log", self._record(container_id).config.name)

    # Streams.

    async def exec_sync(self, container_id: str, command: Sequence[str], limit: Seconds) -> c.ExecResult:
        record = self._record(container_id)
        self._note("exec_sync", record.config.name)
        if record.state is not c.ContainerState.RUNNING:
            raise c.RuntimeFailure("UNKNOWN", f"container {container_id} is not in running state")
        return record.behaviour.execute(command)

    async def exec_url(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool,
                       stderr: bool) -> str:
        raise c.RuntimeFailure("UNIMPLEMENTED", "a simulated container has no streams")

    async def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str:
        raise c.RuntimeFailure("UNIMPLEMENTED", "a simulated container has no streams")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise c.RuntimeFailure("UNIMPLEMENTED", "a simulated sandbox has no streams")

    async def stats(self) -> Sequence[c.ContainerStats]:
        now = self.clock.now()
        return [c.ContainerStats(r.id, r.config.name, dict(r.config.labels), now, 0, 0)
                for r in self.records.values() if r.state is c.ContainerState.RUNNING]

    # Images.

    async def images(self) -> Sequence[c.ImageStatus]:
        return list(self.present.values())

    async def image_status(self, image: str) -> c.ImageStatus | None:
        self._raise_failure("image_status")
        by_id = next((status for status in self.present.values() if image in (status.id, *status.digests)), None)
        return by_id or (None if image.startswith("sha256:") else self.present.get(normalise(image)))

    async def pull_image(self, image: str, auth: c.Auth | None, sandbox: c.SandboxConfig | None) -> str:
        self._note("pull_image", image)
        await self.clock.sleep(self.pull_takes)
        if image in self.refused_images:
            raise c.NotInRuntime("NOT_FOUND", self.refused_images[image])
        if normalise(image) not in self.present:
            self.add_image(image)
        return self.present[normalise(image)].id

    async def remove_image(self, image: str) -> None:
        for name, status in list(self.present.items()):
            if image == status.id or image in status.tags:
                del self.present[name]

    async def image_filesystem(self) -> Sequence[c.FilesystemUsage]:
        return [c.FilesystemUsage("/", sum(image.size for image in self.present.values()), len(self.present))]

    # Within.

    def _note(self, method: str, subject: str) -> None:
        self.calls.append((method, subject))
        self._raise_failure(method)

    def _raise_failure(self, method: str) -> None:
        if self.failures[method]:
            raise self.failures[method].pop(0)

    def _new_id(self) -> str:
        return f"{next(self._ids):064x}"

    def _free_address(self) -> str:
        taken = {address for _, _, address in self.boxes.values()}
        hosts = itertools.islice(self._network.hosts(), 1, None)
        free = next((str(host) for host in hosts if str(host) not in taken), None)
        if free is None:
            raise c.RuntimeFailure("UNKNOWN", "failed to setup network for sandbox: no IP addresses available")
        return free

    def _behaviour(self, pod_uid: str, config: c.ContainerConfig) -> Behaviour:
        runs = self.behaviours.get(config.name) or self.behaviours.get(config.image) or [FOREVER]
        nth = next(self._runs.setdefault((pod_uid, config.name), itertools.count()))
        return runs[min(nth, len(runs) - 1)]

    def _record(self, container_id: str) -> Running:
        if container_id not in self.records:
            raise missing("container", container_id)
        return self.records[container_id]

    def _within(self, sandbox_id: str) -> list[Running]:
        return [record for record in self.records.values() if record.sandbox_id == sandbox_id]

    def _image(self, record: Running) -> c.ImageStatus | None:
        return next((i for i in self.present.values() if record.config.image in (i.id, *i.tags)), None)

    def _image_name(self, record: Running) -> str:
        image = self._image(record)
        return image.tags[0] if image and image.tags else record.config.image

    def _digest(self, record: Running) -> str:
        image = self._image(record)
        return image.digests[0] if image and image.digests else record.config.image

    def _end_after(self, record: Running, seconds: Seconds, exit_code: int) -> None:
        if before := self._endings.pop(record.id, None):
            before.cancel()
        if seconds <= 0:
            self._finish(record, exit_code)
        else:
            self._endings[record.id] = asyncio.create_task(self._end_later(record, seconds, exit_code),
                                                           name=f"container {record.config.name} runs")

    async def _end_later(self, record: Running, seconds: Seconds, exit_code: int) -> None:
        await self.clock.sleep(seconds)
        self._endings.pop(record.id, None)
        self._finish(record, exit_code)

    def _finish(self, record: Running, exit_code: int, reason: str = "") -> None:
        if record.finished_at:
            return
        if task := self._endings.pop(record.id, None):
            task.cancel()
        killed = record.behaviour.oom_killed and exit_code == record.behaviour.exit_code
        record.finished_at, record.exit_code = self.clock.now(), KILLED if killed else exit_code
        record.reason = reason or ("OOMKilled" if killed else "Completed" if exit_code == 0 else "Error")
        self._leave_message(record)
        self._ended[record.id].set()
        self._tell(c.EventType.CONTAINER_EXITED, record.id)

    def _leave_message(self, record: Running) -> None:
        target = record.config.annotations.get("io.kubernetes.container.terminationMessagePath", "")
        for mount in record.config.mounts:
            if record.behaviour.message and mount.container_path == target:
                with open(mount.host_path, "w", encoding="utf-8") as file:
                    file.write(record.behaviour.message)

    def _tell(self, kind: c.EventType, subject: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(c.RuntimeEvent(kind, subject))


def missing(what: str, id_: str) -> c.NotInRuntime:
    return c.NotInRuntime("NOT_FOUND", f"an error occurred when try to find {what} \"{id_}\": not found")
