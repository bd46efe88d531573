"""What a node is told: by whom it is called, where it lives, and how its kubelet, proxy, DNS and network behave.

One frozen dataclass for the whole agent, so that its parts agree. Nothing here reads files or the environment.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

CGROUP_DRIVERS = ("cgroupfs", "systemd")
RUNTIMES = ("containerd", "simulated")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Run a node: kubelet, service proxy, cluster DNS and pod network."""

    node_name: str
    """Name of the Node object, and of this node's identity `system:node:<name>`."""
    node_ip: str
    """Address of the node, as other nodes reach it."""
    kubeconfig: Path
    """Kubeconfig file with which the node reaches the API server."""

    runtime: str = "containerd"
    """Container runtime: `containerd`, or `simulated`, which keeps containers in memory and runs nothing."""
    containerd_socket: Path = Path("/run/containerd/containerd.sock")
    """Unix socket of the node's containerd (or of another runtime that speaks CRI v1)."""
    root_dir: Path = Path("/var/lib/kubelet")
    """Directory for the pods' volumes and the kubelet's own files."""
    pod_logs_dir: Path = Path("/var/log/pods")
    """Directory under which the runtime writes the containers' logs, one directory a pod."""
    manifests_dir: Path | None = None
    """Directory of static pod manifests, watched for changes; none when not set."""
    cni_conf_dir: Path = Path("/etc/cni/net.d")
    """Directory where the node writes its CNI configuration and the runtime reads it."""

    cluster_dns: str = ""
    """Address of the cluster's DNS service; pods get the node's own resolver when empty."""
    cluster_domain: str = "cluster.local"
    """DNS domain of the cluster."""
    upstream_resolv_conf: Path = Path("/etc/resolv.conf")
    """Resolver configuration of the node, for pods with dnsPolicy Default and for names outside the cluster."""
    pod_cidr: str = ""
    """Range of this node's pods; taken from the Node object's spec.podCIDR when empty."""
    cluster_cidr: str = "10.244.0.0/16"
    """Range of all pods."""
    service_cidr: str = "10.96.0.0/16"
    """Range of cluster addresses of services."""

    cgroup_root: str = "/"
    """Cgroup below which the node's `kubepods` cgroup stands."""
    cgroup_driver: str = "cgroupfs"
    """Who makes cgroups, which has to agree with the container runtime: `cgroupfs` or `systemd`."""
    max_pods: int = 110
    """Pods that this node admits."""
    system_reserved_cpu: str = "0"
    """CPU kept from pods for the system, as a quantity."""
    system_reserved_memory: str = "0"
    """Memory kept from pods for the system, as a quantity."""
    pod_pids_limit: int = -1
    """Processes that one pod may have; -1 for no limit of its own."""
    node_labels: tuple[str, ...] = ()
    """Labels `key=value` that the node gives itself when it registers."""
    register_with_taints: tuple[str, ...] = ()
    """Taints `key=value:Effect` that the node gives itself when it registers."""

    kubelet_address: str = "0.0.0.0"
    """Address on which the kubelet's own API listens."""
    kubelet_port: int = 10250
    """Port of the kubelet's own API."""
    tls_cert_file: Path | None = None
    """Serving certificate of the kubelet's own API, PEM."""
    tls_key_file: Path | None = None
    """Key of the serving certificate, PEM."""
    client_ca_file: Path | None = None
    """CA that signs the certificates of the kubelet API's clients, PEM."""
    container_log_max_size: str = "10Mi"
    """Size at which a container's log is rotated."""
    container_log_max_files: int = 5
    """Log files kept of one container, the current one included."""

    sync_period: float = 60.0
    """Seconds after which a pod is looked at again though nothing changed; also how soon volumes follow ConfigMaps."""
    relist_period: float = 10.0
    """Seconds between full listings of the runtime while its event stream flows; 1 second while it does not."""
    lease_duration: int = 40
    """Seconds for which the node's lease is valid; renewed at a quarter of it."""
    status_report_period: float = 300.0
    """Seconds after which the node's status is written though nothing in it changed."""
    log_level: str = "info"
    """Least level that is logged: debug, info, warning or error."""

    def __post_init__(self) -> None:
        if not self.node_name:
            raise ValueError("node name must not be empty")
        ipaddress.ip_address(self.node_ip)
        for given, allowed, what in ((self.cgroup_driver, CGROUP_DRIVERS, "cgroup driver"),
                                     (self.runtime, RUNTIMES, "runtime")):
            if given not in allowed:
                raise ValueError(f"{what} must be one of {', '.join(allowed)}, not {given!r}")
        for cidr in (self.pod_cidr, self.cluster_cidr, self.service_cidr):
            if cidr:
                ipaddress.ip_network(cidr)
        if self.max_pods < 1:
            raise ValueError("max pods must be at least 1")
