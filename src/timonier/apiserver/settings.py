"""What the API server is told: where it listens, with which keys, over which store, and how much it may hold."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from timonier.apiserver.audit.settings import AuditSettings
from timonier.apiserver.audit.settings import check as check_audit
from timonier.apiserver.auth.settings import AccessSettings


@dataclass(frozen=True, slots=True)
class ApiServerSettings(AccessSettings, AuditSettings):
    """Run the API server: the one place where all parts of a cluster meet."""

    tls_cert_file: Path
    """Serving certificate (PEM), with the names and addresses under which clients reach the server."""
    tls_private_key_file: Path
    """Key of the serving certificate (PEM)."""
    client_ca_file: Path
    """CA that signs client certificates and the kubelets' serving certificates (PEM)."""
    service_account_signing_key_file: Path
    """Key that signs service-account tokens, and verifies them (PEM)."""
    advertise_address: str
    """Address under which pods and nodes reach the server; the endpoint of Service `kubernetes`."""

    store: str = "memory:"
    """Where objects are kept: `sqlite:///PATH`, or `memory:`, which forgets when the process ends."""
    encryption_key_file: Path | None = None
    """Key (32 bytes) that encrypts Secrets in the store, by AES-GCM; without it they are stored in the clear."""
    encryption_provider_config: Path | None = None
    """EncryptionConfiguration (apiserver.config.k8s.io/v1) that says what is encrypted, and how."""
    encryption_provider_config_automatic_reload: bool = False
    """Whether a change of the encryption configuration counts without a restart."""

    bind_address: tuple[str, ...] = ("127.0.0.1",)
    """Address to listen on; may be given several times."""
    secure_port: int = 6443
    """Port to listen on, at every bind address."""

    kubelet_client_certificate: Path | None = None
    """Certificate with which the server calls kubelets (PEM), for logs, exec, attach and port-forward."""
    kubelet_client_key: Path | None = None
    """Key of the kubelet client certificate (PEM)."""

    proxy_client_cert_file: Path | None = None
    """Certificate with which the server calls other API servers for its clients (PEM); see APIService."""
    proxy_client_key_file: Path | None = None
    """Key of the proxy's client certificate (PEM)."""

    service_cluster_ip_range: str = "10.96.0.0/16"
    """Addresses of Services; the first is that of Service `kubernetes`."""
    service_node_port_range: str = "30000-32767"
    """Ports of Services of type NodePort and LoadBalancer, both ends included."""

    enable_admission_plugins: tuple[str, ...] = ()
    """Admission plugins to run beside those that run by default, by name; several may be separated by commas."""
    disable_admission_plugins: tuple[str, ...] = ()
    """Admission plugins not to run, of those that run by default; several may be separated by commas."""
    admission_control_config_file: Path | None = None
    """AdmissionConfiguration (YAML) with the configuration of plugins that take one."""

    watch_history: int = 10_000
    """Changes of each kind that are kept in memory for watches that resume."""
    watch_history_bytes: int = 64 * 1024 * 1024
    """Bytes of such changes, of all kinds together, that are kept at the most."""
    watch_buffer: int = 8 * 1024 * 1024
    """Bytes that may wait for a slow watcher; one that falls further behind is disconnected."""
    protobuf_cache: int = 64 * 1024 * 1024
    """Bytes of objects in protobuf that are kept, beside the objects as JSON, for the next list, watch or read."""
    watch_bookmark_seconds: float = 60.0
    """Between two bookmarks of a watch that asked for them."""
    min_request_timeout: int = 1800
    """Seconds after which a watch that named no timeout ends, at the earliest; at the latest after twice that."""
    compaction_seconds: float = 300.0
    """How long history is kept, for lists and watches that go on from a revision; up to a fifth longer."""
    event_ttl: float = 3600.0
    """Seconds for which an event is kept after it last happened."""
    max_requests_inflight: int = 400
    """Requests that are answered at a time, together with --max-mutating-requests-inflight: the seats that priority
    and fairness divides. Streams do not count."""
    max_mutating_requests_inflight: int = 200
    """Further requests that are answered at a time; see --max-requests-inflight."""
    request_timeout: float = 60.0
    """Seconds that a request may take, unless its `timeout` asks for less; streams may last."""
    shutdown_delay_duration: float = 0.0
    """Seconds for which requests are still taken after the server was told to end, while /readyz says that it will."""
    shutdown_watch_termination_grace_period: float = 0.0
    """Seconds over which the ends of watches are spread, so that not all clients begin anew at once."""
    max_request_bytes: int = 3 * 1024 * 1024
    """Largest request body."""
    log_level: str = "info"
    """Least level that is logged: debug, info, warning or error."""

    def __post_init__(self) -> None:
        self.check_access()
        if not self.store.startswith(("sqlite:///", "memory:")):
            raise ValueError(f"--store {self.store}: must be sqlite:///PATH or memory:")
        check_audit(self)
        network = ipaddress.ip_network(self.service_cluster_ip_range)
        if network.num_addresses < 16:
            raise ValueError(f"--service-cluster-ip-range {self.service_cluster_ip_range}: too small for a cluster")
        if ipaddress.ip_address(self.advertise_address).is_loopback:
            raise ValueError(f"--advertise-address {self.advertise_address}: pods cannot reach a loopback address")
        if self.encryption_key_file and self.encryption_provider_config:
            raise ValueError("--encryption-key-file is one key for Secrets, --encryption-provider-config says all of "
                             "it: give one of them")
        if self.request_timeout <= 0:
            raise ValueError(f"--request-timeout {self.request_timeout:g}: must be positive")
        if self.event_ttl <= 0:
            raise ValueError(f"--event-ttl {self.event_ttl:g}: must be positive")
        first, last = self.node_ports
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"--service-node-port-range {self.service_node_port_range}: must be FIRST-LAST")
        if not 1 <= self.secure_port <= 65535:
            raise ValueError(f"--secure-port {self.secure_port}: must be a port")
        if (self.proxy_client_cert_file is None) != (self.proxy_client_key_file is None):
            raise ValueError("--proxy-client-cert-file and --proxy-client-key-file go together")
        if (self.kubelet_client_certificate is None) != (self.kubelet_client_key is None):
            raise ValueError("--kubelet-client-certificate and --kubelet-client-key go together")

    @property
    def node_ports(self) -> tuple[int, int]:
        """First and last port of the node port range."""
        first, _, last = self.service_node_port_range.partition("-")
        if not first.isdigit() or not last.isdigit():
            raise ValueError(f"--service-node-port-range {self.service_node_port_range}: must be FIRST-LAST")
        return int(first), int(last)
