"""The API server's way into the pod network: a raw connection to an address that this node reaches.

Pods' and services' addresses mean something inside the nodes' network namespaces alone, so that nothing of a cluster is
routed on the machine. The API server, and nobody else, may ask a node to dial: `GET /hop/<address>/<port>` with
`Upgrade: tcp`; after the 101 the connection carries what the address says.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os

from timonier.component.answers import Call, Refused
from timonier.component.authenticate import User
from timonier.kit.clock import Seconds
from timonier.kit.streaming.relay import IDLE_SECONDS, Link, relay

PROTOCOL = "tcp"
DIAL_SECONDS: Seconds = 10.0
API_SERVER = "kube-apiserver-kubelet-client"


async def hop(call: Call, user: User, address: str, port: str, *, idle: Seconds = IDLE_SECONDS) -> None:
    """Dial and relay until one side ends."""
    if user.name != API_SERVER:
        raise Refused(403, "Forbidden: only the API server may use this node's network")
    if call.upgrade != PROTOCOL:
        raise Refused(400, "Upgrade request required")
    host, number = target(address, port)
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            reader, writer = await asyncio.open_connection(host, number)
    except TimeoutError as error:
        raise Refused(504, f"dial tcp {host}:{number}: i/o timeout") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Refused(502, f"dial tcp {host}:{number}: connect: {reason.lower()}") from error
    taken = call.take_over()
    taken.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    await relay(taken, Link(reader, writer), idle=idle, until=taken.ended)


def target(address: str, port: str) -> tuple[str, int]:
    """The address and port, if they may be dialled: not this node's own loopback, nor link-local or multicast."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise Refused(400, f"not an IP address: {address!r}") from None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise Refused(400, "address not allowed")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise Refused(400, f"not a port: {port!r}")
    return str(ip), int(port)
