"""Exec, attach and port-forward through the kubelet's API to a real containerd."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.kubelet_api import HEADERS, kubelet
from support.running_pod import RunningPod, running_pod
from support.streams import eventually, session, switch

from timonier.kit.clock import SystemClock
from timonier.kit.streaming.spdy import Data, Spdy, StreamReplied
from timonier.kit.streaming.websocket import Close
from timonier.node.cri.containerd import ContainerdRuntime
from timonier.node.kubelet.logs.rotate import LogRotator

pytestmark = pytest.mark.machine
SLEEP = ["sleep", "1000"]
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@asynccontextmanager
async def node(socket: Path, logs: Path, command: list[str]
               ) -> AsyncIterator[tuple[str, RunningPod, ContainerdRuntime]]:
    runtime = ContainerdRuntime(socket)
    try:
        async with running_pod(runtime, logs, command) as pod, kubelet(runtime, pod.pod, clock=SystemClock()) as url:
            yield url, pod, runtime
    finally:
        await runtime.close()


@pytest.mark.parametrize("protocol", [V4, V5])
async def test_exec_gives_output_and_exit_code(containerd_socket, tmp_path, protocol):
    async with node(containerd_socket, tmp_path, SLEEP) as (url, *_):
        client = await session(f"{url}/exec/default/web/main?command=sh&command=-c&output=1&error=1"
                               "&command=echo%20out;echo%20err%20>%262;exit%207", protocol, HEADERS)
        await asyncio.wait_for(client.finish(), 20)
        assert (client.output[1], client.output[2]) == (b"out\n", b"err\n")
        assert client.status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_exec_over_spdy_passes_through(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, SLEEP) as (url, *_):
        response, link = await switch("POST", f"{url}/exec/default/web/main?command=echo&command=hello&output=1",
                                      HEADERS | {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": V4})
        assert response.headers["x-stream-protocol-version"] == V4
        spdy, got = Spdy(client=True), {}
        streams = {}
        for kind in ("error", "stdout"):
            streams[kind], frame = spdy.open({"streamType": kind})
            link.write(frame)
        while data := await asyncio.wait_for(link.read(), 20):
            for event in spdy.receive(data):
                if isinstance(event, Data):
                    got[event.stream] = got.get(event.stream, b"") + event.payload
        assert got[streams["stdout"]] == b"hello\n"
        assert json.loads(got[streams["error"]])["status"] == "Success"


async def test_stdin_ends_while_output_goes_on(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, SLEEP) as (url, *_):
        client = await session(f"{url}/exec/default/web/main?command=sha1sum&input=1&output=1&error=1", V5, HEADERS)
        client.send(0, b"hello")
        client.send(255, b"\0")
        await asyncio.wait_for(client.finish(), 20)
        assert client.output[1] == b"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d  -\n"
        assert client.status["status"] == "Success"
        assert client.closed == Close(1000)


async def test_large_streams_pass_quickly_and_in_constant_memory(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, SLEEP) as (url, *_):
        client = await session(f"{url}/exec/default/web/main?command=cat&input=1&output=1", V5, HEADERS)
        before, started, count, size = peak_kilobytes(), time.perf_counter(), 6400, 32 * 1024
        received = 0

        async def receive() -> None:
            nonlocal received
            while await client.receive():
                received += len(client.output.pop(1, b""))
            received += len(client.output[1])

        receiving, piece = asyncio.create_task(receive()), bytes(size)
        for _ in range(count):
            client.send(0, piece)
            await client.link.drain()
        client.send(255, b"\0")
        await asyncio.wait_for(receiving, 60)
        seconds, grown = time.perf_counter() - started, peak_kilobytes() - before
        print(f"200 MiB there and back in {seconds:.1f} s; {grown} kB more at the peak")
        assert received == count * size
        assert grown < 32 * 1024
        assert seconds < 30


def peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_a_terminal_is_resized(containerd_socket, tmp_path):
    async with node(containerd_socket, tmp_path, SLEEP) as (url, *_):
        client = await session(f"{url}/exec/default/web/main?command=sh&input=1&output=1&tty=1", V5, HEADERS)
        client.send(4, b'{"Width":123,"Height":45}')
        client.send(0, b"sleep 0.2; stty size; exit\n")
        await asyncio.wait_for(client.finish(), 20)
        assert b"45 123" in client.output[1]


async def test_attaching_shows_what_the_container_writes(containerd_socket, tmp_path):
    command = ["sh", "-c", "while true; do echo tick; sleep 0.1; done"]
    async with node(containerd_socket, tmp_path, command) as (url, *_):
        client = await session(f"{url}/attach/default/web/main?output=1&error=1", V5, HEADERS)
        while client.output[1].count(b"tick\n") < 3:
            assert await asyncio.wait_for(client.receive(), 20)
        client.link.close()


async def test_a_port_is_forwarded_inside_a_websocket(containerd_socket, tmp_path):
    command = ["sh", "-c", "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"]
    async with node(containerd_socket, tmp_path, command) as (url, *_):
        client = await session(f"{url}/portForward/default/web", "SPDY/3.1+portforward.k8s.io", HEADERS)
        spdy = Spdy(client=True)
        common = {"port": "8080", "requestID": "0"}
        _, error_frame = spdy.open(common | {"streamType": "error"}, fin=True)
        stream, data_frame = spdy.open(common | {"streamType": "data"})
        client.link.write(client.socket.message(error_frame + data_frame))
        got, asked = b"", False
        while b"hello" not in got:
            for event in client.socket.receive(await asyncio.wait_for(client.link.read(), 20)):
                for inner in spdy.receive(event.payload):
                    if isinstance(inner, StreamReplied) and inner.stream == stream and not asked:
                        asked = True
                        client.link.write(client.socket.message(spdy.data(stream, b"GET / HTTP/1.0\r\n\r\n")))
                    if isinstance(inner, Data) and inner.stream == stream:
                        got += inner.payload
        client.link.close()


async def test_a_rotated_log_goes_on_in_a_new_file(containerd_socket, tmp_path):
    command = ["sh", "-c", "i=0; while true; do echo $i; i=$((i+1)); done"]
    async with node(containerd_socket, tmp_path, command) as (_, _, runtime):
        rotator = LogRotator(runtime, max_size=100_000, max_files=3)
        log = tmp_path / "main.log"
        await eventually(lambda: log.stat().st_size >= 100_000)
        await rotator.step()
        rotated = [path for path in tmp_path.iterdir() if path != log]
        assert len(rotated) == 1
        await eventually(lambda: b"\n" in log.read_bytes())
        first = int(log.read_bytes().splitlines()[0].split()[-1])
        # containerd may still be writing to the old file what came before it opened the new one
        await eventually(lambda: rotated[0].read_bytes().endswith(f" {first - 1}\n".encode()))
