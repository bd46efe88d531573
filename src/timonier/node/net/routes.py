"""Routes of this network namespace, by rtnetlink. Ours carry a protocol number of their own, so that a new process
finds and removes those that an earlier one left. Source: rtnetlink(7), linux/rtnetlink.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from timonier.kit import netlink
from timonier.kit.netlink import attribute, attributes
from timonier.node.net.plan import Route

NEW, DELETE, GET = 24, 25, 26
OURS = 157
"""Our rtm_protocol; 4 to 252 are nobody's in particular (/etc/iproute2/rt_protos)."""
MAIN_TABLE = 254
UNICAST = 1
UNIVERSE, LINK = 0, 253
TARGET, DEVICE, GATEWAY, SOURCE = 1, 4, 5, 7
BODY = struct.Struct("=BBBBBBBBI")


def show(wanted: Iterable[Route]) -> dict[Route, OSError]:
    """Make the routes of ours exactly these; the ones that the kernel refused, and why."""
    refused = {}
    with netlink.Netlink(netlink.ROUTE) as kernel:
        wanted = set(wanted)
        present = ours(kernel)
        for route in present - wanted:
            try:
                kernel.change(DELETE, message(route))
            except OSError as error:
                refused[route] = error
        for route in sorted(wanted - present, key=lambda route: route.gateway):  # first those that need no other
            try:
                kernel.change(NEW, message(route), netlink.CREATE | netlink.REPLACE)
            except OSError as error:
                refused[route] = error
    return refused


def standing() -> set[Route]:
    """The routes of ours that are in place."""
    with netlink.Netlink(netlink.ROUTE) as kernel:
        return ours(kernel)


def ours(kernel: netlink.Netlink) -> set[Route]:
    return {route for body in kernel.dump(GET, BODY.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
            if (route := parsed(body))}


def message(route: Route) -> bytes:
    network = ipaddress.IPv4Network(route.cidr)
    scope = LINK if route.device and not route.gateway else UNIVERSE
    body = BODY.pack(socket.AF_INET, network.prefixlen, 0, 0, MAIN_TABLE, OURS, scope, UNICAST, 0)
    body += attribute(TARGET, network.network_address.packed)
    if route.gateway:
        body += attribute(GATEWAY, socket.inet_aton(route.gateway))
    if route.device:
        body += attribute(DEVICE, struct.pack("=I", socket.if_nametoindex(route.device)))
    if route.source:
        body += attribute(SOURCE, socket.inet_aton(route.source))
    return body


def parsed(body: bytes) -> Route | None:
    """One of our routes; None for everyone else's."""
    _, length, _, _, table, protocol, _, _, _ = BODY.unpack_from(body)
    if protocol != OURS or table != MAIN_TABLE:
        return None
    found = attributes(body[BODY.size:])

    def address(kind: int) -> str:
        return socket.inet_ntoa(found[kind]) if kind in found else ""

    device = ""
    if DEVICE in found and GATEWAY not in found:
        device = name_of(int.from_bytes(found[DEVICE], "little"))
    return Route(f"{address(TARGET) or '0.0.0.0'}/{length}", address(GATEWAY), device, address(SOURCE))


def name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
