"""Forgets UDP flows that lead to an endpoint that is gone.

UDP has no end of connection: as long as a client keeps sending, the kernel keeps sending where the first packet went.
TCP ends by itself, and is left alone. Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from timonier.kit import netlink
from timonier.kit.netlink import attribute, attributes
from timonier.node.proxy.rules import Endpoint, Frontend

GET, DELETE = 1 << 8 | 1, 1 << 8 | 2
ORIGINAL, REPLY = 1, 2
ADDRESSES, PORTS = 1, 2
SOURCE, TARGET = 1, 2
PROTOCOL, SOURCE_PORT, TARGET_PORT = 1, 2, 3
FAMILY = struct.pack("=BBH", socket.AF_INET, 0, 0)


class Flow(NamedTuple):
    """One UDP flow: what the client addressed, and who answers it."""

    frontend: Frontend
    endpoint: Endpoint
    original: bytes
    """The client's tuple as the kernel wrote it, which names the flow."""


def forget(stale: Callable[[Frontend, Endpoint], bool]) -> int:
    """Delete the UDP flows of this network namespace that `stale` says lead to the wrong place; how many they were."""
    with netlink.Netlink(netlink.NETFILTER) as kernel:
        doomed = [flow for flow in udp_flows(kernel.dump(GET, FAMILY)) if stale(flow.frontend, flow.endpoint)]
        for flow in doomed:
            try:
                kernel.change(DELETE, FAMILY + attribute(ORIGINAL | netlink.NESTED, flow.original))
            except OSError as error:
                if error.errno != errno.ENOENT:  # it ended by itself
                    raise
    return len(doomed)


def udp_flows(answers: list[bytes]) -> Iterator[Flow]:
    for answer in answers:
        found = attributes(answer[4:])
        original, reply = found.get(ORIGINAL, b""), found.get(REPLY, b"")
        sent, answered = attributes(original), attributes(reply)
        ports = attributes(sent.get(PORTS, b""))
        if ports.get(PROTOCOL) != bytes([socket.IPPROTO_UDP]):
            continue
        addresses, back = attributes(sent[ADDRESSES]), attributes(answered[ADDRESSES])
        yield Flow(
            Frontend(socket.inet_ntoa(addresses[TARGET]), "UDP", int.from_bytes(ports[TARGET_PORT], "big")),
            Endpoint(socket.inet_ntoa(back[SOURCE]),
                     int.from_bytes(attributes(answered[PORTS])[SOURCE_PORT], "big")),
            original,
        )
