"""What the server does now and then without being asked: forget old history, old events, and claims of nobody."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from timonier.api import times
from timonier.api.errors import ApiError, NotFound
from timonier.api.kinds import BY_ID
from timonier.apiserver.allocate import IP_ADDRESS, PORTS, Addresses, Ports, Taken
from timonier.apiserver.auth.bootstrap import CLUSTER_ROLE, keep_aggregated
from timonier.apiserver.feed import Feed
from timonier.apiserver.registry import Registry
from timonier.apiserver.strategies.service import claimed_addresses, claimed_ports, is_address
from timonier.kit.clock import Clock, Seconds, Time
from timonier.store.contract import StoreError

log = logging.getLogger(__name__)

Object = dict[str, Any]

EVENT, SERVICE = BY_ID["v1/Event"], BY_ID["v1/Service"]
RETRY_SECONDS: Seconds = 1.0
COMPACTIONS = 5
"""In the life of history."""
YOUNG: Seconds = 120.0
"""A claim is older than the Service that it was made for; until then it is not held against anybody."""


async def compact_forever(feed: Feed, clock: Clock, life: Seconds) -> None:
    """Forget history that is older than its life, in the store and in memory; no later than a fifth of it after."""
    marks = deque([await feed.current()], maxlen=COMPACTIONS + 1)
    while True:
        await clock.sleep(life / COMPACTIONS)
        marks.append(feed.revision)
        if len(marks) <= COMPACTIONS:
            continue
        try:
            await feed.store.compact(marks[0])
        except StoreError as error:
            log.warning("history not compacted", extra={"error": str(error)})
        feed.forget(marks[0])


async def expire_events_forever(registry: Registry, life: Seconds) -> None:
    """Delete events that nothing has happened to for `life`; each is looked at within a tenth of it."""
    while True:
        try:
            await expire_events(registry, life)
        except ApiError as error:
            log.warning("old events not deleted", extra={"error": error.message})
        await registry.clock.sleep(life / 10)


async def expire_events(registry: Registry, life: Seconds) -> None:
    """One pass. An event that is repeated is young again, as where etcd's lease is renewed by each write."""
    oldest = registry.clock.now() - life
    for event in registry.peek_all(EVENT):
        if last_seen(event) < oldest:
            try:
                await registry.delete(EVENT, event["metadata"]["namespace"], event["metadata"]["name"])
            except NotFound:
                continue


def last_seen(event: Object) -> Time:
    """When an event was last written about: the latest of its moments."""
    series = event.get("series") or {}
    moments = (event["metadata"]["creationTimestamp"], event.get("lastTimestamp"), series.get("lastObservedTime"))
    return max(times.parse(moment) for moment in moments if moment)


async def repair_claims_forever(registry: Registry, addresses: Addresses, ports: Ports, every: Seconds) -> None:
    """Give back what belongs to no Service, and claim again what a Service has and nobody claimed."""
    port_seen: dict[int, Time] = {}
    while True:
        try:
            await repair_claims(registry, addresses, ports, port_seen)
        except StoreError as error:
            log.warning("claims not repaired", extra={"error": str(error)})
        await registry.clock.sleep(every)


async def repair_claims(registry: Registry, addresses: Addresses, ports: Ports, port_seen: dict[int, Time]) -> None:
    """One pass. `port_seen` remembers when a port without an owner was first seen, since ports bear no date."""
    await registry.feed.current()
    services = {f"{s['metadata']['namespace']}/{s['metadata']['name']}": s["spec"] for s in registry.peek_all(SERVICE)}
    now = registry.clock.now()
    used = {address for spec in services.values() for address in claimed_addresses(spec)}
    for obj in registry.peek_all(IP_ADDRESS):
        name = obj["metadata"]["name"]
        if name not in used and ours(obj) and now - times.parse(obj["metadata"]["creationTimestamp"]) > YOUNG:
            log.info("address given back", extra={"address": name})
            await addresses.release(name)
    open_ports = {port for spec in services.values() for port in claimed_ports(spec)}
    claimed = {int(entry.key.removeprefix(PORTS)) for entry in (await registry.store.list(PORTS)).entries}
    for port in claimed - open_ports:
        if now - port_seen.setdefault(port, now) > YOUNG:
            log.info("node port given back", extra={"port": port})
            await ports.release(port)
            del port_seen[port]
    for port in open_ports & set(port_seen):
        del port_seen[port]
    await claim_again(registry, addresses, ports, services, claimed)


async def claim_again(registry: Registry, addresses: Addresses, ports: Ports, services: dict[str, Object],
                      claimed: set[int]) -> None:
    for owner, spec in services.items():
        for address in claimed_addresses(spec):
            if is_address(address) and registry.peek(IP_ADDRESS, "", address) is None:
                try:
                    await addresses.claim(address, owner)
                except Taken:
                    continue
        for port in set(claimed_ports(spec)) - claimed:
            try:
                await ports.claim(port, owner)
            except Taken:
                continue


async def aggregate_forever(registry: Registry) -> None:
    """Keep the rules of aggregated ClusterRoles those of the roles that they gather."""
    changed = asyncio.Event()
    end = registry.cache(CLUSTER_ROLE).subscribe(lambda delta: changed.set())
    try:
        while True:
            await changed.wait()
            changed.clear()
            try:
                await keep_aggregated(registry)
            except ApiError as error:
                log.warning("roles not aggregated", extra={"error": error.message})
                await registry.clock.sleep(RETRY_SECONDS)
                changed.set()
    finally:
        end()


def ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return labels.get("ipaddress.kubernetes.io/managed-by") == "ipallocator.k8s.io"

