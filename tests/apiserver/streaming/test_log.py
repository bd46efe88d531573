"""pods/log through the API server: what is streamed, and what is said instead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.front import Front, api_server, kubelet, node, pod_of
from support.kubelet_api import FakeRuntime, pod
from support.streams import eventually

from timonier.api.types import core_v1
from timonier.cluster.certificates import Authority
from timonier.kit.http import Connections, Response
from timonier.node.kubelet.server.host import Host

LOG = "/api/v1/namespaces/default/pods/web/log"
LINES = b"".join(f"2026-01-02T03:04:0{n}Z std{'out' if n % 2 else 'err'} F line {n}\n".encode() for n in range(1, 6))


@asynccontextmanager
async def world(authority: Authority, folder: Path, found: core_v1.Pod | None = None, **stored: Any
                ) -> AsyncIterator[Front]:
    """An API server, a node, and pod `web` whose log has five lines."""
    (folder / "0.log").write_bytes(LINES)
    found = found or pod()
    async with kubelet(authority, Host("n1", FakeRuntime(log=folder / "0.log"), lambda: [found])) as port:  # type: ignore[arg-type]
        obj = pod_of(found)
        obj["spec"] |= stored
        async with api_server(authority, node(port), obj) as front:
            yield front


async def get(url: str) -> Response:
    connections = Connections()
    try:
        return await connections.request("GET", url)
    finally:
        await connections.close()


async def refusal(url: str) -> tuple[int, str, str]:
    answer = await get(url)
    status = json.loads(answer.body)
    assert status["kind"] == "Status"
    assert status["code"] == answer.status
    return answer.status, status["reason"], status["message"]


@pytest.mark.parametrize(("query", "expected"), [
    ("container=main", b"line 1\nline 2\nline 3\nline 4\nline 5\n"),
    ("container=main&tailLines=2", b"line 4\nline 5\n"), ("container=main&tailLines=0", b""),
    ("container=main&limitBytes=8", b"line 1\nl"), ("container=main&stream=Stderr", b"line 2\nline 4\n"),
    ("container=main&sinceTime=2026-01-02T03:04:05Z", b"line 5\n"),
    ("container=main&tailLines=1&timestamps=true", b"2026-01-02T03:04:05.000000000Z line 5\n"),
    ("container=main&sinceSeconds=5&insecureSkipTLSVerifyBackend=true", b""),
])
async def test_a_log_is_streamed_as_text(authority, tmp_path, query, expected):
    async with world(authority, tmp_path) as front:
        answer = await get(f"{front.url}{LOG}?{query}")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", expected)


@pytest.mark.parametrize(("query", "code", "reason", "message"), [
    ("", 400, "BadRequest", "a container name must be specified for pod web, choose one of: [main side]"),
    ("container=x", 400, "BadRequest", "container x is not valid for pod web"),
    ("container=side", 400, "BadRequest", 'container "side" in pod "web" is not available'),
    ("container=main&previous=true", 400, "BadRequest", 'previous terminated container "main" in pod "web" not found'),
    ("container=main&tailLines=x", 400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("container=main&tailLines=9999999999999999999", 400, "BadRequest",
     'strconv.ParseInt: parsing "9999999999999999999": value out of range'),
    ("container=main&tailLines=-1", 422, "Invalid", 'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: '
     "must be greater than or equal to 0"),
    ("container=main&limitBytes=0", 422, "Invalid",
     'PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0'),
    ("container=main&sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z", 422, "Invalid",
     'PodLogOptions "web" is invalid: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified'),
    ("container=main&stream=Both", 422, "Invalid", 'PodLogOptions "web" is invalid: stream: Unsupported value: "Both": '
     'supported values: "All", "Stderr", "Stdout"'),
    ("container=main&stream=Stdout&tailLines=1", 422, "Invalid", 'PodLogOptions "web" is invalid: Forbidden: '
     "`tailLines` and specific `stream` are mutually exclusive for now"),
])
async def test_what_makes_no_sense_is_answered_as_kubernetes_does(authority, tmp_path, query, code, reason, message):
    async with world(authority, tmp_path) as front:
        assert await refusal(f"{front.url}{LOG}?{query}") == (code, reason, message)


async def test_a_container_that_waits_has_no_log(authority, tmp_path):
    state = core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason="ContainerCreating"))
    async with world(authority, tmp_path, pod(state=state, containerID="")) as front:
        assert await refusal(f"{front.url}{LOG}?container=main") == (
            400, "BadRequest", 'container "main" in pod "web" is waiting to start: ContainerCreating')


async def test_a_pod_without_a_node_has_written_nothing(authority, tmp_path):
    async with world(authority, tmp_path, nodeName="") as front:
        assert (await get(f"{front.url}{LOG}?container=main")).status == 204


async def test_a_pod_or_node_that_is_not_there(authority, tmp_path):
    async with world(authority, tmp_path, nodeName="n9") as front:
        assert await refusal(f"{front.url}{LOG}?container=main") == (404, "NotFound", 'nodes "n9" not found')
        assert await refusal(front.url + LOG.replace("web", "nope")) == (404, "NotFound", 'pods "nope" not found')


async def test_a_pod_that_the_node_does_not_have(authority):
    async with kubelet(authority, Host("n1", FakeRuntime(), lambda: [])) as port, \
            api_server(authority, node(port), pod_of(pod())) as front:  # type: ignore[arg-type]
        assert await refusal(f"{front.url}{LOG}?container=main") == (
            404, "NotFound", "the server could not find the requested resource ( pods/log web)")


async def test_a_kubelet_that_does_not_answer_is_said_so(authority):
    async with api_server(authority, node(1), pod_of(pod())) as front:
        code, _, message = await refusal(f"{front.url}{LOG}?container=main")
        assert code == 500
        assert message.startswith('Get "https://127.0.0.1:1/containerLogs/default/web/main": dial tcp 127.0.0.1:1: ')


async def test_a_kubelet_with_a_certificate_of_another_ca_is_not_trusted(authority, tmp_path):
    async with kubelet(Authority(tmp_path / "other"), Host("n1", FakeRuntime(), lambda: [pod()])) as port, \
            api_server(authority, node(port), pod_of(pod())) as front:  # type: ignore[arg-type]
        _, _, message = await refusal(f"{front.url}{LOG}?container=main")
        assert "certificate" in message


async def test_a_followed_log_grows_and_ends_with_its_client(authority, tmp_path):
    async with world(authority, tmp_path) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(front.url.rpartition(":")[2]))
        writer.write(f"GET {LOG}?container=main&follow=true&tailLines=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"line 5\n"), 5)
        assert len(followers()) == 2  # the API server's and the kubelet's
        writer.close()
        await eventually(lambda: not followers())


def followers() -> list[str]:
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return [name for name in names if name.endswith(".copy")]
