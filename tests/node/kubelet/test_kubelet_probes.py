"""Attempts of probes over real sockets, and what their results add up to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from timonier.api.types import core_v1
from timonier.node.kubelet.backoff import BackOff, go_duration
from timonier.node.kubelet.probes.attempt import BadPort, Outcome, RealNetwork, http_url, port_number
from timonier.node.kubelet.probes.verdict import LIVENESS, READINESS, STARTUP, Series

Answer = Callable[[str], bytes]


@contextlib.asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """An HTTP server that answers each request, given as its text, with raw bytes."""
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(head.decode()))
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def plain(status: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


async def ask(answer: Answer, path: str = "/", limit: float = 2) -> tuple[Outcome, int]:
    async with server(answer) as port:
        container, action = core_v1.Container(name="c"), core_v1.HTTPGetAction(path=path, port=port)
        url, headers = http_url(container, action, "127.0.0.1")
        return await RealNetwork().http(url, headers, limit), port


@pytest.mark.parametrize(("status", "success"), [(200, True), (204, True), (399, True), (400, False), (500, False)])
async def test_http_statuses_below_400_are_success(status: int, success: bool) -> None:
    outcome, _ = await ask(lambda _: plain(status))
    assert outcome.success is success
    if not success:
        assert outcome.output == f"HTTP probe failed with statuscode: {status}"


async def test_redirect_on_the_same_host_is_followed() -> None:
    outcome, _ = await ask(lambda text: plain(302, "Location: /next") if text.startswith("GET / ") else plain(500))
    assert outcome.output == "HTTP probe failed with statuscode: 500"


async def test_redirect_to_another_host_counts_as_success() -> None:
    outcome, _ = await ask(lambda _: plain(302, "Location: http://elsewhere.example/"))
    assert outcome == Outcome(True, "Probe terminated redirects")


async def test_probe_says_who_it_is_and_sends_the_pods_headers() -> None:
    seen: list[str] = []

    def answer(text: str) -> bytes:
        seen.append(text)
        return plain(200)

    async with server(answer) as port:
        action = core_v1.HTTPGetAction(path="x", port=port, httpHeaders=[
            core_v1.HTTPHeader(name="Host", value="web.example"), core_v1.HTTPHeader(name="X-Own", value="1")])
        url, headers = http_url(core_v1.Container(), action, "127.0.0.1")
        assert (await RealNetwork().http(url, headers, 2)).success
    [head] = seen
    assert head.startswith("GET /x HTTP/1.1\r\n")
    assert "user-agent: kube-probe/1.37" in head.lower()
    assert "host: web.example" in head.lower()
    assert "x-own: 1" in head.lower()


async def test_silent_server_is_given_its_time_and_no_more() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        outcome = await RealNetwork().http(f"http://127.0.0.1:{port}/", {}, 0.1)
        assert outcome.output == (f'Get "http://127.0.0.1:{port}/": context deadline exceeded (Client.Timeout exceeded '
                                  "while awaiting headers)")
        await asyncio.sleep(0.02)  # the server's side of the connection ends


async def test_closed_port_is_refused_in_gos_words() -> None:
    listening = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    assert (await RealNetwork().tcp("127.0.0.1", port, 1)).success
    listening.close()
    await listening.wait_closed()
    refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert await RealNetwork().tcp("127.0.0.1", port, 1) == Outcome(False, refused)
    outcome = await RealNetwork().http(f"http://127.0.0.1:{port}/x", {}, 1)
    assert outcome.output == f'Get "http://127.0.0.1:{port}/x": {refused}'


@pytest.mark.parametrize(("status", "success"), [(1, True), (2, False), (0, False)])
async def test_grpc_health_decides(status: int, success: bool) -> None:
    async def check(request: bytes, context: object) -> bytes:
        assert request == b"\x0a\x03web"
        return bytes([8, status]) if status else b""

    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(check)})
    serving = grpc.aio.server()
    serving.add_generic_rpc_handlers((health,))
    port = serving.add_insecure_port("127.0.0.1:0")
    await serving.start()
    try:
        assert (await RealNetwork().grpc("127.0.0.1", port, "web", 2)).success is success
    finally:
        await serving.stop(None)


def test_named_ports_are_looked_up() -> None:
    container = core_v1.Container(ports=[core_v1.ContainerPort(name="http", containerPort=8080)])
    assert (port_number(container, "http"), port_number(container, "81"), port_number(container, 82)) == (8080, 81, 82)
    for bad in ("nope", 0, 70000):
        with pytest.raises(BadPort):
            port_number(container, bad)


@pytest.mark.parametrize(("kind", "results", "verdicts"), [
    pytest.param(LIVENESS, "ffsff", [], id="two-failures-are-not-three"),
    pytest.param(LIVENESS, "fff", [False], id="three-failures-in-a-row"),
    pytest.param(READINESS, "sfffs", [True, False, True], id="ready-and-back"),
    pytest.param(STARTUP, "ffs", [True], id="started-in-the-end"),
    pytest.param(STARTUP, "fff", [False], id="never-started"),
])
def test_verdict_changes_after_enough_results_in_a_row(kind: str, results: str, verdicts: list[bool]) -> None:
    series = Series.begin(core_v1.Probe(failureThreshold=3), kind)
    assert [result == "s" for result in results if series.add(result == "s")] == verdicts


def test_back_off_doubles_up_to_its_longest_and_is_forgotten_in_time() -> None:
    back_off, now, delays = BackOff(), 0.0, []
    for _ in range(8):
        back_off.next("c", now, now)
        delays.append(back_off.delay("c", now))
        now += 1
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert back_off.remaining("c", now, now + 100) == 200
    assert back_off.delay("c", now + 601) == 0


@pytest.mark.parametrize(("seconds", "text"), [
    (10, "10s"), (160, "2m40s"), (300, "5m0s"), (3600, "1h0m0s"), (1.5, "1.5s"), (0.25, "250ms"), (0, "0s"),
    (62.5, "1m2.5s"),
])
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
