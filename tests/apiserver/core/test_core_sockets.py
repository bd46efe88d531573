"""The HTTP server on real sockets: what arrives in pieces, what is malformed, what lasts, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from timonier.apiserver.server import run
from timonier.apiserver.settings import ApiServerSettings
from timonier.cluster.certificates import Authority, Identity, encryption_key, signing_key
from timonier.kit.connection import Connection
from timonier.kit.serve import Limits, serve

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Says what was asked; some paths do something else."""
    body = b""
    if scope["path"] != "/early":
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    if scope["path"] == "/broken":
        raise KeyError("secret")
    if scope["path"] == "/taken":
        taken = scope["extensions"]["timonier"].take_over()
        taken.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while data := await taken.read():
            taken.write(data.upper())
        return
    if scope["path"] == "/forever":
        taken = scope["extensions"]["timonier"].take_over()
        taken.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await taken.ended
        taken.write(b"goodbye")
        return
    if scope["path"] == "/chunked":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"a", b"bc", b""):
            await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
        return
    if scope["path"] == "/large":
        body = b"x" * 3_000_000
    text = b"%b %b?%b %b" % (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


def free() -> socket:
    sock = socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@contextlib.asynccontextmanager
async def server(limits: Limits | None = None) -> AsyncIterator[tuple[Callable[[], Any], asyncio.Task[None]]]:
    sock, started = free(), asyncio.Event()
    port = sock.getsockname()[1]
    task = asyncio.ensure_future(serve(echo, [sock], limits=limits, started=started))
    await started.wait()
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Pair:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return reader, writer

    try:
        yield connect, task
    finally:
        for writer in opened:
            writer.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        status = int(head[0].split()[1])
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await reader.readline()).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
            return status, headers, body
        if "content-length" in headers:
            return status, headers, await reader.readexactly(int(headers["content-length"]))
        return status, headers, await reader.read()


async def test_requests_share_a_connection() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        for number in range(3):
            writer.write(b"GET /a%%20b?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            assert (await response(reader))[2] == b"GET /a b?n=%d " % number


@pytest.mark.parametrize("path", [b"/a", b"/taken", b"/forever"])
async def test_a_connection_that_has_ended_is_freed_without_the_collector(path: bytes) -> None:
    def connections() -> int:
        return sum(isinstance(each, Connection) for each in gc.get_objects())

    gc.collect()
    before = connections()
    gc.disable()
    try:
        async with server() as (connect, _), asyncio.timeout(5):
            for _ in range(3):
                reader, writer = await connect()
                writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                await reader.readuntil(b"\r\n\r\n")
                writer.close()
            while connections() > before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"".join(b"POST /%d HTTP/1.1\r\nContent-Length: 1\r\n\r\n%d" % (n, n) for n in range(5)))
        for number in range(5):
            assert (await response(reader))[2] == b"POST /%d? %d" % (number, number)


async def test_a_body_in_pieces_arrives_whole() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"5\r\nhello\r\n", b"6\r\n wor", b"ld\r\n", b"0\r\n\r\n"):
            writer.write(piece)
            await asyncio.sleep(0)
        assert (await response(reader))[2] == b"PUT /? hello world"


async def test_a_client_that_waits_for_100_is_told_to_go_on() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await response(reader))[2] == b"PUT /? ok"


async def test_an_answer_that_comes_before_the_body_leaves_the_connection_usable() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"PUT /early HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000)
        assert (await response(reader))[0] == 200
        writer.write(b"x" * 500_000 + b"GET /next HTTP/1.1\r\n\r\n")
        assert (await response(reader))[2] == b"GET /next? "


async def test_chunked_and_large_answers_and_heads() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"GET /chunked HTTP/1.1\r\n\r\n")
        assert (await response(reader))[2] == b"abc"
        writer.write(b"GET /large HTTP/1.1\r\n\r\n")
        assert len((await response(reader))[2]) > 3_000_000
        writer.write(b"HEAD /head HTTP/1.1\r\n\r\nGET /after HTTP/1.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 12\r\n" in head
        assert (await response(reader))[2] == b"GET /after? "


@pytest.mark.parametrize(("sent", "status"), [
    pytest.param(b"NONSENSE\r\n\r\n", 400, id="no-http"), pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, id="version"),
    pytest.param(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="length"),
    pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="smuggling"),
    pytest.param(b"GET /" + b"a" * 300_000, 431, id="endless-url"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 60_000, 431, id="endless-headers"),
])
async def test_what_is_not_http_is_refused(sent: bytes, status: int) -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(sent)
        assert (await response(reader))[0] == status
        assert reader.at_eof()


async def test_a_defect_closes_with_500() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"GET /broken HTTP/1.1\r\n\r\n")
        status, _, body = await response(reader)
        assert (status, body) == (500, b"Internal Server Error")


async def test_who_dawdles_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timonier.kit.serve.SWEEP_SECONDS", 0.01)
    limits = Limits(header_seconds=0.05, body_seconds=0.05, idle_seconds=0.05)
    async with server(limits) as (connect, _), asyncio.timeout(5):
        for sent in (b"", b"GET / HT", b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n1"):
            reader, writer = await connect()
            writer.write(sent)
            assert await reader.read() == b""
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await response(reader)
        assert await reader.read() == b""


async def test_a_stream_takes_the_connection_over() -> None:
    async with server() as (connect, _):
        reader, writer = await connect()
        writer.write(b"GET /taken HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nearly ")
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"and late")
        assert await reader.readexactly(14) == b"EARLY AND LATE"
        writer.write_eof()
        assert await reader.read() == b""


