"""The agent: kubelet, the kubelet's API, service proxy, cluster DNS and pod network of one node, in one process.

It stands in the node's network namespace. Its parts do not know each other; what they share (client, informers,
runtime) is made here and handed to them. When it ends, pods, rules and routes stay as they are.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timonier.api import quantity
from timonier.api.types import core_v1, discovery_v1
from timonier.client.client import Client
from timonier.client.informer import SharedInformers
from timonier.kit import kubeconfig, nft, process
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.fatal import CannotRun, needed
from timonier.node.cri.contract import Runtime
from timonier.node.dns import publish
from timonier.node.dns.run import run_dns
from timonier.node.kubelet import cgroups
from timonier.node.kubelet.api import ClientApi
from timonier.node.kubelet.logs.rotate import LogRotator
from timonier.node.kubelet.probes.attempt import RealNetwork
from timonier.node.kubelet.run import Kubelet
from timonier.node.kubelet.server.host import Host
from timonier.node.kubelet.server.run import serve_kubelet_api
from timonier.node.net.run import run_network
from timonier.node.proxy.run import run_proxy
from timonier.node.settings import NodeSettings
from timonier.reconcile.events import Recorder

log = logging.getLogger(__name__)


async def run(settings: NodeSettings) -> None:
    """Be a node until cancelled."""
    prepare(settings)
    clock = SystemClock()
    runtime = make_runtime(settings, clock)
    async with Client(kubeconfig.load(settings.kubeconfig), name=f"timonier-agent/{settings.node_name}") as client:
        try:
            await Agent(settings, client, runtime, clock).run()
        finally:
            await runtime.close()


def prepare(settings: NodeSettings) -> None:
    """Make the node's folders. Raises CannotRun where one cannot be had or written to, or libnftables is missing."""
    folders = [settings.root_dir, settings.pod_logs_dir]
    if settings.runtime != "simulated":
        nft.load()
        folders.append(settings.cni_conf_dir)
    if settings.manifests_dir is not None:
        folders.append(settings.manifests_dir)
    for folder in folders:
        with needed("cannot write to a folder of the node"):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CannotRun(f"{folder} is not writable for this process, which needs it for its pods")


def make_runtime(settings: NodeSettings, clock: Clock) -> Runtime:
    """The runtime that the settings name; grpc is loaded only where it is spoken."""
    if settings.runtime == "simulated":
        from timonier.node.cri.simulated import SimulatedRuntime
        return SimulatedRuntime(clock, settings.pod_cidr or settings.cluster_cidr)
    from timonier.node.cri.containerd import ContainerdRuntime
    return ContainerdRuntime(settings.containerd_socket)


class Agent:
    """The parts of one node, and who of them needs what."""

    def __init__(self, settings: NodeSettings, client: Client, runtime: Runtime, clock: Clock) -> None:
        self.settings, self.client, self.runtime, self.clock = settings, client, runtime, clock
        self.informers = SharedInformers(client)
        self.recorder = Recorder(client, "kubelet", clock, host=settings.node_name)
        self.pods = self.informers.informer(core_v1.Pod, fields=f"spec.nodeName={settings.node_name}")
        self.services = self.informers.informer(core_v1.Service)
        self.kubelet = Kubelet(
            settings, runtime, ClientApi(client, self.services), self.pods, self.recorder.event, make_cgroups(settings),
            RealNetwork(), clock, on_ready=process.freeze)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.informers.run(), name="informers")
            group.create_task(self.recorder.run(), name="events")
            group.create_task(self.kubelet.run(), name="kubelet")
            if self.settings.tls_cert_file is not None:
                group.create_task(serve_kubelet_api(self.settings, self.host(), self.client), name="kubelet API")
            if self.settings.runtime != "simulated":
                self.start_networking(group)

    def start_networking(self, group: asyncio.TaskGroup) -> None:
        """What a node with real packets needs besides."""
        settings, informer = self.settings, self.informers.informer
        nodes, slices = informer(core_v1.Node), informer(discovery_v1.EndpointSlice)
        rotator = LogRotator(self.runtime, quantity.whole(settings.container_log_max_size),
                             settings.container_log_max_files, self.clock)
        group.create_task(rotator.run(), name="log rotation")
        group.create_task(run_network(
            node_name=settings.node_name, node_ip=settings.node_ip, cluster_cidr=settings.cluster_cidr,
            service_cidr=settings.service_cidr, cni_conf_dir=settings.cni_conf_dir, nodes=nodes,
            pod_cidr=settings.pod_cidr, clock=self.clock), name="pod network")
        group.create_task(run_proxy(
            node_name=settings.node_name, addresses=[settings.node_ip], services=self.services, slices=slices,
            nodes=nodes, service_cidrs=[settings.service_cidr], clock=self.clock), name="service proxy")
        if settings.cluster_dns:
            group.create_task(run_dns(
                node_name=settings.node_name, address=settings.node_ip, domain=settings.cluster_domain,
                dns_address=settings.cluster_dns, cidrs=[settings.cluster_cidr, settings.service_cidr],
                services=self.services, slices=slices, namespaces=informer(core_v1.Namespace),
                publish=self.publish_dns, node=lambda: nodes.get(settings.node_name),
                resolv_conf=settings.upstream_resolv_conf, clock=self.clock), name="cluster DNS")

    async def publish_dns(self, wanted: discovery_v1.EndpointSlice) -> None:
        await publish.put(self.client, wanted)

    def host(self) -> Host:
        """The kubelet as its own API sees it."""
        return Host(node_name=self.settings.node_name, runtime=self.runtime, pods=self.kubelet.list_pods,
                    configuration=self.configuration, unhealthy=self.kubelet.unhealthy,
                    metrics=self.kubelet.metrics, log_dir=Path("/var/log"), clock=self.clock)

    def configuration(self) -> Mapping[str, Any]:
        return {name: str(value) if isinstance(value, Path) else value
                for name, value in dataclasses.asdict(self.settings).items()}


def make_cgroups(settings: NodeSettings) -> cgroups.Cgroups:
    if settings.runtime == "simulated":
        return cgroups.NoCgroups()
    return cgroups.make(settings.cgroup_driver, settings.cgroup_root, settings.pod_pids_limit)
