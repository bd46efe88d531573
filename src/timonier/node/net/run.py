"""Keeps this node's pod network: sysctls, CNI configuration, routes to the other nodes, masquerade.

`await run_network(…)` runs until it is cancelled and leaves everything in place: pods outlive the agent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from timonier.api.types import core_v1
from timonier.kit.clock import Clock, SystemClock, sleep_unless
from timonier.kit.nft import Nftables, NftablesError
from timonier.node.mirror import Mirror
from timonier.node.net import plan, routes
from timonier.node.net.links import mtu_of
from timonier.node.net.plan import Place

log = logging.getLogger(__name__)

TABLE = "timonier-net"
CONFIGURATION = "10-timonier.conflist"
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/icmp_ratemask": "6160",
}
"""Forwarding is a node's work. A pod that calls itself through a Service comes back on the way that it went, which is
neither a spoof (rp_filter) nor a detour (send_redirects). And who is told that an address does not answer should be
told every time (icmp_ratemask: the default without destination-unreachable), or waits in vain."""
SYSCTL_ROOT = Path("/proc/sys")
GATHER = 0.01
INSPECT = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0


async def run_network(*, node_name: str, node_ip: str, cluster_cidr: str, service_cidr: str, cni_conf_dir: Path,
                      nodes: Mirror[core_v1.Node], pod_cidr: str = "", cni_state_dir: Path | None = None,
                      table: str = TABLE, clock: Clock | None = None,
                      on_ready: Callable[[], None] = lambda: None) -> None:
    """Keep the pod network, in the network namespace of the calling thread, until cancelled.

    `pod_cidr` is this node's range, taken from its Node object when empty; the CNI configuration is written once it is
    known, which is what the runtime calls the network being ready, and `on_ready` is called then. `cni_state_dir` is
    where addresses given to pods are kept: a folder beside the configuration unless said.
    """
    place = Place(node_name, node_ip, cluster_cidr, service_cidr)
    network = Network(place, pod_cidr, nodes, cni_conf_dir, cni_state_dir or cni_conf_dir.parent / "cni-state",
                      Nftables(), table, clock or SystemClock())
    write_sysctls()
    await network.run(on_ready)


def remove_network(table: str = TABLE) -> None:
    """Take our routes and rules out of this network namespace; sysctls and pods' interfaces stay."""
    routes.show(())
    nft = Nftables()
    nft.apply(f"add table ip {table}\ndelete table ip {table}\n")
    nft.close()


class Network:
    """The pod network of one node, as planned from the nodes that there are."""

    def __init__(self, place: Place, pod_cidr: str, nodes: Mirror[core_v1.Node], conf_dir: Path, state_dir: Path,
                 nft: Nftables, table: str, clock: Clock) -> None:
        self._place, self._pod_cidr, self._nodes, self._clock = place, pod_cidr, nodes, clock
        self._conf_dir, self._state_dir = conf_dir, state_dir
        self._nft, self._table = nft, table
        self._written = ""
        self._configured = ""
        self._wake = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> None:
        self._nodes.on_change(lambda old, new: self._wake.set())
        failures, announced = 0, False
        while True:
            self._wake.clear()
            failures = 0 if self._try() else failures + 1
            if self._configured and not announced:
                announced = True
                on_ready()
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16)) if failures else INSPECT
            await self._pause(pause)

    def _try(self) -> bool:
        try:
            return self.sync()
        except OSError as error:
            log.warning("cannot read the node's network", extra={"error": str(error)})
            return False

    def sync(self) -> bool:
        """Bring the node's network to what the nodes say now; whether everything could be done."""
        nodes = self._nodes.list()
        complete = True
        if self._nodes.synced.is_set():  # until then, routes of an earlier process are better than none
            wanted = plan.routes(self._place, nodes)
        else:
            wanted = plan.routes(self._place, ()) | self._standing_routes()
        for route, error in routes.show(wanted).items():
            complete = False
            log.warning("route refused", extra={"cidr": route.cidr, "gateway": route.gateway, "error": str(error)})
        own = self._own_cidrs(nodes)
        complete &= self._write_table(own, nodes)
        if own:
            complete &= self._configure(own[0])
        return complete

    def _own_cidrs(self, nodes: Iterable[core_v1.Node]) -> list[str]:
        if self._pod_cidr:
            return [self._pod_cidr]
        return [cidr for node in nodes if node.metadata.name == self._place.node_name for cidr in plan.pod_cidrs(node)]

    def _standing_routes(self) -> set[plan.Route]:
        return {route for route in routes.standing() if route.gateway}

    def _write_table(self, own: Sequence[str], nodes: Iterable[core_v1.Node]) -> bool:
        commands = plan.table(self._table, self._place, own, nodes)
        try:
            if commands != self._written or not self._table_stands():
                self._nft.apply(commands)
                self._written = commands
        except NftablesError as error:
            log.warning("cannot write network rules", extra={"error": str(error)})
            return False
        return True

    def _table_stands(self) -> bool:
        try:
            return any("rule" in entry for entry in self._nft.read(f"list table ip {self._table}"))
        except NftablesError:
            return False

    def _configure(self, pod_cidr: str) -> bool:
        mtu = mtu_of(self._place.node_ip)
        text = json.dumps(plan.cni_configuration(pod_cidr, mtu, str(self._state_dir)), indent=2) + "\n"
        path = self._conf_dir / CONFIGURATION
        try:
            if not path.exists() or path.read_text() != text:
                write_whole(path, text)
                log.info("pod network configured", extra={"podCIDR": pod_cidr, "file": str(path)})
        except OSError as error:
            log.warning("cannot write CNI configuration", extra={"file": str(path), "error": str(error)})
            return False
        self._configured = text
        return True

    async def _pause(self, seconds: float) -> None:
        """Until a node changes, with those that change at the same time; `seconds` at most."""
        await sleep_unless(self._clock, seconds, self._wake)
        if self._wake.is_set():
            await self._clock.sleep(GATHER)


def write_sysctls(root: Path = SYSCTL_ROOT) -> None:
    """Set what a node needs in this network namespace; what is so already is not touched."""
    for name, value in SYSCTLS.items():
        path = root / name
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            log.warning("cannot set sysctl", extra={"sysctl": name.replace("/", "."), "error": str(error)})


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds all of it or none, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
