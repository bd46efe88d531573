"""Clients of streams: one of the channel protocol, one that only switches protocols."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from timonier.kit.http import Connections, Response
from timonier.kit.streaming.relay import Link
from timonier.kit.streaming.websocket import Close, Data, WebSocket, new_key

OPEN: list[Link] = []
"""What a test opened, to be closed when it is over."""


@pytest.fixture(autouse=True)
async def links() -> AsyncIterator[None]:
    """Streams that a test opens are closed after it; for the conftest of such tests."""
    yield
    for link in OPEN:
        link.abort()
    OPEN.clear()
    await asyncio.sleep(0)


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that another process or thread does; fails where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


class Session:
    """A client of the channel protocol."""

    def __init__(self, link: Link) -> None:
        self.link, self.socket = link, WebSocket(client=True)
        self.output: dict[int, bytearray] = defaultdict(bytearray)
        self.closed: Close | None = None
        self.channel = 0

    def send(self, channel: int, payload: bytes) -> None:
        self.link.write(self.socket.message(bytes((channel,)) + payload))

    async def receive(self) -> bool:
        """Take what comes next; False when nothing more will."""
        data = await self.link.read()
        for event in self.socket.receive(data):
            match event:
                case Data(payload, starts):
                    if starts:
                        self.channel, payload = payload[0], payload[1:]
                    self.output[self.channel] += payload
                case Close():
                    self.closed = event
        return bool(data) and self.closed is None

    async def finish(self) -> None:
        """Read until the server closes."""
        while await self.receive():
            pass
        self.link.close()

    @property
    def status(self) -> Any:
        return json.loads(self.output[3])


async def switch(method: str, url: str, headers: Mapping[str, str]) -> tuple[Response, Link]:
    """Switch protocols. Fails where the server does not."""
    response, reader, writer = await Connections().upgrade(method, url, {"Connection": "Upgrade"} | dict(headers))
    assert response.status == 101, (response.status, response.body)
    assert reader is not None
    assert writer is not None
    link = Link(reader, writer)
    OPEN.append(link)
    return response, link


async def refusal(method: str, url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """The status and text with which a server declines to switch."""
    connections = Connections()
    response, _, writer = await connections.upgrade(method, url, {"Connection": "Upgrade"} | dict(headers))
    if writer is not None:
        writer.close()
    await connections.close()
    return response.status, response.body.decode()


def websocket_headers(protocol: str, **more: str) -> dict[str, str]:
    return {"Upgrade": "websocket", "Sec-WebSocket-Key": new_key(), "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": protocol, **more}


async def session(url: str, protocol: str, headers: Mapping[str, str]) -> Session:
    """A session over WebSocket, in exactly this protocol."""
    response, link = await switch("GET", url, websocket_headers(protocol) | dict(headers))
    assert response.headers["sec-websocket-protocol"] == protocol
    return Session(link)