async def test_the_end_of_the_server_ends_streams_and_lets_answers_out() -> None:
    async with server() as (connect, task):
        reader, writer = await connect()
        writer.write(b"GET /forever HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        idle, _ = await connect()
        task.cancel()
        async with asyncio.timeout(5):
            assert await reader.read() == b"goodbye"
            assert await idle.read() == b""


async def test_the_ends_of_streams_may_be_spread() -> None:
    async with server(Limits(spread_seconds=0.2)) as (connect, task):
        pairs = [await connect() for _ in range(2)]
        for reader, writer in pairs:
            writer.write(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        task.cancel()
        begin = asyncio.get_running_loop().time()
        for reader, _ in pairs:
            assert await ended(reader) == b"goodbye"
        assert asyncio.get_running_loop().time() - begin > 0.05


@pytest.fixture
def machine(tmp_path: Path) -> tuple[ApiServerSettings, Callable[[Identity | None], ssl.SSLContext]]:
    """Settings with real keys, and what makes a client's TLS for an identity."""
    authority = Authority(tmp_path / "pki")
    pair = authority.issue("server", Identity("kube-apiserver", hosts=("127.0.0.1",)))
    with free() as sock:
        port = sock.getsockname()[1]
    settings = ApiServerSettings(
        pair.certificate, pair.key, authority.pair.certificate, signing_key(tmp_path / "sa.key"), "10.0.0.1",
        store=f"sqlite://{tmp_path}/store.db", secure_port=port,
        encryption_key_file=encryption_key(tmp_path / "secrets.key"))

    def client(identity: Identity | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority.pair.certificate))
        if identity:
            own = authority.issue(identity.name, identity)
            context.load_cert_chain(own.certificate, own.key)
        return context
    return settings, client


@contextlib.asynccontextmanager
async def process(settings: ApiServerSettings) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run(settings))
    try:
        yield
    finally:
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(task, return_exceptions=True)


async def ask(settings: ApiServerSettings, context: ssl.SSLContext, path: str, *headers: bytes) -> tuple[int, Any]:
    """GET over TLS, trying until the server listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", settings.secure_port, ssl=context)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), b"".join(h + b"\r\n" for h in headers)))
        try:
            status, _, body = await response(reader)
        finally:
            writer.close()
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                await writer.wait_closed()
    return status, json.loads(body) if body.startswith(b"{") else body


async def test_a_whole_server_over_tls(machine: tuple[ApiServerSettings, Any]) -> None:
    settings, client = machine
    admin = client(Identity("kubernetes-admin", groups=("system:masters",)))
    async with process(settings):
        status, namespaces = await ask(settings, admin, "/api/v1/namespaces")
        assert (status, namespaces["kind"]) == (200, "NamespaceList")
        while (await ask(settings, admin, "/readyz"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        somebody = client(Identity("somebody"))
        status, refused = await ask(settings, somebody, "/api/v1/namespaces")
        assert (status, refused["reason"]) == (403, "Forbidden")
        anonymous = client(None)
        status, refused = await ask(settings, anonymous, "/api/v1/namespaces")
        assert status == 403
        assert 'User "system:anonymous" cannot list resource "namespaces"' in refused["message"]
        assert (await ask(settings, anonymous, "/version"))[0] == 200
        status, refused = await ask(settings, anonymous, "/api/v1/namespaces", b"Authorization: Bearer forged.a.b")
        assert (status, refused["reason"], refused["message"]) == (401, "Unauthorized", "Unauthorized")
    async with process(replace(settings)):
        status, namespaces = await ask(settings, admin, "/api/v1/namespaces")
        assert len(namespaces["items"]) == 4


async def test_a_certificate_of_another_ca_does_not_get_in(machine: tuple[ApiServerSettings, Any],
                                                           tmp_path: Path) -> None:
    settings, client = machine
    stranger = Authority(tmp_path / "other").issue("x", Identity("kubernetes-admin", groups=("system:masters",)))
    context = client(None)
    context.load_cert_chain(stranger.certificate, stranger.key)
    async with process(settings):
        status, refused = await ask(settings, context, "/api/v1/namespaces")
        assert (status, refused["reason"], refused["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_server_that_is_told_to_end_answers_what_it_has_begun(machine: tuple[ApiServerSettings, Any]) -> None:
    settings, client = machine
    admin = client(Identity("kubernetes-admin", groups=("system:masters",)))
    body = json.dumps({"metadata": {"name": "late"}}).encode()
    task = asyncio.ensure_future(run(settings))
    await ask(settings, admin, "/api/v1/namespaces")
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.secure_port, ssl=admin)
    writer.write(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                 % (len(body), body[:5]))
    watching, other = await asyncio.open_connection("127.0.0.1", settings.secure_port, ssl=admin)
    other.write(b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await watching.readuntil(b'"ADDED"')
    task.cancel()
    assert (await ended(watching)).endswith(b"0\r\n\r\n")
    writer.write(body[5:])
    status, _, _ = await response(reader)
    assert status == 201
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
    for each in (writer, other):
        each.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


async def test_before_it_takes_no_more_requests_a_server_says_that_it_will_not(
        machine: tuple[ApiServerSettings, Any]) -> None:
    settings, client = machine
    settings = replace(settings, shutdown_delay_duration=30.0)
    admin = client(Identity("kubernetes-admin", groups=("system:masters",)))
    task = asyncio.ensure_future(run(settings))
    while (await ask(settings, admin, "/readyz"))[0] != 200:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    status, why = await ask(settings, admin, "/readyz")
    assert status == 500
    assert b"[-]shutdown failed" in why
    assert (await ask(settings, admin, "/livez"))[0] == 200
    assert (await ask(settings, admin, "/api/v1/namespaces"))[0] == 200
    task.cancel()  # whoever cannot wait says so twice
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
