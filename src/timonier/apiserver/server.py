"""The API server as a process: what it is made of, in the order in which it starts.

It listens before it is ready, so that clients that come early wait for an answer instead of being turned away.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from ssl import SSLContext
from typing import TYPE_CHECKING

from timonier.apiserver.access import access
from timonier.apiserver.admission.order import chain
from timonier.apiserver.aggregation import availability, local
from timonier.apiserver.allocate import Addresses, Ports
from timonier.apiserver.app import ApiServer
from timonier.apiserver.auth.bootstrap import bootstrap as bootstrap_policy
from timonier.apiserver.bootstrap import bootstrap, keep_published
from timonier.apiserver.custom.definitions import Definitions
from timonier.apiserver.encryption.migrate import migrate_forever
from timonier.apiserver.encryption.store import EncryptedStore, encrypted
from timonier.apiserver.fairness.keep import keep_forever
from timonier.apiserver.feed import Feed
from timonier.apiserver.hooks import hooks_of
from timonier.apiserver.maintenance import (
    aggregate_forever,
    compact_forever,
    expire_events_forever,
    repair_claims_forever,
)
from timonier.apiserver.registry import Registry, never
from timonier.apiserver.settings import ApiServerSettings
from timonier.apiserver.strategies import moments
from timonier.apiserver.strategies.base import Strategy
from timonier.apiserver.strategies.certificates import SigningRequestStrategy
from timonier.apiserver.strategies.service import ServiceStrategy
from timonier.kit import process
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.serve import Limits, listen, serve
from timonier.kit.tls import check_pair, server_context
from timonier.kit.trust import Authorities
from timonier.store.contract import Store

if TYPE_CHECKING:
    from timonier.apiserver.audit.auditor import Auditor

log = logging.getLogger(__name__)

REPAIR_SECONDS = 180.0
MEMORY_SECONDS = 30.0
PUBLISH_SECONDS = 60.0


async def run(settings: ApiServerSettings) -> None:
    """Serve until cancelled. Raises CannotRun where a file, the store or a port cannot be used."""
    process.hold()
    clock = SystemClock()
    sockets = [listen(address, settings.secure_port) for address in settings.bind_address]
    authorities = Authorities.from_file(settings.client_ca_file)
    if settings.kubelet_client_certificate and settings.kubelet_client_key:
        check_pair(settings.kubelet_client_certificate, settings.kubelet_client_key)
    if settings.proxy_client_cert_file and settings.proxy_client_key_file:
        check_pair(settings.proxy_client_cert_file, settings.proxy_client_key_file)
    clients = [file for file in (settings.client_ca_file, settings.requestheader_client_ca_file) if file is not None]
    ssl = server_context(settings.tls_cert_file, settings.tls_private_key_file, *clients)
    async with opened(settings, clock) as store, audited(settings, clock) as auditor:
        feed = Feed(store, settings.watch_history, settings.watch_history_bytes)
        registry, addresses, ports = make_registry(settings, feed, clock)
        server = ApiServer(settings, registry, access(settings, registry, clock, authorities), clock, auditor)
        registry.admission = chain(server)
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run(), name="feed")
            async with answering(server, sockets, ssl):
                await feed.ready.wait()
                definitions = Definitions(registry, hooks_of(server))
                definitions.begin()
                await make_cluster(server)
                group.create_task(definitions.run(), name="definitions")
                look_after(server, addresses, ports, group)
                process.freeze()
                log.info("api server ready", extra={"port": settings.secure_port, "revision": feed.revision})
                await asyncio.Event().wait()


def look_after(server: ApiServer, addresses: Addresses, ports: Ports, group: asyncio.TaskGroup) -> None:
    """What goes on beside requests, for as long as the server runs."""
    registry, settings, clock = server.registry, server.settings, server.clock
    for name, task in {
        "compact": compact_forever(server.feed, clock, settings.compaction_seconds),
        "expire-events": expire_events_forever(registry, settings.event_ttl),
        "repair-claims": repair_claims_forever(registry, addresses, ports, REPAIR_SECONDS),
        "aggregate-roles": aggregate_forever(registry),
        "local-api-services": local.keep_forever(registry),
        "api-services": availability.check_forever(registry, server.backends),
        "migrations": migrate_forever(registry),
        "flow-control-objects": keep_forever(registry),
        "flow-control": server.gate.balance_forever(),
        "publish": keep_published(registry, settings, PUBLISH_SECONDS),
        "memory": process.give_back_forever(clock, MEMORY_SECONDS),
    }.items():
        group.create_task(task, name=name)


@asynccontextmanager
async def answering(server: ApiServer, sockets: Sequence[socket], ssl: SSLContext) -> AsyncIterator[None]:
    """Answer requests for the length of the block.

    At its end /readyz fails first, and after the delay that the settings want no more connections are taken; requests
    that are being answered get their answers, and watches their ends, while all that they need goes on.
    """
    limits = Limits(spread_seconds=server.settings.shutdown_watch_termination_grace_period)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(server.app, sockets, ssl, limits=limits), name="serve")
        try:
            yield
        finally:
            server.closing = True
            log.info("api server ending", extra={"delay": server.settings.shutdown_delay_duration})
            await server.clock.sleep(server.settings.shutdown_delay_duration)


def make_registry(settings: ApiServerSettings, feed: Feed, clock: Clock) -> tuple[Registry, Addresses, Ports]:
    """The registry with the strategies that need the cluster's ranges, or the time."""
    addresses = Addresses(feed.store, ipaddress.ip_network(settings.service_cluster_ip_range), clock)
    ports = Ports(feed.store, *settings.node_ports)
    strategies: dict[str, Strategy] = {
        "v1/Service": ServiceStrategy(addresses, ports),
        "certificates.k8s.io/v1/CertificateSigningRequest": SigningRequestStrategy(clock), **moments.strategies(clock)}
    registry = Registry(feed, clock=clock, strategies=strategies,
                        stale=feed.store.stale if isinstance(feed.store, EncryptedStore) else never)
    return registry, addresses, ports


async def make_cluster(server: ApiServer) -> None:
    """The objects that every cluster has; from then on the server is ready."""
    await bootstrap(server.registry, server.settings)  # first, since some roles live in its namespaces
    await bootstrap_policy(server.registry)
    server.bootstrapped.set()


@asynccontextmanager
async def audited(settings: ApiServerSettings, clock: Clock) -> AsyncIterator[Auditor | None]:
    """What writes the audit log, where there is a policy for it."""
    if settings.audit_policy_file is None:
        yield None
        return
    from timonier.apiserver.audit.auditor import auditing

    async with auditing(settings, clock) as auditor:
        yield auditor


@asynccontextmanager
async def opened(settings: ApiServerSettings, clock: Clock) -> AsyncIterator[Store]:
    """The store that the settings name, encrypted where they name keys."""
    store = await open_store(settings.store)
    try:
        async with encrypted(store, settings.encryption_key_file, settings.encryption_provider_config, clock,
                             reload=settings.encryption_provider_config_automatic_reload) as wrapped:
            yield wrapped
    finally:
        await store.close()


async def open_store(url: str) -> Store:
    if url.startswith("memory:"):
        from timonier.store.memory import MemoryStore

        return MemoryStore()
    from timonier.store.sqlite import SqliteStore

    return await SqliteStore.open(Path(url.removeprefix("sqlite://")))
