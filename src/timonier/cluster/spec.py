"""What a cluster is made of, and where it keeps its things: names, addresses, folders."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timonier.kit.fatal import CannotRun

STATE = Path("/var/lib/timonier")
"""Every cluster's lasting state, one folder each; removed by `timonier delete`."""
RUN = Path("/run/timonier")
"""Sockets, pids and namespaces' contents; gone after a reboot."""
MAX_NODES = 200
MAX_CLUSTERS = 64
MANAGER_PORT = 10257
"""Where controllers and scheduler show health and metrics, on the machine's address on the bridge."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


class ClusterError(CannotRun):
    """Something about a cluster cannot be done; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: its name in the API, its address on the cluster's bridge, and its network namespace."""

    name: str
    address: str
    netns: str
    link: str
    """The host's end of the pair whose other end is the node's eth0."""

    @property
    def netns_path(self) -> Path:
        return Path("/run/netns") / self.netns


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """What the user asked for, and what was chosen once and stays: kept in `cluster.json`."""

    name: str = "timonier"
    index: int = 0
    """Tells clusters on one machine apart: their bridge and its subnet derive from it."""
    nodes: int = 1
    api_port: int = 6443
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    domain: str = "cluster.local"
    stopped: tuple[str, ...] = ()
    """Names of nodes that were stopped on purpose, and stay so until they are started."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 1 <= self.nodes <= MAX_NODES:
            raise ClusterError(f"--nodes {self.nodes}: a cluster has 1 to {MAX_NODES} nodes")
        if not 1 <= self.api_port <= 65535:
            raise ClusterError(f"--api-port {self.api_port} is not a port; use 1 to 65535")
        if self.api_port == MANAGER_PORT:
            raise ClusterError(f"--api-port {MANAGER_PORT} is where a cluster's manager listens; use another")

    # Addresses
    @property
    def bridge(self) -> str:
        return f"timonier{self.index}"

    @property
    def subnet(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network((f"10.89.{self.index}.0", 24))

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge, where nodes reach the API server."""
        return str(self.subnet[1])

    @property
    def service_gateway(self) -> str:
        """The ClusterIP of `default/kubernetes`."""
        return str(ipaddress.IPv4Network(self.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        """The ClusterIP of `kube-system/kube-dns`."""
        return str(ipaddress.IPv4Network(self.service_cidr)[10])

    @property
    def server(self) -> str:
        """The API server's URL for people and programs on the machine."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def inner_server(self) -> str:
        """The API server's URL as nodes reach it."""
        return f"https://{self.gateway}:{self.api_port}"

    def node(self, number: int) -> NodeSpec:
        """The node of a number from 1."""
        return NodeSpec(name=f"node-{number}", address=str(self.subnet[10 + number]),
                        netns=f"timonier-{self.name}-{number}", link=f"{self.bridge}n{number}")

    @property
    def all_nodes(self) -> list[NodeSpec]:
        return [self.node(number) for number in range(1, self.nodes + 1)]

    # Folders
    @property
    def state(self) -> Path:
        return STATE / self.name

    @property
    def run(self) -> Path:
        return RUN / self.name

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def cgroup(self) -> str:
        """The control group, in every hierarchy, below which all processes of the cluster live."""
        return f"/timonier/{self.name}"

    def node_state(self, node: NodeSpec) -> Path:
        return self.state / "nodes" / node.name

    def node_run(self, node: NodeSpec) -> Path:
        return self.run / node.name

    def containerd_socket(self, node: NodeSpec) -> Path:
        return self.node_run(node) / "containerd.sock"

    def node_cgroup(self, node: NodeSpec) -> str:
        return f"{self.cgroup}/{node.name}"

    def save(self) -> None:
        """Write `cluster.json`, in one step."""
        self.state.mkdir(parents=True, exist_ok=True)
        draft = self.state / "cluster.json.new"
        draft.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n")
        draft.replace(self.state / "cluster.json")


def check_name(name: str) -> None:
    """Raises ClusterError where a cluster cannot be called that."""
    if not NAME.fullmatch(name):
        raise ClusterError(f"cluster name {name!r} must be 1 to 30 lower-case letters, digits or dashes, "
                           "and begin and end with a letter or digit")


def load(name: str) -> ClusterSpec | None:
    """The cluster of that name, or None where there is none. Raises ClusterError where its file is damaged."""
    check_name(name)
    file = STATE / name / "cluster.json"
    try:
        fields = json.loads(file.read_text())
        return ClusterSpec(**fields | {"stopped": tuple(fields.get("stopped", ()))})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        remedy = f"`timonier delete --name {name}` removes the cluster"
        raise ClusterError(f"{file} is damaged ({error}); {remedy}") from error


def known() -> list[ClusterSpec]:
    """Every cluster on this machine, by name."""
    if not STATE.is_dir():
        return []
    specs = (load(folder.name) for folder in sorted(STATE.iterdir()) if NAME.fullmatch(folder.name))
    return [spec for spec in specs if spec is not None]


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Keep other commands from choosing an index meanwhile. Leaves no folder where nothing was saved."""
    STATE.mkdir(parents=True, exist_ok=True)
    folder = os.open(STATE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
        with contextlib.suppress(OSError):
            STATE.rmdir()


def free_index() -> int:
    """An index that no other cluster has."""
    taken = {spec.index for spec in known()}
    for index in range(MAX_CLUSTERS):
        if index not in taken:
            return index
    raise ClusterError(f"{MAX_CLUSTERS} clusters exist on this machine; delete one with `timonier delete --name NAME`")
