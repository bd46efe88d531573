"""What this network namespace's links say of themselves, by ioctl: /sys shows another namespace's, if it was mounted
there. Source: netdevice(7)."""

from __future__ import annotations

import fcntl
import socket
import struct

DEFAULT_MTU = 1500
GET_ADDRESS, GET_MTU = 0x8915, 0x8921
REQUEST = struct.Struct("=16s24s")


def mtu_of(address: str) -> int:
    """The MTU of the link that has an IPv4 address; what Ethernet has if none does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asker:
        for _, name in socket.if_nameindex():
            try:
                if socket.inet_ntoa(ask(asker, GET_ADDRESS, name)[4:8]) == address:
                    return int(struct.unpack_from("=i", ask(asker, GET_MTU, name))[0])
            except OSError:  # a link without an address, or that went meanwhile
                continue
    return DEFAULT_MTU


def ask(asker: socket.socket, question: int, link: str) -> bytes:
    return fcntl.ioctl(asker, question, REQUEST.pack(link.encode(), b""))[16:]
