"""What the controllers are told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from timonier.component.settings import ServingSettings


@dataclass(frozen=True, slots=True)
class ControllerSettings(ServingSettings):
    """Run the controllers of a cluster."""

    kubeconfig: Path
    """Kubeconfig file with which the controllers reach the API server."""
    root_ca_file: Path | None = None
    """PEM file that pods verify the API server with, as ConfigMap kube-root-ca.crt; the kubeconfig's CA if not set."""
    cluster_signing_cert_file: Path | None = None
    """Certificate (PEM) of the CA that signs approved CertificateSigningRequests; none are signed without it."""
    cluster_signing_key_file: Path | None = None
    """Key of that CA (PEM)."""
    cluster_signing_duration: float = 365 * 24 * 3600.0
    """Seconds for which a signed certificate holds at most, and where nobody asks for less."""
    service_account_private_key_file: Path | None = None
    """Key (PEM) that signs the tokens of Secrets of type kubernetes.io/service-account-token; none are without it."""
    cluster_cidr: str = "10.244.0.0/16"
    """Range of all pods, of which each node is given a part."""
    node_cidr_mask_size: int = 24
    """Prefix length of a node's part of the cluster range."""
    allocate_node_cidrs: bool = True
    """Whether nodes are given a part of the cluster range."""
    node_monitor_grace_period: float = 40.0
    """Seconds without a heartbeat after which a node counts as unreachable."""
    terminated_pod_gc_threshold: int = 12500
    """Finished pods that may remain before the oldest are deleted; 0 keeps all of them."""
    leader_elect: bool = False
    """Whether to work only while holding the lease kube-controller-manager, so that several may stand by."""
    log_level: str = "info"
    """Least severe messages to log: debug, info, warning or error."""

    def __post_init__(self) -> None:
        self.check_serving()
        try:
            network = ipaddress.ip_network(self.cluster_cidr)
        except ValueError as error:
            raise ValueError(f"--cluster-cidr: {error}") from error
        if not network.prefixlen <= self.node_cidr_mask_size <= network.max_prefixlen:
            raise ValueError(f"--node-cidr-mask-size must be between {network.prefixlen} and {network.max_prefixlen}")
        if (self.cluster_signing_cert_file is None) != (self.cluster_signing_key_file is None):
            raise ValueError("--cluster-signing-cert-file and --cluster-signing-key-file go together")
        if self.cluster_signing_duration < 600:
            raise ValueError("--cluster-signing-duration must be 600 seconds or more")
        if self.node_monitor_grace_period <= 0:
            raise ValueError("--node-monitor-grace-period must be positive")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError("--log-level must be debug, info, warning or error")
