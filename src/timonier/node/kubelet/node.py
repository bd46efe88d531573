"""This node's place in the cluster: it registers, reports its status, and renews its lease.

What a status says is computed in `node_status`; that a node which falls silent is noticed is the controllers' work.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import msgspec

from timonier.api import errors, times
from timonier.api.types import coordination_v1, core_v1, meta_v1
from timonier.kit.clock import Seconds, Time
from timonier.node.cri.contract import RuntimeFailure, Version
from timonier.node.kubelet import machine
from timonier.node.kubelet.api import NODE_LEASES, Unreachable
from timonier.node.kubelet.context import KubeletContext
from timonier.node.kubelet.node_status import Health, changed, new_node, node_status

log = logging.getLogger(__name__)

CHECK_PERIOD: Seconds = 10
IMPATIENT: Seconds = 0.1
"""Between checks until the node is ready for the first time."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 7.0
EMPTY_VERSION = Version("", "", "")


@dataclass
class NodeReporter:
    """Keeps the Node object and the Lease. `facts` do not change while the kubelet runs."""

    context: KubeletContext
    facts: machine.Machine
    reported_at: Time = 0.0
    was_ready: bool = False
    lease: coordination_v1.Lease | None = field(default=None)

    async def register(self) -> None:
        """Have a Node object, made or brought up to date; asks again until the server has taken it."""
        pause = FIRST_PAUSE
        while True:
            try:
                self.context.node = await self._registered()
                return
            except Unreachable as error:
                log.warning("node cannot register", extra={"node": self.context.settings.node_name,
                                                           "error": str(error)})
            await self.context.clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _registered(self) -> core_v1.Node:
        api, wanted = self.context.api, new_node(self.context.settings, self.facts)
        there = await api.node(wanted.metadata.name)
        if there is None:
            wanted.status = await self._status(wanted.status)
            try:
                made = await api.create_node(wanted)
                self._tell_turns(made, core_v1.NodeStatus(), made.status)
                return made
            except errors.AlreadyExists:
                there = await api.node(wanted.metadata.name)
        missing = {key: value for key, value in wanted.metadata.labels.items()
                   if there is None or there.metadata.labels.get(key) != value}
        if there is None or missing:
            return await api.patch_node(wanted.metadata.name, {"metadata": {"labels": missing}})
        return there

    async def report_status(self) -> None:
        """Look at the node for ever, and write its status when it changed or was not written for long."""
        while True:
            try:
                await self.report_once()
            except errors.NotFound:  # somebody deleted the Node
                await self.register()
            except Unreachable as error:
                log.warning("node status not written", extra={"error": str(error)})
            await self.context.clock.sleep(CHECK_PERIOD if self.was_ready else IMPATIENT)

    async def report_once(self) -> None:
        context, now = self.context, self.context.clock.now()
        if self.was_ready:
            context.node = await self._as_others_see_it()
        before = context.node.status
        status = await self._status(before)
        self.was_ready = self.was_ready or any(c.type == "Ready" and c.status == "True" for c in status.conditions)
        if not changed(before, status) and now - self.reported_at < context.settings.status_report_period:
            return
        patch = msgspec.to_builtins(status)
        if context.node.status.addresses:
            patch["addresses"].append({"$patch": "replace"})
        context.node = await context.api.patch_node(context.settings.node_name, {"status": patch}, "status")
        self.reported_at = now
        self._tell_turns(context.node, before, status)

    def _tell_turns(self, node: core_v1.Node, before: core_v1.NodeStatus, after: core_v1.NodeStatus) -> None:
        """Tell which conditions are other than they were: `NodeReady`, `NodeHasDiskPressure`."""
        known = {condition.type: condition.status for condition in before.conditions}
        for condition in after.conditions:
            if known.get(condition.type) != condition.status:
                turn = "Node" + condition.reason.removeprefix("Kubelet")
                self.context.tell(node, turn, f"Node {node.metadata.name} status is now: {turn}")

    async def _as_others_see_it(self) -> core_v1.Node:
        """The Node as it is on the API server, where it was declared Unknown if this kubelet was not heard of."""
        name = self.context.settings.node_name
        node = await self.context.api.node(name)
        if node is None:
            raise errors.NotFound(f'nodes "{name}" not found')
        return node

    async def _status(self, before: core_v1.NodeStatus) -> core_v1.NodeStatus:
        context = self.context
        try:
            version, conditions = await context.runtime.version(), await context.runtime.conditions()
            images, trouble = await context.runtime.images(), context.cache.failing
        except RuntimeFailure as error:
            health = Health(machine.load(context.settings.root_dir),
                            trouble=f"container runtime is down: {error.message}")
            status = node_status(context.settings, self.facts, EMPTY_VERSION, [], health, before,
                                 context.clock.now())
            status.images = before.images
            if before.nodeInfo and status.nodeInfo:
                status.nodeInfo.containerRuntimeVersion = before.nodeInfo.containerRuntimeVersion
            return status
        health = Health(machine.load(context.settings.root_dir), conditions, trouble)
        return node_status(context.settings, self.facts, version, images, health, before, context.clock.now())

    async def renew_lease(self) -> None:
        """Say for ever that the node is there, four times as often as needed."""
        period, pause = self.context.settings.lease_duration / 4, FIRST_PAUSE
        while True:
            try:
                await self._renew()
                pause = FIRST_PAUSE
                await self.context.clock.sleep(period)
            except Unreachable as error:
                self.lease = None
                log.warning("node lease not renewed", extra={"error": str(error)})
                await self.context.clock.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _renew(self) -> None:
        context, name = self.context, self.context.settings.node_name
        lease = self.lease or await context.api.lease(name) or coordination_v1.Lease(
            metadata=meta_v1.ObjectMeta(name=name, namespace=NODE_LEASES))
        owner = meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=name, uid=context.node.metadata.uid)
        if context.node.metadata.uid:
            lease.metadata.ownerReferences = [owner]
        lease.spec = coordination_v1.LeaseSpec(holderIdentity=name,
                                               leaseDurationSeconds=context.settings.lease_duration,
                                               renewTime=times.micro(context.clock.now()))
        self.lease = await context.api.write_lease(lease)
