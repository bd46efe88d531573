"""Unmodified kubectl, old (SPDY) and new (WebSocket), through API server and kubelet to a real container."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.front import api_server, kubelet, node, pod_of
from support.kubectl import NEWEST, OLDER, kubectl
from support.ports import free_port
from support.running_pod import running_pod

from timonier.cluster.certificates import Authority
from timonier.node.cri.containerd import ContainerdRuntime
from timonier.node.kubelet.server.host import Host

pytestmark = [pytest.mark.machine, pytest.mark.parametrize("version", [OLDER, NEWEST])]
WEB = ["sh", "-c", "mkdir /www; echo hello > /www/index.html; echo started; echo failing >&2; "
       "exec httpd -f -p 8080 -h /www"]


class Cluster:
    """One pod, `web`, behind an API server."""

    def __init__(self, url: str, program: Path, folder: Path) -> None:
        self.command = [str(program), "--server", url, "--cache-dir", str(folder / "cache")]

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        environment = os.environ | {"HOME": "/nonexistent", "KUBECONFIG": ""}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*self.command, *arguments, stdin=pipe, stdout=pipe, stderr=pipe,
                                                    env=environment)

    async def run(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, output and complaints."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """Made before the tests enter a network namespace, since old versions may have to be fetched."""
    return {version: kubectl(version) for version in (OLDER, NEWEST)}


@pytest.fixture
async def cluster(programs: dict[str, Path], containerd_socket: Path, authority: Authority, tmp_path: Path,
                  version: str) -> AsyncIterator[Cluster]:
    runtime = ContainerdRuntime(containerd_socket)
    (tmp_path / "logs").mkdir()
    async with running_pod(runtime, tmp_path / "logs", WEB) as pod, \
            kubelet(authority, Host("n1", runtime, lambda: [pod.pod])) as port, \
            api_server(authority, node(port), pod_of(pod.pod)) as front:
        yield Cluster(front.url, programs[version], tmp_path)
    await runtime.close()


async def test_exec_carries_streams_and_exit_codes(cluster):
    assert await cluster.run("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3") == (
        3, "out\n", "err\ncommand terminated with exit code 3\n")
    assert await cluster.run("exec", "-i", "web", "--", "sha1sum", stdin=b"hello") == (
        0, "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d  -\n", "")
    code, _, err = await cluster.run("exec", "web", "--", "nosuch")
    assert code != 0
    assert '"nosuch": executable file not found' in err


async def test_files_are_copied_both_ways(cluster, tmp_path):
    original, back = tmp_path / "original", tmp_path / "back"
    original.write_bytes(os.urandom(30_000_000))
    code, _, err = await cluster.run("cp", str(original), "web:/tmp/copy")
    assert code == 0, err
    code, _, err = await cluster.run("cp", "web:/tmp/copy", str(back))
    assert code == 0, err
    assert back.read_bytes() == original.read_bytes()


async def test_logs_are_shown_and_followed(cluster):
    code, out, _ = await cluster.run("logs", "web")
    assert (code, sorted(out.splitlines())) == (0, ["failing", "started"])
    assert (await cluster.run("logs", "web", "-c", "nope"))[0] == 1
    following = await cluster.start("logs", "-f", "web")
    assert following.stdout is not None
    lines = {await asyncio.wait_for(following.stdout.readline(), 20) for _ in range(2)}
    assert lines == {b"started\n", b"failing\n"}
    following.terminate()
    await following.communicate()


async def test_a_port_is_forwarded_for_several_connections_at_once(cluster):
    port = free_port()
    forwarding = await cluster.start("port-forward", "--address", "127.0.0.1", "pod/web", f"{port}:8080")
    assert forwarding.stdout is not None
    assert b"Forwarding from" in await asyncio.wait_for(forwarding.stdout.readline(), 20)
    try:
        pages = await asyncio.gather(*(page(port) for _ in range(5)))
        assert all(each.endswith(b"hello\n") for each in pages)
    finally:
        with contextlib.suppress(ProcessLookupError):
            forwarding.terminate()
        await forwarding.communicate()


async def page(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def test_attaching_ends_with_its_client(cluster):
    attached = await cluster.start("attach", "web")
    await asyncio.sleep(1)
    assert attached.returncode is None
    attached.terminate()
    await attached.communicate()
