"""The HTTP client against servers that behave, and servers that do not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from timonier.kit import http
from timonier.kit.http import Connections

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[tuple[str, list[int]]]:
    accepted: list[int] = []
    tasks = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(1)
        tasks.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", accepted
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def always(answer: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
    return handler


@contextlib.asynccontextmanager
async def pool(**settings: float) -> AsyncIterator[Connections]:
    connections = Connections(**settings)  # type: ignore[arg-type]
    try:
        yield connections
    finally:
        await connections.close()


async def test_one_connection_serves_many_requests():
    async with server(always(OK)) as (url, accepted), pool() as connections:
        for _ in range(5):
            assert (await connections.request("GET", url)).body == b"ok"
        assert len(accepted) == 1


async def test_parallel_requests_have_a_connection_each():
    async with server(always(OK)) as (url, accepted), pool() as connections:
        answers = await asyncio.gather(*(connections.request("GET", url) for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert len(accepted) == 4


async def test_chunked_bodies_are_joined_and_streamed():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with server(always(chunked)) as (url, accepted), pool() as connections:
        assert (await connections.request("GET", url)).body == b"abcde"
        async with connections.stream("GET", url) as stream:
            assert b"".join([chunk async for chunk in stream]) == b"abcde"
        assert len(accepted) == 1


async def test_a_body_without_length_ends_with_the_connection():
    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await writer.drain()
    async with server(handler) as (url, accepted), pool() as connections:
        assert (await connections.request("GET", url)).body == b"all of it"
        await connections.request("GET", url)
        assert len(accepted) == 2


async def test_leaving_a_stream_early_closes_its_connection():
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with server(always(endless)) as (url, accepted), pool() as connections:
        for _ in range(2):
            async with connections.stream("GET", url) as stream:
                async for chunk in stream:
                    assert chunk == b"abc"
                    break
        assert len(accepted) == 2


async def test_a_truncated_body_is_an_error():
    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
    async with server(handler) as (url, _), pool() as connections:
        with pytest.raises(http.Disconnected):
            await connections.request("GET", url)


async def test_a_kept_connection_that_died_is_replaced_unnoticed():
    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # takes the second request and closes without an answer
    async with server(once) as (url, accepted), pool() as connections:
        assert (await connections.request("GET", url)).status == 200
        assert (await connections.request("GET", url)).status == 200
        assert len(accepted) == 2


async def test_a_post_is_never_sent_twice():
    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
    async with server(once) as (url, _), pool() as connections:
        await connections.request("GET", url)
        with pytest.raises(http.Disconnected):
            await connections.request("POST", url, body=b"{}")


async def test_silence_is_bounded():
    async def silent(reader, writer):
        await reader.read()
    async with server(silent) as (url, _), pool() as connections:
        with pytest.raises(http.TimedOut):
            await connections.request("GET", url, within=0.05)


async def test_silence_within_a_stream_is_bounded():
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with server(always(endless)) as (url, _), pool() as connections:
        with pytest.raises(http.TimedOut):
            async with connections.stream("GET", url, read_timeout=0.05) as stream:
                await stream.read()


async def test_nobody_listening_is_a_failed_connection():
    async with server(always(OK)) as (url, _):
        pass
    async with pool() as connections:
        with pytest.raises(http.ConnectionFailed):
            await connections.request("GET", url)


@pytest.mark.parametrize("answer", [
    pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="another-protocol"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", id="enormous-head"),
])
async def test_what_is_not_http_is_said_to_be(answer):
    async with server(always(answer)) as (url, _), pool() as connections:
        with pytest.raises(http.BadResponse):
            await connections.request("GET", url)


async def test_an_interim_answer_is_passed_over():
    async with server(always(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)) as (url, _), pool() as connections:
        assert (await connections.request("GET", url)).body == b"ok"


async def test_a_redirect_is_an_answer():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with server(always(moved)) as (url, _), pool() as connections:
        answer = await connections.request("GET", url)
        assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")


async def test_a_head_has_no_body():
    async with server(always(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as (url, _), pool() as connections:
        answer = await connections.request("HEAD", url)
        assert (answer.headers["content-length"], answer.body) == ("99", b"")


async def test_an_upgraded_connection_is_handed_over_with_what_followed():
    async def echo(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\nhello")
        writer.write(await reader.readexactly(4))
        await writer.drain()
    async with server(echo) as (url, _), pool() as connections:
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        answer, reader, writer = await connections.upgrade("POST", url, headers)
        assert answer.status == 101
        assert reader is not None
        assert writer is not None
        writer.write(b"ping")
        assert await reader.readexactly(9) == b"helloping"
        writer.close()


async def test_a_refused_upgrade_is_an_answer():
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    async with server(always(refused)) as (url, _), pool() as connections:
        answer, reader, writer = await connections.upgrade("POST", url, {"Upgrade": "x", "Connection": "Upgrade"})
        assert (answer.status, answer.body, reader, writer) == (403, b"no", None, None)


@pytest.mark.parametrize("attempt", [
    pytest.param(("http://h/a b", {}), id="blank-in-path"),
    pytest.param(("http://h/", {"X": "1\r\nY: 2"}), id="line-break-in-header"),
    pytest.param(("ftp://h/", {}), id="other-scheme"),
])
async def test_a_request_cannot_break_out_of_its_line(attempt):
    url, headers = attempt
    async with pool() as connections:
        with pytest.raises(ValueError, match=r"escaped|line break|not an http"):
            await connections.request("GET", url, headers)


async def test_closing_ends_what_is_in_use():
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with server(always(endless)) as (url, _):
        connections = Connections()
        async with connections.stream("GET", url) as stream:
            await connections.close()
            with pytest.raises(http.Disconnected):
                await stream.read()


def test_a_missing_port_is_that_of_the_scheme():
    assert http.address(http.urlsplit("https://h/x")) == ("https", "h", 443)
    assert http.address(http.urlsplit("http://[::1]:8080/x")) == ("http", "::1", 8080)
