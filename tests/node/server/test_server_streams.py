"""Exec, attach, port-forward and the hop, with a streaming server that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.kubelet_api import HEADERS, FakeRuntime, Peer, kubelet, streaming_server
from support.streams import eventually, refusal, session, switch, websocket_headers

from timonier.component.authenticate import User
from timonier.component.authorise import Access
from timonier.kit.clock import SystemClock
from timonier.kit.streaming.websocket import Close
from timonier.node.cri.contract import NotInRuntime, RuntimeFailure, RuntimeUnavailable
from timonier.node.kubelet.server import hop, streams
from timonier.node.kubelet.server.streams import Streams

V5 = "v5.channel.k8s.io"
EXEC = "/exec/default/web/main?command=sh&input=1&output=1&error=1"
SPDY = HEADERS | {"Upgrade": "SPDY/3.1"}
Play = Callable[[Peer], Awaitable[None]]


async def nothing(peer: Peer) -> None:
    await peer.reader.read()


async def echo(peer: Peer) -> None:
    """Send back whatever comes, byte for byte."""
    while data := await peer.reader.read(65536):
        peer.writer.write(data)


async def test_what_is_asked_for_reaches_the_runtime():
    async with streaming_server(echo) as url:
        runtime = FakeRuntime(url)
        async with kubelet(runtime) as api:
            await switch("POST", f"{api}/exec/default/web/main?command=ls&command=-l%20a&input=1&output=1&tty=1", SPDY)
            await switch("POST", f"{api}/attach/default/web/u1/main?output=1&error=1", SPDY)
            await switch("POST", f"{api}/portForward/default/web?port=80&port=81", SPDY)
    flags = {"stdout": True, "stdin": False, "stderr": True, "tty": False}
    assert runtime.asked == [
        ("exec", "c2", ["ls", "-l a"], flags | {"stdin": True, "stderr": False, "tty": True}),
        ("attach", "c2", flags), ("port-forward", "s2", [80, 81])]


async def test_spdy_passes_byte_for_byte_in_the_best_version_that_both_speak():
    requests = []

    async def play(peer: Peer) -> None:
        requests.append(peer.request)
        await echo(peer)

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        response, link = await switch("POST", api + EXEC, SPDY | {
            "X-Stream-Protocol-Version": "v9.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io"})
        assert response.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in requests[0]
        link.write(b"\x80anything at all")
        assert await link.read() == b"\x80anything at all"


async def test_a_websocket_of_an_older_protocol_passes_with_its_handshake():
    requests = []
    answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")

    async def play(peer: Peer) -> None:
        requests.append(peer.request)
        await echo(peer)

    async with streaming_server(play, answer) as url, kubelet(FakeRuntime(url)) as api:
        response, link = await switch("GET", api + EXEC, HEADERS | websocket_headers("v4.channel.k8s.io"))
        assert response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert requests[0].startswith(b"GET ")
        assert b"v4.channel.k8s.io" in requests[0]
        assert b"let-me-in" not in requests[0]
        link.write(b"raw")
        assert await link.read() == b"raw"


async def test_a_session_of_version_5_is_translated():
    async def play(peer: Peer) -> None:
        streams = await peer.opened(4)
        assert await peer.received(streams["stdin"], 5) == b"input"
        peer.writer.write(peer.spdy.data(streams["stdout"], b"out", fin=True)
                          + peer.spdy.data(streams["stderr"], b"err", fin=True)
                          + peer.spdy.data(streams["error"], b'{"status":"Success"}', fin=True))
        await peer.reader.read()

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        client = await session(api + EXEC, V5, HEADERS)
        client.send(0, b"input")
        await asyncio.wait_for(client.finish(), 5)
        assert (client.output[1], client.output[2], client.status) == (b"out", b"err", {"status": "Success"})
        assert client.closed == Close(1000)


async def test_a_runtime_that_dies_in_the_middle_is_a_failure():
    async def play(peer: Peer) -> None:
        streams = await peer.opened(4)
        peer.writer.write(peer.spdy.data(streams["stdout"], b"so far"))

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        client = await session(api + EXEC, V5, HEADERS)
        await asyncio.wait_for(client.finish(), 5)
        assert client.output[1] == b"so far"
        assert client.status["status"] == "Failure"
        assert client.closed == Close(1000)


async def test_a_client_that_vanishes_ends_the_runtimes_session():
    over = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.opened(4)
        while await peer.reader.read(65536):
            pass
        over.set()

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        client = await session(api + EXEC, V5, HEADERS)
        client.link.abort()
        await asyncio.wait_for(over.wait(), 5)


async def test_a_client_that_does_not_read_holds_up_the_runtime():
    sent = 0

    async def play(peer: Peer) -> None:
        nonlocal sent
        streams = await peer.opened(4)
        while True:
            peer.writer.write(peer.spdy.data(streams["stdout"], bytes(65536)))
            await peer.writer.drain()
            sent += 65536

    async def is_stuck() -> int:
        """Bytes after which nothing more was taken for half a second."""
        while True:
            before = sent
            await asyncio.sleep(0.5)
            if sent == before:
                return sent

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        await session(api + EXEC, V5, HEADERS)
        assert await asyncio.wait_for(is_stuck(), 20) < 64 * 1024 * 1024


async def test_silence_ends_a_session():
    async with streaming_server(nothing) as url, kubelet(FakeRuntime(url), streams=Streams(idle=0.1)) as api:
        _, link = await switch("POST", api + EXEC, SPDY)
        assert await asyncio.wait_for(link.read(), 5) == b""


async def test_a_runtime_that_accepts_no_streams_is_given_up(monkeypatch):
    monkeypatch.setattr(streams, "CREATION_SECONDS", 0.1)

    async def play(peer: Peer) -> None:
        await peer.events(accept=False)
        await peer.reader.read()

    async with streaming_server(play) as url, kubelet(FakeRuntime(url)) as api:
        status, text = await refusal("GET", api + EXEC, HEADERS | websocket_headers(V5))
        assert (status, text) == (504, "the container runtime accepted no streams in 0 s")


async def test_a_port_forward_inside_a_websocket_is_unwrapped():
    async with streaming_server(echo) as url, kubelet(FakeRuntime(url)) as api:
        client = await session(f"{api}/portForward/default/web", "SPDY/3.1+portforward.k8s.io", HEADERS)
        client.link.write(client.socket.message(b"\x80\x03spdy"))
        [event] = client.socket.receive(await asyncio.wait_for(client.link.read(), 5))
        assert event.payload == b"\x80\x03spdy"


@pytest.mark.parametrize(("headers", "query", "status", "text"), [
    pytest.param({}, "&output=1", 400, "Upgrade request required", id="no-upgrade"),
    pytest.param({"Upgrade": "h2c"}, "&output=1", 400, "unable to upgrade: unsupported protocol 'h2c'", id="another"),
    pytest.param({"Upgrade": "SPDY/3.1"}, "", 400, "you must specify at least 1 of stdin, stdout, stderr", id="none"),
    pytest.param({"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v9"}, "&output=1", 403,
                 "unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts "
                 "[v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]", id="no-common-version"),
    pytest.param(websocket_headers(V5, **{"Sec-WebSocket-Version": "8"}), "&output=1", 426,
                 "unable to upgrade: WebSocket version 13 required", id="old-websocket"),
])
async def test_what_cannot_be_upgraded_is_refused_with_the_reason(headers, query, status, text):
    async with kubelet(FakeRuntime()) as api:
        url = f"{api}/exec/default/web/main?command=ls{query}"
        upgrade = {} if headers else {"Connection": "close"}
        assert await refusal("GET", url, HEADERS | headers | upgrade) == (status, text)


@pytest.mark.parametrize(("failure", "status"), [
    (NotInRuntime("NOT_FOUND", "gone"), 404), (RuntimeUnavailable("UNAVAILABLE", "down"), 503),
    (RuntimeFailure("RESOURCE_EXHAUSTED", "too many"), 429), (RuntimeFailure("UNKNOWN", "odd"), 500)])
async def test_what_the_runtime_refuses_is_refused_with_its_words(failure, status):
    async with kubelet(FakeRuntime(refuse=failure)) as api:
        assert await refusal("POST", api + EXEC, SPDY) == (status, str(failure))


async def test_a_streaming_server_that_is_not_there_or_says_no():
    async with kubelet(FakeRuntime("http://127.0.0.1:1/exec/x")) as api:
        status, text = await refusal("POST", api + EXEC, SPDY)
        assert status == 502
        assert "127.0.0.1:1" in text
    no = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nused"
    async with streaming_server(nothing, no) as url, kubelet(FakeRuntime(url)) as api:
        assert await refusal("GET", api + EXEC, HEADERS | websocket_headers(V5)) == (404, "used")


async def test_a_container_that_does_not_run_is_not_entered():
    async with kubelet(FakeRuntime()) as api:
        url = f"{api}/exec/default/web/side?command=ls&output=1"
        assert await refusal("POST", url, SPDY) == (500, 'container not found ("side")')


async def test_a_followed_log_ends_with_its_client(tmp_path):
    log = tmp_path / "0.log"
    log.write_bytes(b"2026-01-02T03:04:05Z stdout F one\n")
    async with kubelet(FakeRuntime(log=log), clock=SystemClock()) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(api.rpartition(":")[2]))
        writer.write(b"GET /containerLogs/default/web/main?follow=true HTTP/1.1\r\nHost: x\r\n"
                     b"Authorization: Bearer let-me-in\r\n\r\n")
        head = await reader.readuntil(b"one\n")
        assert b"Transfer-Encoding: chunked" in head
        with log.open("ab") as file:
            file.write(b"2026-01-02T03:04:06Z stdout F two\n")
        await asyncio.wait_for(reader.readuntil(b"two\n"), 5)
        assert any("copy" in name for name in coroutines())
        writer.close()
        await eventually(lambda: not any("copy" in name for name in coroutines()))


def coroutines() -> list[str]:
    return [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]


class Api:
    """The API server's identity, which alone may hop."""

    @staticmethod
    async def known(token: str) -> User | None:
        return User(hop.API_SERVER)


