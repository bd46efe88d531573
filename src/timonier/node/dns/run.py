"""DNS of one node: the zone follows the mirrors, the server answers from it, the EndpointSlice says so.

`await run_dns(…)` runs until it is cancelled. It listens only once the mirrors are filled: no answer is better than a
wrong one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from timonier.api import errors
from timonier.api.types import core_v1, discovery_v1
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.http import HttpError
from timonier.node.dns.answers import Answerer
from timonier.node.dns.publish import NAMESPACE, endpoint_slice, says_the_same
from timonier.node.dns.records import Record, service_records
from timonier.node.dns.server import Server
from timonier.node.dns.upstream import ResolvConf, Upstream
from timonier.node.dns.zone import EXISTS
from timonier.node.mirror import Mirror

log = logging.getLogger(__name__)

PORT = 53
SERVICE_NAME = "kubernetes.io/service-name"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
RENEW = 10.0
"""Seconds after which the mirror is looked at again, should somebody have changed the slice."""
FAREWELL = 2.0
"""Seconds that saying goodbye may take."""


async def run_dns(*, node_name: str, address: str, domain: str, dns_address: str, cidrs: Sequence[str],
                  services: Mirror[core_v1.Service], slices: Mirror[discovery_v1.EndpointSlice],
                  namespaces: Mirror[core_v1.Namespace],
                  publish: Callable[[discovery_v1.EndpointSlice], Awaitable[None]],
                  node: Callable[[], core_v1.Node | None] = lambda: None,
                  resolv_conf: Path = Path("/etc/resolv.conf"), port: int = PORT, clock: Clock | None = None,
                  on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve cluster DNS on `address`, in the network namespace of the calling thread, until cancelled.

    `dns_address` is the cluster IP of kube-dns; `cidrs` are the ranges of pods and Services, whose reverse names are
    answered here alone; `publish` puts an EndpointSlice on the API server (`publish.put`), where `node` gives this
    node's object once there is one. `on_ready` is called when DNS answers and is published.
    """
    clock = clock or SystemClock()
    answerer = Answerer(domain, [ipaddress.IPv4Network(cidr) for cidr in cidrs if ":" not in cidr], dns_address,
                        serial=int(clock.now()))
    upstream = Upstream(ResolvConf(resolv_conf, clock, ours=(address, dns_address)), clock)
    server = Server(answerer, upstream)
    for mirror in (services, slices, namespaces):
        await mirror.synced.wait()
    Follower(answerer, server).follow(services, slices, namespaces)

    async def say(ready: bool) -> None:
        wanted = endpoint_slice(node_name, address, server.port, ready=ready, node=node())
        if not ready or not says_the_same(slices.get(f"{NAMESPACE}/{wanted.metadata.name}"), wanted):
            await publish(wanted)

    try:
        await listen(server, address, port, clock)
        log.info("DNS answers", extra={"address": address, "port": server.port, "names": len(answerer.zone)})
        await keep_published(lambda: say(True), clock, on_ready)
    finally:
        await farewell(lambda: say(False), server)
        await server.close()
        await upstream.close()


async def listen(server: Server, address: str, port: int, clock: Clock) -> None:
    """Start listening; a port that is taken (by an earlier process that is about to end) is tried again."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await server.start(address, port)
        except OSError as error:
            log.warning("DNS cannot listen", extra={"address": address, "port": port, "error": str(error)})
        await clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def keep_published(say: Callable[[], Awaitable[None]], clock: Clock, on_ready: Callable[[], None]) -> None:
    """Publish now and keep it so."""
    failures, announced = 0, False
    while True:
        try:
            await say()
            failures = 0
            if not announced:
                announced = True
                on_ready()
        except (errors.ApiError, HttpError, OSError) as error:
            failures += 1
            log.log(logging.WARNING if failures > 3 else logging.DEBUG, "DNS endpoint not published",
                    extra={"error": str(error), "failures": failures})
        await clock.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16)) if failures else RENEW)


async def farewell(say: Callable[[], Awaitable[None]], server: Server) -> None:
    """Say that DNS no longer answers here, if it did and if there is somebody to tell."""
    if not server.listening:
        return
    try:
        async with asyncio.timeout(FAREWELL):
            await say()
    except (errors.ApiError, HttpError, OSError) as error:
        log.info("DNS endpoint not taken back", extra={"error": str(error)})


class Follower:
    """Keeps the zone like the mirrors."""

    def __init__(self, answerer: Answerer, server: Server) -> None:
        self._zone, self._domain, self._server = answerer.zone, answerer.domain, server
        self._services: dict[str, core_v1.Service] = {}
        self._slices: dict[str, dict[str, discovery_v1.EndpointSlice]] = {}

    def follow(self, services: Mirror[core_v1.Service], slices: Mirror[discovery_v1.EndpointSlice],
               namespaces: Mirror[core_v1.Namespace]) -> None:
        namespaces.on_change(self.namespace_changed)
        slices.on_change(self.slice_changed)
        services.on_change(self.service_changed)

    def namespace_changed(self, old: core_v1.Namespace | None, new: core_v1.Namespace | None) -> None:
        for namespace, present in ((old, False), (new, True)):
            if namespace is not None:
                name = namespace.metadata.name
                records = [Record(f"{name}.{branch}.{self._domain}", EXISTS, b"") for branch in ("svc", "pod")]
                self._put(f"namespace {name}", records if present else [])

    def service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        service = new or old
        if service is None:
            return
        key = f"{service.metadata.namespace}/{service.metadata.name}"
        if new is None:
            self._services.pop(key, None)
        else:
            self._services[key] = new
        self._update(key)

    def slice_changed(self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None) -> None:
        for piece, present in ((old, False), (new, True)):
            if piece is None or not (service := piece.metadata.labels.get(SERVICE_NAME)):
                continue
            key = f"{piece.metadata.namespace}/{service}"
            of_service = self._slices.setdefault(key, {})
            if present:
                of_service[piece.metadata.name] = piece
            else:
                of_service.pop(piece.metadata.name, None)
            if not of_service:
                del self._slices[key]
            if present or new is None or new.metadata.labels.get(SERVICE_NAME) != service:
                self._update(key)

    def _update(self, key: str) -> None:
        service = self._services.get(key)
        pieces = self._slices.get(key, {}).values()
        self._put(f"service {key}", service_records(service, pieces, self._domain) if service else ())

    def _put(self, contributor: str, records: Sequence[Record] | set[Record] | tuple[()]) -> None:
        if self._zone.put(contributor, records):
            self._server.forget()
