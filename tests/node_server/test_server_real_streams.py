"""Exec, attach and port-forward through the kubelet's API to a real containerd."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from node_server.pods import TOKEN, RunningPod, running_pod, served

from timonier.kit.http import Connections
from timonier.kit.streaming.relay import Link
from timonier.kit.streaming.websocket import Close, Data, WebSocket, new_key
from timonier.node.cri.containerd import ContainerdRuntime
from timonier.node.kubelet.server.host import Host

pytestmark = pytest.mark.machine


@asynccontextmanager
async def node(socket: Path, logs: Path, command: list[str]) -> AsyncIterator[tuple[str, RunningPod]]:
    runtime = ContainerdRuntime(socket)
    try:
        async with running_pod(runtime, logs, command) as pod, served(Host("n1", runtime, lambda: [pod.pod])) as url:
            yield url, pod
    finally:
        await runtime.close()


class Session:
    """A client of the channel protocol."""

    def __init__(self, link: Link) -> None:
        self.link, self.socket = link, WebSocket(client=True)
        self.output: dict[int, bytearray] = defaultdict(bytearray)
        self.closed: Close | None = None
        self.channel = 0

    def send(self, channel: int, payload: bytes) -> None:
        self.link.write(self.socket.message(bytes((channel,)) + payload))

    async def finish(self) -> None:
        """Read until the server closes."""
        while self.closed is None and (data := await self.link.read()):
            for event in self.socket.receive(data):
                match event:
                    case Data(payload, starts):
                        if starts:
                            self.channel, payload = payload[0], payload[1:]
                        self.output[self.channel] += payload
                    case Close():
                        self.closed = event
        self.link.close()

    @property
    def status(self) -> dict:
        return json.loads(self.output[3])


async def websocket(url: str, protocol: str) -> Session:
    headers = {"Authorization": f"Bearer {TOKEN}", "Connection": "Upgrade", "Upgrade": "websocket",
               "Sec-WebSocket-Key": new_key(), "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": protocol}
    response, reader, writer = await Connections().upgrade("GET", url, headers)
    assert response.status == 101, (response.status, response.body)
    assert response.headers["sec-websocket-protocol"] == protocol
    assert reader is not None
    assert writer is not None
    return Session(Link(reader, writer))


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_exec_gives_output_and_exit_code(containerd_socket, tmp_path, protocol):
    async with node(containerd_socket, tmp_path, ["sleep", "1000"]) as (url, _):
        session = await websocket(f"{url}/exec/default/web/main?command=sh&command=-c&output=1&error=1"
                                  "&command=echo%20out;echo%20err%20>%262;exit%207", protocol)
        await asyncio.wait_for(session.finish(), 20)
        assert (session.output[1], session.output[2]) == (b"out\n", b"err\n")
        assert session.status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_stdin_ends_while_output_goes_on(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, ["sleep", "1000"]) as (url, _):
        session = await websocket(f"{url}/exec/default/web/main?command=sha1sum&input=1&output=1&error=1",
                                  "v5.channel.k8s.io")
        session.send(0, b"hello")
        session.send(255, b"\0")
        await asyncio.wait_for(session.finish(), 20)
        assert session.output[1] == b"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d  -\n"
        assert session.status["status"] == "Success"
        assert session.closed == Close(1000)


async def test_large_streams_pass_quickly_both_ways(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, ["sleep", "1000"]) as (url, _):
        started = time.perf_counter()
        session = await websocket(f"{url}/exec/default/web/main?command=cat&input=1&output=1", "v5.channel.k8s.io")
        finishing = asyncio.create_task(session.finish())
        piece = bytes(32 * 1024)
        for _ in range(3200):
            session.send(0, piece)
            await session.link.drain()
        session.send(255, b"\0")
        await asyncio.wait_for(finishing, 60)
        assert len(session.output[1]) == 3200 * len(piece)
        print(f"100 MiB there and back in {time.perf_counter() - started:.1f} s")


async def test_a_terminal_is_resized(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, ["sleep", "1000"]) as (url, _):
        session = await websocket(f"{url}/exec/default/web/main?command=sh&input=1&output=1&tty=1", "v5.channel.k8s.io")
        session.send(4, b'{"Width":123,"Height":45}')
        session.send(0, b"sleep 0.2; stty size; exit\n")
        await asyncio.wait_for(session.finish(), 20)
        assert b"45 123" in session.output[1]