async def test_the_api_server_dials_through_the_node(monkeypatch):
    monkeypatch.setattr("support.kubelet_api.known", Api.known)
    monkeypatch.setattr(hop, "target", lambda address, port: (address, int(port)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with kubelet(FakeRuntime()) as api:
        port = server.sockets[0].getsockname()[1]
        _, link = await switch("GET", f"{api}/hop/127.0.0.1/{port}", HEADERS | {"Upgrade": "tcp"})
        link.write(b"hello\n")
        assert await asyncio.wait_for(link.read(), 5) == b"HELLO\n"
        assert await asyncio.wait_for(link.read(), 5) == b""
        server.close()
        await server.wait_closed()
        status, text = await refusal("GET", f"{api}/hop/127.0.0.1/{port}", HEADERS | {"Upgrade": "tcp"})
        assert (status, text) == (502, f"dial tcp 127.0.0.1:{port}: connect: connection refused")


async def test_nobody_else_dials():
    async with kubelet(FakeRuntime()) as api:
        status, _ = await refusal("GET", f"{api}/hop/10.0.0.1/80", HEADERS | {"Upgrade": "tcp"})
        assert status == 403


@pytest.mark.parametrize(("address", "port"), [
    ("127.0.0.1", "80"), ("::1", "80"), ("::ffff:127.0.0.1", "80"), ("169.254.169.254", "80"), ("0.0.0.0", "80"),
    ("224.0.0.1", "80"), ("localhost", "80"), ("10.0.0.1", "0"), ("10.0.0.1", "65536"), ("10.0.0.1", "x"),
    ("10.0.0.1", "٣")])
def test_a_nodes_own_addresses_and_nonsense_are_not_dialled(address, port):
    with pytest.raises(hop.Refused):
        hop.target(address, port)


async def test_running_something_needs_the_right_to_create():
    asked: list[Access] = []

    async def review(access: Access) -> bool:
        asked.append(access)
        return access.verb != "create"

    async with kubelet(FakeRuntime(), review=review) as api:
        status, _ = await refusal("GET", api + EXEC, HEADERS | websocket_headers(V5))
        assert status == 403
        assert {access.verb for access in asked} == {"create"}
