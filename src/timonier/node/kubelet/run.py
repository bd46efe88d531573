"""The kubelet, put together: what it is made of, and in which order it comes up.

`Kubelet(…)` is made from the runtime, the API and a mirror of this node's pods; `run` runs until it is cancelled and
leaves every container as it is: pods outlive their kubelet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from timonier.api.types import core_v1
from timonier.kit.clock import Clock
from timonier.node.cri.contract import Runtime, RuntimeFailure
from timonier.node.kubelet import machine
from timonier.node.kubelet.api import Api, Tell
from timonier.node.kubelet.cache import RuntimeCache
from timonier.node.kubelet.cgroups import Cgroups
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.hooks import Hooks
from timonier.node.kubelet.images import Images
from timonier.node.kubelet.node import NodeReporter
from timonier.node.kubelet.pods import Pods
from timonier.node.kubelet.probes.attempt import Network
from timonier.node.kubelet.report import Reports
from timonier.node.kubelet.static import StaticPods
from timonier.node.kubelet.status import Host
from timonier.node.kubelet.storage_limits import StorageLimits
from timonier.node.kubelet.volumes.manager import Volumes
from timonier.node.mirror import Mirror
from timonier.node.settings import NodeSettings

log = logging.getLogger(__name__)

RUNTIME_PAUSE = 0.2


@dataclass
class Kubelet:
    """One node's kubelet. `pods_of_node` mirrors the pods bound to it."""

    settings: NodeSettings
    runtime: Runtime
    api: Api
    pods_of_node: Mirror[core_v1.Pod]
    tell: Tell
    cgroups: Cgroups
    network: Network
    clock: Clock
    on_ready: Callable[[], None] = lambda: None
    pods: Pods | None = None
    reporter: NodeReporter | None = field(default=None)

    async def run(self) -> None:
        """Come up and stay up: runtime first, then the node, then its pods."""
        async with asyncio.TaskGroup() as group:
            context = self._context(group)
            self.reporter = NodeReporter(context, machine.read(self.settings.root_dir))
            registration = group.create_task(self.reporter.register(), name="node registration")
            group.create_task(context.cache.follow(), name="runtime news")
            group.create_task(context.cache.keep_listing(self.settings.relist_period), name="runtime listing")
            await context.cache.listed.wait()
            await self._learn_runtime(context)
            await registration
            context.tell(context.node, "Starting", "Starting kubelet.")
            group.create_task(self.reporter.report_status(), name="node status")
            group.create_task(self.reporter.renew_lease(), name="node lease")
            await self.pods_of_node.synced.wait()
            self.pods = Pods(context, group)
            context.cache.changed = self.pods.changed
            self.pods_of_node.on_change(self.pods.on_change)
            if self.settings.manifests_dir is not None:
                static = StaticPods(self.settings.manifests_dir, context, self.pods)
                static.load()
                group.create_task(static.run(), name="static pods")
            group.create_task(self.pods.remove_orphans(), name="orphans")
            group.create_task(StorageLimits(context, self.pods.all, self.pods.evict).run(), name="storage limits")
            log.info("kubelet started", extra={"node": self.settings.node_name, "pods": len(self.pods.workers)})
            self.on_ready()

    def list_pods(self) -> list[core_v1.Pod]:
        """Every pod of this node with its status as last decided."""
        return self.pods.all() if self.pods else []

    def metrics(self) -> bytes:
        """What only the kubelet can count, in Prometheus's text format."""
        lines = ["# HELP kubelet_desired_pods Number of pods that are meant to be on this node",
                 "# TYPE kubelet_desired_pods gauge", f"kubelet_desired_pods {len(self.list_pods())}"]
        return ("\n".join(lines) + "\n").encode()

    def unhealthy(self) -> str:
        """What keeps the kubelet from its work; empty while nothing does."""
        return self.reporter.context.cache.failing if self.reporter else "starting"

    def _context(self, group: asyncio.TaskGroup) -> KubeletContext:
        settings, runtime, api, clock = self.settings, self.runtime, self.api, self.clock
        context = KubeletContext(
            settings, runtime, api, clock, self.tell, self.cgroups, self.network,
            cache=RuntimeCache(runtime, clock), images=Images(runtime, api, clock, self.tell),
            volumes=Volumes(settings.root_dir, api, clock, tmpfs=settings.runtime != "simulated"),
            hooks=Hooks(runtime, self.network, clock), reports=Reports(api, clock, group),
            host=Host((settings.node_ip,), settings.runtime),
            memory_capacity=machine.read(settings.root_dir).memory)
        context.volumes.allocatable = lambda: context.node.status.allocatable
        return context

    async def _learn_runtime(self, context: KubeletContext) -> None:
        while True:
            try:
                version = await self.runtime.version()
                context.host = Host((self.settings.node_ip,), version.name)
                return
            except RuntimeFailure as error:
                log.warning("runtime does not say its version", extra={"error": str(error)})
            await self.clock.sleep(RUNTIME_PAUSE)
