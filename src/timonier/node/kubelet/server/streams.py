"""Exec, attach and port-forward: the runtime serves them, and the client's connection becomes a connection to it.

The runtime gives a URL for each session and speaks SPDY there, and WebSocket in its older versions; so SPDY and
v4.channel.k8s.io are passed on byte for byte. What it does not speak is translated here and nowhere else:
v5.channel.k8s.io (`channels.Channels`) and SPDY wrapped in a WebSocket (`channels.Tunnel`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from timonier.component.answers import Call, Refused
from timonier.kit.clock import Seconds
from timonier.kit.http import Connections, HttpError
from timonier.kit.streaming import websocket
from timonier.kit.streaming.relay import IDLE_SECONDS, Link, both_ways, relay
from timonier.kit.streaming.switching import switching
from timonier.node.kubelet.server import channels
from timonier.node.kubelet.server.channels import Channels, Tunnel

CREATION_SECONDS: Seconds = 30.0
"""How long the runtime may take to accept a session, as the kubelet's stream creation timeout."""
SPDY = "SPDY/3.1"
REMOTE_COMMAND_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
PORT_FORWARD_PROTOCOL = "portforward.k8s.io"
TUNNELLED_PREFIX = "SPDY/3.1+"
PASSED_ON = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "origin")


@dataclass
class Streams:
    """Connects clients to the runtime's streaming server."""

    idle: Seconds = IDLE_SECONDS
    connections: Connections = field(default_factory=lambda: Connections(timeout=CREATION_SECONDS))

    async def remote_command(self, call: Call, url: str, wanted: list[int]) -> None:
        """An exec or attach session that the runtime offers at `url`. Raises Refused before anything is switched."""
        if call.upgrade == "websocket" and channels.PROTOCOL in offered(call, "sec-websocket-protocol"):
            await self._translate(call, url, Channels(wanted))
        else:
            await self._pass_on(call, url, REMOTE_COMMAND_PROTOCOLS)

    async def port_forward(self, call: Call, url: str) -> None:
        """A port-forward session that the runtime offers at `url`."""
        if call.upgrade == "websocket" and TUNNELLED_PREFIX + PORT_FORWARD_PROTOCOL in offered(
                call, "sec-websocket-protocol"):
            _, link = await self._connect(url, spdy_headers(PORT_FORWARD_PROTOCOL))
            tunnel = Tunnel()
            taken = call.take_over()
            taken.write(accept_websocket(call, TUNNELLED_PREFIX + PORT_FORWARD_PROTOCOL))
            await both_ways(taken, link, tunnel.from_client, tunnel.from_runtime, idle=self.idle,
                            until=taken.ended)
        else:
            await self._pass_on(call, url, (PORT_FORWARD_PROTOCOL,))

    async def _pass_on(self, call: Call, url: str, protocols: tuple[str, ...]) -> None:
        """Let the client and the runtime speak to each other."""
        if call.upgrade == "websocket":
            headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
            headers |= {name: call.headers[name] for name in PASSED_ON if name in call.headers}
        else:
            headers = spdy_headers(chosen(offered(call, "x-stream-protocol-version"), protocols))
        answer, link = await self._connect(url, headers, "GET" if call.upgrade == "websocket" else "POST")
        taken = call.take_over()
        taken.write(switching(answer))
        await relay(taken, link, idle=self.idle, until=taken.ended)

    async def _translate(self, call: Call, url: str, session: Channels) -> None:
        """Speak WebSocket to the client and SPDY to the runtime."""
        _, link = await self._connect(url, spdy_headers(REMOTE_COMMAND_PROTOCOLS[0]))
        try:
            early = await self._open(link, session)
        except BaseException:
            link.abort()
            raise
        taken = call.take_over()
        taken.write(accept_websocket(call, channels.PROTOCOL) + session.greeting() + early)
        await both_ways(taken, link, session.from_client, session.from_runtime, idle=self.idle,
                        until=taken.ended)

    async def _open(self, link: Link, session: Channels) -> bytes:
        """Open the session's streams; what the runtime said to the client meanwhile."""
        early = b""
        try:
            async with asyncio.timeout(CREATION_SECONDS):
                link.write(session.open())
                while not session.ready:
                    data = await link.read()
                    moved = session.from_runtime(data)
                    if moved.over and not session.ready:
                        raise Refused(502, "the container runtime did not accept the session's streams")
                    link.write(moved.to_other)
                    early += moved.to_one
        except TimeoutError as error:
            raise Refused(504, f"the container runtime accepted no streams in {CREATION_SECONDS:.0f} s") from error
        return early

    async def _connect(self, url: str, headers: Mapping[str, str], method: str = "POST"
                       ) -> tuple[Mapping[str, str], Link]:
        """Ask the runtime's streaming server to switch protocols; its headers and the connection."""
        try:
            response, reader, writer = await self.connections.upgrade(method, url, headers)
        except HttpError as error:
            raise Refused(502, f"the container runtime's streaming server cannot be reached: {error}") from error
        if reader is None or writer is None:
            raise Refused(response.status if response.status >= 400 else 502, response.body.decode(errors="replace"))
        return response.headers, Link(reader, writer)


def check_upgrade(call: Call) -> None:
    """Raises Refused unless the client asks for a protocol that streams."""
    if not call.upgrade:
        raise Refused(400, "Upgrade request required")
    if call.upgrade == "websocket":
        if call.method != "GET" or not call.headers.get("sec-websocket-key"):
            raise Refused(400, "unable to upgrade: not a WebSocket handshake")
        if call.headers.get("sec-websocket-version") != "13":
            raise Refused(426, "unable to upgrade: WebSocket version 13 required", {"Sec-WebSocket-Version": "13"})
    elif call.upgrade != SPDY.lower():
        raise Refused(400, f"unable to upgrade: unsupported protocol {call.upgrade!r}")


def offered(call: Call, header: str) -> list[str]:
    """The protocols that a client names, best first."""
    return [each.strip() for each in call.headers.get(header, "").split(",") if each.strip()]


def chosen(offers: list[str], served: tuple[str, ...]) -> str:
    """The first offer that is served; the oldest served where the client names none."""
    if not offers:
        return served[-1]
    for offer in offers:
        if offer in served:
            return offer
    raise Refused(403, f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(offers)}], "
                       f"server accepts [{' '.join(served)}]")


def spdy_headers(protocol: str) -> dict[str, str]:
    return {"Connection": "Upgrade", "Upgrade": SPDY, "X-Stream-Protocol-Version": protocol}


def accept_websocket(call: Call, protocol: str) -> bytes:
    """The server's half of the WebSocket handshake."""
    return switching({"Upgrade": "websocket", "Sec-WebSocket-Protocol": protocol,
                      "Sec-WebSocket-Accept": websocket.accept_key(call.headers["sec-websocket-key"])})
