"""Claims on things of which there is one each: addresses and node ports of Services.

A claim is a key in the store that is written only where it is absent, so two servers can never give out the same thing.
An address is claimed by an IPAddress object, as in Kubernetes; a port by a key that no API shows. A claim that a crash
left without its owner is found by `orphans` and given back by the server's maintenance.
"""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from timonier.api import times
from timonier.api.kinds import BY_ID
from timonier.apiserver.objects import PRIVATE, encode
from timonier.kit.clock import Clock
from timonier.store.contract import ABSENT, Conflict, Store

Object = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IP_ADDRESS = BY_ID["networking.k8s.io/v1/IPAddress"]
PORTS = f"{PRIVATE}nodeports/"
TRIES = 64
"""Random draws before the free ones are counted out."""


class Taken(Exception):
    """What was asked for belongs to somebody else."""


class OutOfRange(Exception):
    """What was asked for is not ours to give; the message says what is."""


class Exhausted(Exception):
    """Nothing is left."""


@dataclass
class Addresses:
    """The cluster addresses of Services. Static ones are best asked for in the lower band, which chance avoids."""

    store: Store
    network: Network
    clock: Clock

    @property
    def band(self) -> tuple[int, int]:
        """First and last offset of addresses given out at random, and before it room for static ones (KEP-3070)."""
        usable = self.network.num_addresses - 2
        lower = min(max(16, usable // 16), 256) if usable > 16 else 0
        return lower + 1, usable

    async def claim(self, address: str, owner: str, *, dry_run: bool = False) -> None:
        """Have one address. Raises Taken or OutOfRange."""
        parsed = ipaddress.ip_address(address)
        offset = int(parsed) - int(self.network.network_address)
        if parsed not in self.network or not 0 < offset < self.network.num_addresses - 1:
            raise OutOfRange(f"the provided IP ({address}) is not in the valid range. "
                             f"The range of valid IPs is {self.network}")
        key = IP_ADDRESS.key("", str(parsed))
        if dry_run:
            if await self.store.get(key):
                raise Taken
            return
        await claim(self.store, key, encode(self.describe(str(parsed), owner)))

    async def any(self, owner: str, *, dry_run: bool = False) -> str:
        """Have any free address. Raises Exhausted."""
        first, last = self.band
        for offset in draws(first, last):
            address = str(self.network.network_address + offset)
            try:
                await self.claim(address, owner, dry_run=dry_run)
            except Taken:
                continue
            return address
        raise Exhausted("range is full")

    async def release(self, address: str) -> None:
        await release(self.store, IP_ADDRESS.key("", address))

    def describe(self, address: str, owner: str) -> Object:
        """The IPAddress object of a Service (`namespace/name`)."""
        namespace, _, name = owner.partition("/")
        return {"kind": "IPAddress", "apiVersion": IP_ADDRESS.apiVersion, "metadata": {
            "name": address, "uid": str(uuid.uuid4()), "creationTimestamp": times.rfc3339(self.clock.now()),
            "labels": {"ipaddress.kubernetes.io/ip-family": f"IPv{self.network.version}",
                       "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}}}


@dataclass
class Ports:
    """The node ports of Services."""

    store: Store
    first: int
    last: int

    async def claim(self, port: int, owner: str, *, dry_run: bool = False) -> None:
        """Have one port. Raises Taken or OutOfRange."""
        if not self.first <= port <= self.last:
            raise OutOfRange("provided port is not in the valid range. "
                             f"The range of valid ports is {self.first}-{self.last}")
        if dry_run:
            if await self.store.get(f"{PORTS}{port}"):
                raise Taken
            return
        await claim(self.store, f"{PORTS}{port}", orjson.dumps({"owner": owner}))

    async def any(self, owner: str, *, dry_run: bool = False) -> int:
        """Have any free port. Raises Exhausted."""
        for port in draws(self.first, self.last):
            try:
                await self.claim(port, owner, dry_run=dry_run)
            except Taken:
                continue
            return port
        raise Exhausted("range is full")

    async def release(self, port: int) -> None:
        await release(self.store, f"{PORTS}{port}")


@dataclass
class Claims:
    """What one write has claimed, so that it can be given back when the write fails."""

    addresses: Addresses
    ports: Ports
    owner: str
    dry_run: bool = False
    held_addresses: list[str] = field(default_factory=list)
    held_ports: list[int] = field(default_factory=list)

    async def address(self, wanted: str = "") -> str:
        if wanted:
            await self.addresses.claim(wanted, self.owner, dry_run=self.dry_run)
        else:
            wanted = await self.addresses.any(self.owner, dry_run=self.dry_run)
        self.held_addresses.append(wanted)
        return wanted

    async def port(self, wanted: int = 0) -> int:
        if wanted:
            await self.ports.claim(wanted, self.owner, dry_run=self.dry_run)
        else:
            wanted = await self.ports.any(self.owner, dry_run=self.dry_run)
        self.held_ports.append(wanted)
        return wanted

    async def give_back(self) -> None:
        if not self.dry_run:
            for address in self.held_addresses:
                await self.addresses.release(address)
            for port in self.held_ports:
                await self.ports.release(port)


def draws(first: int, last: int) -> Iterator[int]:
    """Numbers of a range in random order: a few by chance, then all of them, so that the last free one is found."""
    for _ in range(TRIES):
        yield random.randint(first, last)
    start = random.randint(first, last)
    yield from range(start, last + 1)
    yield from range(first, start)


async def claim(store: Store, key: str, value: bytes) -> None:
    try:
        await store.write(key, value, expect=ABSENT)
    except Conflict:
        raise Taken from None


async def release(store: Store, key: str) -> None:
    """Delete a claim, whoever touched it meanwhile; none is needed where there is none."""
    while (entry := await store.get(key)) is not None:
        try:
            await store.delete(key, expect=entry.revision)
        except Conflict:
            continue
