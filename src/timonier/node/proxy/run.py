"""The proxy's loop: changes gather for a moment, become one transaction, and are compared with the kernel now and then.

`await run_proxy(node_name=…, addresses=…, services=…, slices=…, nodes=…, service_cidrs=…)` runs until it is cancelled
and leaves the rules in place: connections outlive the agent. `remove_rules` takes them away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from timonier.api.types import core_v1, discovery_v1
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.nft import Nftables, NftablesError
from timonier.node.mirror import Mirror
from timonier.node.proxy import conntrack
from timonier.node.proxy.health import Health, HealthServers, health_of
from timonier.node.proxy.ledger import Ledger
from timonier.node.proxy.nftables import FEW, KernelTable
from timonier.node.proxy.rules import Endpoint, Frontend, NodeFacts, Route, routes, service_key, with_node

log = logging.getLogger(__name__)

TABLE = "timonier"
GATHER = 0.005
"""Seconds that a change waits for others to come with it."""
INSPECT = 5.0
"""Seconds between looks at whether somebody else changed the rules."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0


async def run_proxy(*, node_name: str, addresses: Sequence[str], services: Mirror[core_v1.Service],
                    slices: Mirror[discovery_v1.EndpointSlice], nodes: Mirror[core_v1.Node],
                    service_cidrs: Sequence[str], table: str = TABLE, clock: Clock | None = None,
                    on_ready: Callable[[], None] = lambda: None) -> None:
    """Keep this node's service rules, in the network namespace of the calling thread, until cancelled.

    `addresses` are the node's own, on which node ports answer; `on_ready` is called once all Services known at the
    start are in the kernel. Raises NftablesMissing where libnftables is not installed.
    """
    facts = NodeFacts(node_name, tuple(addresses), service_cidrs=tuple(service_cidrs))
    kernel = KernelTable(table, Nftables())
    proxy = Proxy(facts, services, slices, nodes, kernel, clock or SystemClock())
    health = HealthServers(addresses[0] if addresses else "0.0.0.0")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(proxy.run(on_ready, health), name="proxy rules")
            group.create_task(proxy.inspect(), name="proxy inspection")
    finally:
        await health.close()
        kernel.close()


def remove_rules(table: str = TABLE) -> None:
    """Take the proxy's table out of this network namespace."""
    kernel = KernelTable(table, Nftables())
    kernel.remove()
    kernel.close()


