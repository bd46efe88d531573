"""Netlink, the kernel's own protocol for routes, links and conntrack: framing, attributes, acknowledgements.

Small on purpose: importing pyroute2 takes longer than a node may take to start. What messages mean is the caller's
business. Sources: rtnetlink(7), linux/netlink.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

ROUTE = socket.NETLINK_ROUTE
NETFILTER = 12

REQUEST, ACK, DUMP = 0x01, 0x04, 0x300
CREATE, EXCLUSIVE, REPLACE = 0x400, 0x200, 0x100
NESTED, TYPE_MASK = 0x8000, 0x3FFF

ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
ANSWER_TIMEOUT = 5.0
BUFFER = 1 << 16


class Netlink:
    """A netlink socket of the current network namespace. Requests block for microseconds; dumps for milliseconds."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(ANSWER_TIMEOUT)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def change(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one request and wait for its acknowledgement; the kernel's refusal is raised as OSError."""
        for _ in self._exchange(kind, body, flags | ACK):
            pass

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all messages that answer a request for everything."""
        return list(self._exchange(kind, body, DUMP))

    def ask(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies that answer a request for one thing."""
        return list(self._exchange(kind, body, ACK))

    def _exchange(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        self._sequence += 1
        self._socket.send(HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, self._sequence, 0) + body)
        while True:
            for answered, sequence, payload in messages(self._socket.recv(BUFFER)):
                if sequence != self._sequence:
                    continue  # late answer to a request that timed out
                if answered == ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                if answered == DONE:
                    return
                yield payload


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence and body of each message in a datagram."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _, sequence, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, sequence, data[at + HEADER.size : at + length]
        at += aligned(length)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = ATTRIBUTE.size + len(payload)
    return ATTRIBUTE.pack(length, kind) + payload + bytes(aligned(length) - length)


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, flags removed; of repeated ones the last."""
    found, at = {}, 0
    while at + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if length < ATTRIBUTE.size:
            break
        found[kind & TYPE_MASK] = data[at + ATTRIBUTE.size : at + length]
        at += aligned(length)
    return found


def aligned(length: int) -> int:
    return (length + 3) & ~3
