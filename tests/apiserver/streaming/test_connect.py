"""pods/exec, attach and portforward through the API server: who may, to which container, and then bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.front import Front, api_server, kubelet, node, pod_of
from support.kubelet_api import FakeRuntime, Peer, pod, streaming_server
from support.streams import refusal, session, switch, websocket_headers

from timonier.kit.http import Connections
from timonier.node.cri.contract import NotInRuntime
from timonier.node.kubelet.server.host import Host

PODS = "/api/v1/namespaces/default/pods/web"
SPDY = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
V5 = "v5.channel.k8s.io"


async def echo(peer: Peer) -> None:
    while data := await peer.reader.read(65536):
        peer.writer.write(data)


@asynccontextmanager
async def world(authority: Any, runtime: FakeRuntime, **spec: Any) -> AsyncIterator[Front]:
    async with kubelet(authority, Host("n1", runtime, lambda: [pod()])) as port:  # type: ignore[arg-type]
        obj = pod_of(pod())
        obj["spec"] |= spec
        async with api_server(authority, node(port), obj) as front:
            yield front


@pytest.mark.parametrize(("path", "asked"), [
    ("exec?container=main&command=ls&command=-l&stdin=true&stdout=true&tty=true",
     ("exec", "c2", ["ls", "-l"], {"tty": True, "stdin": True, "stdout": True, "stderr": False})),
    ("exec?container=main&command=ls&stdout=1&stderr=1",
     ("exec", "c2", ["ls"], {"tty": False, "stdin": False, "stdout": True, "stderr": True})),
    ("attach?container=main", ("attach", "c2", {"tty": False, "stdin": False, "stdout": True, "stderr": True})),
    ("attach?container=main&stdout=true&stderr=false",
     ("attach", "c2", {"tty": False, "stdin": False, "stdout": True, "stderr": False})),
    ("portforward?ports=80&ports=81,82", ("port-forward", "s2", [80, 81, 82])),
    ("portforward", ("port-forward", "s2", [])),
])
async def test_what_is_asked_for_reaches_the_runtime_and_then_bytes_pass(authority, path, asked):
    async with streaming_server(echo) as url, world(authority, runtime := FakeRuntime(url)) as front:
        headers = SPDY if "portforward" not in path else {"Upgrade": "SPDY/3.1"}
        response, link = await switch("POST", f"{front.url}{PODS}/{path}", headers)
        assert response.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
        link.write(b"\x80\x03any bytes")
        assert await asyncio.wait_for(link.read(), 5) == b"\x80\x03any bytes"
    assert runtime.asked == [asked]


async def test_versions_in_headers_of_their_own_are_all_offered(authority):
    """kubectl sends one header a version; the last one alone would be the oldest."""
    async with streaming_server(echo) as url, world(authority, FakeRuntime(url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(front.url.rpartition(":")[2]))
        writer.write(f"POST {PODS}/exec?container=main&stdout=true HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                     "Upgrade: SPDY/3.1\r\nContent-Length: 0\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
                     "X-Stream-Protocol-Version: channel.k8s.io\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
        assert b"101 Switching Protocols" in head
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in head


async def test_a_session_of_version_5_goes_through_both_servers(authority):
    async def play(peer: Peer) -> None:
        streams = await peer.opened(2)
        peer.writer.write(peer.spdy.data(streams["stdout"], b"x" * 200_000, fin=True)
                          + peer.spdy.data(streams["error"], b'{"status":"Success"}', fin=True))
        await peer.reader.read()

    async with streaming_server(play) as url, world(authority, FakeRuntime(url)) as front:
        client = await session(f"{front.url}{PODS}/exec?container=main&command=ls&stdout=true", V5, {})
        await asyncio.wait_for(client.finish(), 5)
        assert client.output[1] == b"x" * 200_000
        assert client.status == {"status": "Success"}


async def test_a_client_that_vanishes_ends_the_session_at_the_runtime(authority):
    over = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.reader.read()
        over.set()

    async with streaming_server(play) as url, world(authority, FakeRuntime(url)) as front:
        _, link = await switch("POST", f"{front.url}{PODS}/exec?container=main&stdout=true", SPDY)
        link.abort()
        await asyncio.wait_for(over.wait(), 5)


async def test_a_server_that_ends_ends_its_streams(authority):
    async with streaming_server(echo) as url:
        async with world(authority, FakeRuntime(url)) as front:
            _, link = await switch("POST", f"{front.url}{PODS}/exec?container=main&stdout=true", SPDY)
        assert await asyncio.wait_for(link.read(), 5) == b""


async def told(method: str, url: str, headers: dict[str, str]) -> tuple[int, str]:
    """The code and message of the Status with which a request is refused."""
    code, text = await refusal(method, url, headers)
    status = json.loads(text)
    assert status["code"] == code
    return code, status["message"]


@pytest.mark.parametrize(("query", "spec", "message"), [
    ("exec", {}, "a container name must be specified for pod web, choose one of: [main side]"),
    ("exec", {"initContainers": [{"name": "setup"}]},
     "a container name must be specified for pod web, choose one of: [main side] or one of the init containers: "
     "[setup]"),
    ("attach?container=x", {}, "container x is not valid for pod web"),
    ("exec?container=main", {"nodeName": ""}, "pod web does not have a host assigned"),
    ("portforward?ports=80", {"nodeName": ""}, "pod web does not have a host assigned"),
    ("portforward?ports=x", {}, 'strconv.ParseInt: parsing "x": invalid syntax'),
])
async def test_what_cannot_be_meant_is_a_bad_request(authority, query, spec, message):
    async with world(authority, FakeRuntime(), **spec) as front:
        assert await told("POST", f"{front.url}{PODS}/{query}", SPDY) == (400, message)


async def test_a_request_that_does_not_switch_is_a_bad_request(authority):
    async with world(authority, FakeRuntime()) as front:
        connections = Connections()
        answer = await connections.request("GET", f"{front.url}{PODS}/exec?container=main&stdout=true")
        await connections.close()
        assert (answer.status, json.loads(answer.body)["message"]) == (400, "Upgrade request required")


async def test_the_kubelets_refusal_reaches_the_client(authority):
    async with world(authority, FakeRuntime(refuse=NotInRuntime("NOT_FOUND", "it is gone"))) as front:
        assert await refusal("POST", f"{front.url}{PODS}/exec?container=main&stdout=true", SPDY) == (
            404, "rpc error: code = NotFound desc = it is gone")
        assert await refusal("POST", f"{front.url}{PODS}/exec?container=side&stdout=true", SPDY) == (
            500, 'container not found ("side")')


async def test_a_node_that_does_not_answer_is_said_so(authority):
    async with api_server(authority, node(1), pod_of(pod())) as front:
        code, message = await told("POST", f"{front.url}{PODS}/exec?container=main&stdout=true", SPDY)
        assert code == 500
        assert message.startswith("error dialing backend: dial tcp 127.0.0.1:1: ")


@pytest.mark.parametrize("subresource", ["exec?container=main&stdout=true", "attach?container=main", "portforward"])
async def test_reading_is_not_enough_to_run_something_by_get(authority, subresource):
    async with world(authority, FakeRuntime()) as front:
        front.rights.forbidden = lambda attributes: attributes.verb == "create"
        code, message = await told("GET", f"{front.url}{PODS}/{subresource}", websocket_headers(V5))
        assert (code, message) == (403, "may not create")
        assert front.rights.asked[-1].subresource == subresource.partition("?")[0]
