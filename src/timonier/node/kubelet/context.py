"""What the workers of all pods share: the runtime, the API, volumes, images, cgroups, and facts about the node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from timonier.api.types import core_v1
from timonier.kit.clock import Clock
from timonier.node.cri.contract import DnsConfig, Runtime
from timonier.node.kubelet import resolver
from timonier.node.kubelet.api import Api, Tell
from timonier.node.kubelet.cache import RuntimeCache
from timonier.node.kubelet.cgroups import Cgroups
from timonier.node.kubelet.hooks import Hooks
from timonier.node.kubelet.images import Images
from timonier.node.kubelet.probes.attempt import Network
from timonier.node.kubelet.report import Reports
from timonier.node.kubelet.status import Host
from timonier.node.kubelet.volumes.manager import Volumes
from timonier.node.settings import NodeSettings


@dataclass
class KubeletContext:
    settings: NodeSettings
    runtime: Runtime
    api: Api
    clock: Clock
    tell: Tell
    cgroups: Cgroups
    network: Network
    cache: RuntimeCache
    volumes: Volumes
    images: Images
    hooks: Hooks
    reports: Reports
    host: Host
    memory_capacity: int
    """Bytes of memory of the machine."""
    node: core_v1.Node = field(default_factory=core_v1.Node)
    """The node as the server has it, once it is registered."""

    @property
    def seccomp_root(self) -> Path:
        return self.settings.root_dir / "seccomp"

    def dns(self, pod: core_v1.Pod) -> DnsConfig:
        """The pod's resolver configuration."""
        try:
            of_node = resolver.parse(self.settings.upstream_resolv_conf.read_text(errors="replace"))
        except FileNotFoundError:
            of_node = DnsConfig()
        return resolver.dns_config(pod, resolver.ClusterDns(self.settings.cluster_dns, self.settings.cluster_domain),
                                   of_node)

    def hosts_file(self, pod: core_v1.Pod, ips: tuple[str, ...]) -> str:
        of_node = Path("/etc/hosts").read_text(errors="replace") if pod.spec.hostNetwork else ""
        return resolver.hosts_file(pod, ips, self.settings.cluster_domain, of_node)
