"""What the kubelet asks of a container runtime: sandboxes, containers, images, streams, and news of them.

The shapes are those of CRI v1, with the fields that the kubelet uses; times are Unix seconds here, not nanoseconds.
How a request travels is the business of `containerd`; `simulated` answers from memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from timonier.kit.clock import Seconds, Time


class RuntimeFailure(Exception):
    """The runtime refused or could not do what was asked. `code` is the gRPC status's name: `NOT_FOUND`, `UNKNOWN`…"""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"rpc error: code = {code_words(self.code)} desc = {self.message}"


class RuntimeUnavailable(RuntimeFailure):
    """Nobody answers on the runtime's socket, or not in time."""


class NotInRuntime(RuntimeFailure):
    """The sandbox, container or image does not exist."""


def code_words(code: str) -> str:
    """`NOT_FOUND` as Go writes it: `NotFound`."""
    return "".join(word.capitalize() for word in code.split("_"))


class SandboxState(Enum):
    READY = "ready"
    NOT_READY = "not-ready"


class ContainerState(Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


class Namespace(Enum):
    """Whose Linux namespace a container joins."""

    POD = "pod"
    CONTAINER = "container"
    NODE = "node"
    TARGET = "target"


class Propagation(Enum):
    PRIVATE = "private"
    HOST_TO_CONTAINER = "host-to-container"
    BIDIRECTIONAL = "bidirectional"


@dataclass(frozen=True, slots=True)
class SeccompProfile:
    """`runtime/default`, `unconfined`, or `localhost/<path>` in CRI's words."""

    kind: str = "RuntimeDefault"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Namespaces:
    network: Namespace = Namespace.POD
    pid: Namespace = Namespace.CONTAINER
    ipc: Namespace = Namespace.POD
    target: str = ""


@dataclass(frozen=True, slots=True)
class LinuxResources:
    """Zero means not set, as in CRI."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit: int = 0
    oom_score_adj: int = 0
    hugepage_limits: Mapping[str, int] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Security:
    """The Linux security context of a container; the sandbox uses the same, with what applies to it."""

    namespaces: Namespaces = Namespaces()
    privileged: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    run_as_user: int | None = None
    run_as_username: str = ""
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    readonly_rootfs: bool = False
    no_new_privs: bool = False
    seccomp: SeccompProfile | None = None
    apparmor: SeccompProfile | None = None
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortMapping:
    protocol: str
    container_port: int
    host_port: int = 0
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class DnsConfig:
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """One pod's sandbox: name, uid and namespace of the pod, and its `attempt`."""

    name: str
    uid: str
    namespace: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DnsConfig | None = None
    ports: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    security: Security = Security()
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    container_path: str
    host_path: str
    readonly: bool = False
    propagation: Propagation = Propagation.PRIVATE


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One container. `log_path` is relative to the sandbox's log directory; `image` is an image id or reference."""

    name: str
    image: str
    attempt: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: LinuxResources = LinuxResources()
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as listings show it."""

    id: str
    name: str
    uid: str
    namespace: str
    attempt: int
    state: SandboxState
    created_at: Time
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """`ips` is empty for pods on the host's network. `network` is the namespace mode of its network."""

    sandbox: Sandbox
    ips: tuple[str, ...] = ()
    network: Namespace = Namespace.POD


@dataclass(frozen=True, slots=True)
class Container:
    """A container as listings show it."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    image: str
    image_ref: str
    state: ContainerState
    created_at: Time
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """A container in full. Moments that have not come are 0. `log_path` is absolute.

    `image` is the reference that was used, `image_ref` the runtime's digest or id of it.
    """

    id: str
    name: str
    attempt: int
    state: ContainerState
    created_at: Time
    started_at: Time
    finished_at: Time
    exit_code: int
    image: str
    image_ref: str
    reason: str = ""
    message: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """An image that the runtime has. `uid` is its numeric user, `username` its symbolic one; both may be absent."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    uid: int | None = None
    username: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Auth:
    """Credentials for one registry."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """What a container uses now; `cpu_nanos` is its total CPU time. `rootfs_bytes` is its writable layer."""

    id: str
    name: str
    labels: Mapping[str, str]
    at: Time
    cpu_nanos: int
    memory_working_set: int
    rootfs_bytes: int = 0
    rootfs_inodes: int = 0


@dataclass(frozen=True, slots=True)
class FilesystemUsage:
    mountpoint: str
    used_bytes: int
    inodes_used: int


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    version: str
    api_version: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the runtime itself: `RuntimeReady`, `NetworkReady`."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""


class EventType(Enum):
    CONTAINER_CREATED = "container-created"
    CONTAINER_STARTED = "container-started"
    CONTAINER_EXITED = "container-exited"
    CONTAINER_OOM = "container-oom"
    CONTAINER_DELETED = "container-deleted"


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to a container or sandbox (the runtime does not say which). A hint: the listing decides."""

    type: EventType
    container_id: str


class Runtime(Protocol):
    """A container runtime. Every call is bounded in time and raises RuntimeFailure or a subclass."""

    async def version(self) -> Version: ...

    async def conditions(self) -> Sequence[Condition]: ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """News from now on; ends with RuntimeUnavailable when the stream breaks."""

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Create and start a sandbox with its network; its id."""

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in it and give back its network; fine for one that is stopped or gone."""

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove it with its containers; fine for one that is gone."""

    async def sandboxes(self) -> Sequence[Sandbox]: ...

    async def sandbox_status(self, sandbox_id: str) -> SandboxStatus: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace: Seconds) -> None:
        """Send the stop signal, wait `grace`, then kill; returns when it has exited. Fine for one that is gone."""

    async def remove_container(self, container_id: str) -> None: ...

    async def containers(self) -> Sequence[Container]: ...

    async def container_status(self, container_id: str) -> ContainerStatus: ...

    async def update_resources(self, container_id: str, resources: LinuxResources) -> None: ...

    async def reopen_log(self, container_id: str) -> None:
        """Make the runtime write to the container's log path anew, after the file was moved away."""

    async def exec_sync(self, container_id: str, command: Sequence[str], limit: Seconds) -> ExecResult:
        """Run a command in a container to its end; RuntimeFailure with code DEADLINE_EXCEEDED past `limit`."""

    async def exec_url(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool,
                       stderr: bool) -> str:
        """Where the runtime's streaming server serves this exec, once."""

    async def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def stats(self) -> Sequence[ContainerStats]: ...

    async def images(self) -> Sequence[ImageStatus]: ...

    async def image_status(self, image: str) -> ImageStatus | None:
        """The image that a reference or id names, or None."""

    async def pull_image(self, image: str, auth: Auth | None, sandbox: SandboxConfig | None) -> str:
        """Pull an image; its reference by which containers can be made."""

    async def remove_image(self, image: str) -> None: ...

    async def image_filesystem(self) -> Sequence[FilesystemUsage]: ...

    async def close(self) -> None: ...
