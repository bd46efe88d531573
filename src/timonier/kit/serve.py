"""The HTTP server: HTTP/1.1 over TLS on httptools, with an ASGI application above and the transport within reach.

`serve(app, sockets, ssl)` runs until it is cancelled. Two things go beyond ASGI, in `scope["extensions"]["timonier"]`
(an `Exchange`): `peer_certificate`, which nobody has verified yet (see `kit.trust`), and `take_over()`, by which a
stream leaves HTTP behind and gets the connection.

Headers and a body that is sent at once leave in one write, so in one TLS record. What happens on one connection stands
in `kit.connection` and `kit.exchange`; here are the listening sockets, the sweep, and the end.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from collections.abc import Sequence
from contextlib import suppress
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

from timonier.kit.connection import Connection, Hub, Limits
from timonier.kit.exchange import App, Exchange
from timonier.kit.fatal import needed
from timonier.kit.taken import Taken

__all__ = ["App", "Exchange", "Limits", "Taken", "listen", "serve"]

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
BACKLOG = 1024
HANDSHAKE_SECONDS = 10.0


def listen(address: str, port: int) -> socket:
    """A socket to serve on. Raises CannotRun where the address or the port cannot be had."""
    family = AF_INET6 if ":" in address else AF_INET
    sock = socket(family, SOCK_STREAM)
    try:
        with needed(f"cannot listen on port {port} of {address}"):
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            if family == AF_INET6:
                sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
            sock.bind((address, port))
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


async def serve(app: App, sockets: Sequence[socket], ssl: tls.SSLContext | None = None, *,
                limits: Limits | None = None, started: asyncio.Event | None = None) -> None:
    """Answer on listening sockets until cancelled, then let requests end, streams say goodbye, and close.

    `started` is set once connections are accepted. The sockets are closed on return.
    """
    loop = asyncio.get_running_loop()
    hub = Hub(app, loop, limits or Limits())
    servers = [await loop.create_server(lambda: Connection(hub), sock=sock, ssl=ssl, backlog=BACKLOG,
                                        ssl_handshake_timeout=HANDSHAKE_SECONDS if ssl else None)
               for sock in sockets]
    if started is not None:
        started.set()
    try:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            hub.sweep(loop.time())
    finally:
        for server in servers:
            server.close()
        await wind_down(hub)


async def wind_down(hub: Hub) -> None:
    """Close what is idle, tell streams to end, wait a bounded time for the rest, then cut."""
    hub.wind_down()
    if hub.tasks:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(hub.tasks, timeout=hub.limits.spread_seconds + hub.limits.grace_seconds)
    late = [task for task in hub.tasks if not task.done()]
    for task in late:
        task.cancel()
    if late:
        log.warning("requests cut at shutdown", extra={"count": len(late)})
        await asyncio.wait(late, timeout=1.0)
    for connection in list(hub.connections):
        connection.transport.close()