@dataclass
class Proxy:
    """Routes of this node, in memory and in the kernel."""

    facts: NodeFacts
    services: Mirror[core_v1.Service]
    slices: Mirror[discovery_v1.EndpointSlice]
    nodes: Mirror[core_v1.Node]
    kernel: KernelTable
    clock: Clock

    ledger: Ledger = field(default_factory=Ledger)
    _dirty: set[str] = field(default_factory=set)
    _slices_of: dict[str, dict[str, discovery_v1.EndpointSlice]] = field(default_factory=dict)
    _healths: dict[str, tuple[int, Health]] = field(default_factory=dict)
    _doubt: bool = True
    """Whether the kernel may hold something else than the ledger: everything is written anew."""
    _unflushed: set[Frontend] = field(default_factory=set)
    """Frontends whose endpoints changed, and whose clients were not yet told."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def idle(self) -> bool:
        """Whether the kernel has all that the mirrors said."""
        return not self._wake.is_set() and not self._busy.locked()

    async def run(self, on_ready: Callable[[], None], health: HealthServers) -> None:
        for mirror in (self.services, self.slices, self.nodes):
            await mirror.synced.wait()
        self.services.on_change(self._service_changed)
        self.slices.on_change(self._slice_changed)
        self.nodes.on_change(self._node_changed)
        failures, announced = 0, False
        while True:
            if announced:
                await self._wake.wait()
                await self.clock.sleep(GATHER)
            self._wake.clear()
            try:
                async with self._busy:
                    await self.sync()
                failures = 0
            except (NftablesError, OSError) as error:
                failures += 1
                self.doubt()
                log.warning("cannot write service rules", extra={"error": str(error), "failures": failures})
                await self.clock.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16)))
                continue
            await health.show(dict(self._healths.values()))
            if not announced:
                announced = True
                on_ready()

    async def inspect(self) -> None:
        """Write everything anew when somebody else took it away (`nft flush ruleset`)."""
        while True:
            await self.clock.sleep(INSPECT)
            try:
                async with self._busy:
                    disturbed = not self._doubt and await asyncio.to_thread(
                        self.kernel.disturbed, self.ledger.elements())
            except OSError as error:
                log.warning("cannot read service rules", extra={"error": str(error)})
                continue
            if disturbed:
                log.warning("service rules were changed by somebody else; writing them anew")
                self.doubt()

    def doubt(self) -> None:
        self._doubt = True
        self._wake.set()

    async def sync(self) -> None:
        """Bring the kernel to what the mirrors say now."""
        dirty, self._dirty = self._dirty, set()
        change = self.ledger.update({key: self._routes(key) for key in dirty})
        self._unflushed |= change.frontends
        if self._doubt:
            self._doubt = False
            here = [*self.facts.addresses, *self.facts.pod_cidrs]
            await asyncio.to_thread(
                self.kernel.replace, self.ledger.elements(), here, self.facts.service_cidrs)
            log.info("service rules written", extra={"frontends": len(self.ledger.routes)})
        elif len(change.add) + len(change.delete) > FEW:
            await asyncio.to_thread(self.kernel.apply, change)
        elif change:
            self.kernel.apply(change)
        await self._forget_stale()

    async def _forget_stale(self) -> None:
        """Let go of clients that would still be led to endpoints that are gone."""
        current = {frontend: self.ledger.routes.get(frontend) for frontend in self._unflushed}

        def stale(frontend: Frontend, endpoint: Endpoint) -> bool:
            if frontend not in current:
                return False
            route = current[frontend]
            return route is None or endpoint not in route.all_endpoints

        def unremembered(frontend: Frontend, endpoint: Endpoint) -> bool:
            route = current.get(frontend)
            return frontend in current and (stale(frontend, endpoint) or not (route and route.sticky))

        if any(frontend.protocol == "UDP" for frontend in current):
            await asyncio.to_thread(conntrack.forget, stale)
        if self.kernel.remembers:
            await asyncio.to_thread(self.kernel.forget, unremembered)
        self._unflushed.clear()

    def _routes(self, key: str) -> dict[Frontend, Route]:
        service = self.services.get(key)
        pieces = self._slices_of.get(key, {}).values()
        health = service and health_of(service, pieces, self.facts)
        if health:
            self._healths[key] = health
        else:
            self._healths.pop(key, None)
        return routes(service, pieces, self.facts) if service else {}

    def _service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        for service in (old, new):
            if service:
                self._mark(f"{service.metadata.namespace}/{service.metadata.name}")

    def _slice_changed(self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None) -> None:
        for piece, present in ((old, False), (new, True)):
            if piece is None or not (key := service_key(piece)):
                continue
            of_service = self._slices_of.setdefault(key, {})
            if present:
                of_service[piece.metadata.name] = piece
            else:
                of_service.pop(piece.metadata.name, None)
            if not of_service:
                del self._slices_of[key]
            self._mark(key)

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        """Our own node may get its range of pods, or move to another zone: then every route is looked at again."""
        node = new or old
        if node is None or node.metadata.name != self.facts.name or new is None:
            return
        facts = with_node(self.facts, new)
        if facts != self.facts:
            self.facts = facts
            for service in self.services.list():
                self._mark(f"{service.metadata.namespace}/{service.metadata.name}")
            self.doubt()

    def _mark(self, key: str) -> None:
        self._dirty.add(key)
        self._wake.set()
