"""The processes that a cluster consists of: a pure function of its spec.

The supervisor makes it so; nothing else starts or ends one of them.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.apiserver.settings import ApiServerSettings
from timonier.cluster.drivers import netns
from timonier.cluster.identities import FRONT_PROXY
from timonier.cluster.spec import MANAGER_PORT, ClusterSpec, NodeSpec
from timonier.controllers.settings import ControllerSettings
from timonier.kit.settings import to_arguments
from timonier.node.settings import NodeSettings

SMALL = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "OPENBLAS_NUM_THREADS": "1"}
"""What keeps a process small that handles small things: glibc keeps no heap a thread and gives back what is free, and
numpy, which adds short arrays up, has no threads waiting."""


@dataclass(frozen=True, slots=True)
class Component:
    """A process that should run. `cgroup` is where it and all that it starts belong."""

    name: str
    command: tuple[str, ...]
    cgroup: str
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


def components(spec: ClusterSpec) -> list[Component]:
    """Everything that should run, in the order in which to start it; stopping goes the other way."""
    nodes = [node for node in spec.all_nodes if node.name not in spec.stopped]
    return [
        role(spec, "apiserver", api_server(spec)),
        *(containerd(spec, node) for node in nodes),
        manager(spec),
        *(agent(spec, node) for node in nodes),
    ]


def program(name: str) -> tuple[str, ...]:
    """A role of this very installation, whatever the caller's path and environment are."""
    return sys.executable, "-m", "timonier", name


def role(spec: ClusterSpec, name: str, settings: Any) -> Component:
    return Component(name, (*program(name), *to_arguments(settings)), f"{spec.cgroup}/system",
                     spec.logs / f"{name}.log")


def containerd(spec: ClusterSpec, node: NodeSpec) -> Component:
    command = netns.enter(node, ["containerd", "--config", str(spec.node_state(node) / "containerd.toml")])
    return Component(f"containerd-{node.name}", tuple(command), f"{spec.node_cgroup(node)}/system",
                     spec.logs / f"containerd-{node.name}.log")


def api_server(spec: ClusterSpec) -> ApiServerSettings:
    pki = spec.pki
    return ApiServerSettings(
        tls_cert_file=pki / "apiserver.crt", tls_private_key_file=pki / "apiserver.key",
        client_ca_file=pki / "ca.crt", service_account_signing_key_file=pki / "sa.key",
        advertise_address=spec.gateway, store=f"sqlite://{spec.state / 'store.db'}",
        encryption_key_file=pki / "secrets.key",
        bind_address=("127.0.0.1", spec.gateway), secure_port=spec.api_port,
        service_account_issuer=(f"https://kubernetes.default.svc.{spec.domain}",),
        kubelet_client_certificate=pki / "apiserver-kubelet-client.crt",
        kubelet_client_key=pki / "apiserver-kubelet-client.key",
        service_cluster_ip_range=spec.service_cidr,
        proxy_client_cert_file=pki / "front-proxy" / "client.crt",
        proxy_client_key_file=pki / "front-proxy" / "client.key",
        requestheader_client_ca_file=pki / "front-proxy" / "ca.crt",
        requestheader_allowed_names=(FRONT_PROXY.name,),
    )


def manager(spec: ClusterSpec) -> Component:
    """Controllers and scheduler; the process takes the controllers' flags, and the scheduler's identity."""
    pki = spec.pki
    settings = ControllerSettings(kubeconfig=spec.state / "controllers.kubeconfig", root_ca_file=pki / "ca.crt",
                                  cluster_cidr=spec.pod_cidr, bind_address=spec.gateway, secure_port=MANAGER_PORT,
                                  tls_cert_file=pki / "manager.crt", tls_private_key_file=pki / "manager.key",
                                  client_ca_file=pki / "ca.crt", cluster_signing_cert_file=pki / "ca.crt",
                                  cluster_signing_key_file=pki / "ca.key",
                                  service_account_private_key_file=pki / "sa.key")
    made = role(spec, "manager", settings)
    identity = ("--scheduler-kubeconfig", str(spec.state / "scheduler.kubeconfig"))
    return dataclasses.replace(made, command=(*made.command, *identity), env=SMALL)


def node_settings(spec: ClusterSpec, node: NodeSpec) -> NodeSettings:
    state = spec.node_state(node)
    return NodeSettings(
        node_name=node.name, node_ip=node.address, kubeconfig=state / "kubeconfig",
        containerd_socket=spec.containerd_socket(node), root_dir=state / "kubelet",
        pod_logs_dir=state / "pod-logs", manifests_dir=state / "manifests", cni_conf_dir=state / "cni",
        cluster_dns=spec.dns_address, cluster_domain=spec.domain,
        cluster_cidr=spec.pod_cidr, service_cidr=spec.service_cidr, cgroup_root=spec.node_cgroup(node),
        tls_cert_file=state / "kubelet.crt", tls_key_file=state / "kubelet.key",
        client_ca_file=spec.pki / "ca.crt",
    )


def agent(spec: ClusterSpec, node: NodeSpec) -> Component:
    settings = node_settings(spec, node)
    command = netns.enter(node, [*program("agent"), *to_arguments(settings)])
    return Component(f"agent-{node.name}", tuple(command), f"{spec.node_cgroup(node)}/system",
                     spec.logs / f"agent-{node.name}.log", SMALL)
