"""Ports for servers that a test starts itself."""

from __future__ import annotations

import contextlib
import random
import socket

BELOW_CLIENTS = range(20_000, 30_000)
"""The kernel gives none of these to a client, so that none of them takes a port before its server does."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, for TCP and UDP alike."""
    for port in random.SystemRandom().sample(BELOW_CLIENTS, 100):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port that was tried is taken")
