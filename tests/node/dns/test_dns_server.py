"""DNS over sockets of loopback: UDP, TCP, and a resolver upstream that the test plays itself."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from support.mirrors import HandMirror
from support.ports import free_port
from support.services import endpoint, node, service, slice_of

from timonier.api import errors
from timonier.api.types import core_v1, discovery_v1, meta_v1
from timonier.kit.clock import FakeClock, SystemClock
from timonier.node.dns import upstream as upstream_module
from timonier.node.dns import wire
from timonier.node.dns.answers import Answerer
from timonier.node.dns.publish import endpoint_slice, says_the_same
from timonier.node.dns.records import Record
from timonier.node.dns.run import run_dns
from timonier.node.dns.server import Server
from timonier.node.dns.upstream import ResolvConf, Upstream, nameservers

WEB = "web.default.svc.cluster.local"
Reply = Callable[[dns.message.Message], dns.message.Message | None]


class Resolver(asyncio.DatagramProtocol):
    """A resolver that answers as the test says, and counts what it was asked."""

    def __init__(self, answer: Reply) -> None:
        self.answer, self.asked = answer, 0
        self.address = ("127.0.0.1", 0)

    async def start(self) -> Resolver:
        self.address = ("127.0.0.1", free_port())
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=self.address)
        self.tcp = await asyncio.start_server(self.connected, *self.address)
        return self

    def close(self) -> None:
        self.transport.close()
        self.tcp.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if (reply := self.answer(dns.message.from_wire(data))) is not None:
            if len(reply.to_wire(max_size=65535)) > 1232:
                reply = dns.message.make_response(dns.message.from_wire(data))
                reply.flags |= dns.flags.TC
            self.transport.sendto(reply.to_wire(), addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        reply = self.answer(dns.message.from_wire(query))
        assert reply is not None
        data = reply.to_wire(max_size=65535)
        writer.write(struct.pack("!H", len(data)) + data)
        writer.close()


def knows(query: dns.message.Message) -> dns.message.Message:
    """Any name is at 192.0.2.1 for a minute; `big.example` at hundreds of addresses; `no.example` does not exist."""
    reply = dns.message.make_response(query, recursion_available=True)
    name = query.question[0].name
    match name.to_text().lower():
        case "big.example.":
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *(f"192.0.2.{n}" for n in range(200))))
        case "no.example.":
            reply.set_rcode(dns.rcode.NXDOMAIN)
        case _:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
    return reply


@contextlib.asynccontextmanager
async def resolving(answer: Reply = knows) -> AsyncIterator[Resolver]:
    resolver = await Resolver(answer).start()
    try:
        yield resolver
    finally:
        resolver.close()


@contextlib.asynccontextmanager
async def serving(*servers: tuple[str, int], clock: FakeClock | None = None) -> AsyncIterator[Server]:
    answerer = Answerer("cluster.local", [ipaddress.IPv4Network("10.96.0.0/16")], "10.96.0.10")
    answerer.zone.put("web", [Record(WEB, wire.A, bytes([10, 96, 0, 5])),
                              Record("away.default.svc.cluster.local", wire.CNAME, wire.name_to_wire("host.example"))])
    upstream = Upstream(lambda: list(servers), clock or SystemClock())
    server = Server(answerer, upstream)
    await server.start("127.0.0.1", free_port())
    try:
        yield server
    finally:
        await server.close()
        await upstream.close()


async def ask(server: Server, name: str, *, tcp: bool = False, wait: float = 3.0,
              **options: int) -> dns.message.Message:
    query = dns.message.make_query(name, "A", **options)
    async with asyncio.timeout(wait):
        if tcp:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(struct.pack("!H", len(query.to_wire())) + query.to_wire())
            reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            writer.close()
        else:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", server.port))
                await loop.sock_sendall(client, query.to_wire())
                reply = await loop.sock_recv(client, 65535)
    answer = dns.message.from_wire(reply)
    assert query.is_response(answer)
    return answer


def addresses(answer: dns.message.Message) -> list[str]:
    return [data.to_text() for rrset in answer.answer for data in rrset]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_cluster_name_is_answered(tcp: bool) -> None:
    async with serving() as server:
        for _ in range(2):
            assert addresses(await ask(server, WEB, tcp=tcp)) == ["10.96.0.5"]


async def test_changed_zone_is_answered_from_at_once() -> None:
    async with serving() as server:
        await ask(server, WEB)
        server._answerer.zone.put("web", [Record(WEB, wire.A, bytes([10, 96, 0, 6]))])
        server.forget()
        assert addresses(await ask(server, WEB)) == ["10.96.0.6"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_name_elsewhere_is_asked_once_and_kept_with_its_age(tcp: bool) -> None:
    clock = FakeClock()
    async with resolving() as resolver, serving(resolver.address, clock=clock) as server:
        assert addresses(await ask(server, "host.example", tcp=tcp)) == ["192.0.2.1"]
        await clock.advance(20)
        again = await ask(server, "HOST.example", tcp=tcp, use_edns=0)
        assert addresses(again) == ["192.0.2.1"]
        assert again.answer[0].ttl == 40
        assert again.edns == 0
        assert resolver.asked == 1
        await clock.advance(20)
        await ask(server, "host.example", tcp=tcp)
        assert resolver.asked == 2


async def test_questions_for_one_name_at_once_go_out_once() -> None:
    async with resolving() as resolver, serving(resolver.address) as server:
        await asyncio.gather(*(ask(server, "host.example") for _ in range(20)))
        assert resolver.asked == 1


async def test_large_answer_from_elsewhere_comes_by_tcp() -> None:
    async with resolving() as resolver, serving(resolver.address) as server:
        assert (await ask(server, "big.example")).flags & dns.flags.TC
        assert len(addresses(await ask(server, "big.example", tcp=True))) == 200


async def test_absence_elsewhere_is_passed_on() -> None:
    async with resolving() as resolver, serving(resolver.address) as server:
        assert (await ask(server, "no.example")).rcode() == dns.rcode.NXDOMAIN


async def test_next_resolver_is_asked_when_one_fails() -> None:
    async with resolving(failing) as ill, resolving() as well, serving(ill.address, well.address) as server:
        assert addresses(await ask(server, "host.example")) == ["192.0.2.1"]
        assert (ill.asked, well.asked) == (1, 1)


def failing(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.SERVFAIL)
    return reply


async def test_silent_resolver_costs_a_limited_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "ATTEMPT", 0.05)
    async with resolving(lambda query: None) as silent, serving(silent.address) as server:
        assert (await ask(server, "host.example")).rcode() == dns.rcode.SERVFAIL
        assert silent.asked == upstream_module.ROUNDS
        assert (await ask(server, "host.example", wait=0.05)).rcode() == dns.rcode.SERVFAIL


async def test_after_silence_nobody_waits_long_and_an_answer_that_comes_late_is_kept(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "ATTEMPT", 0.3)
    monkeypatch.setattr(upstream_module, "PATIENCE_WITH_SILENCE", 0.01)
    async with resolving(lambda query: None) as resolver, serving(resolver.address) as server:
        await ask(server, "first.example")
        before = asyncio.get_running_loop().time()
        late = asyncio.get_running_loop().create_future()
        resolver.datagram_received = lambda data, addr: late.set_result((data, addr))  # type: ignore[method-assign]
        assert (await ask(server, "second.example")).rcode() == dns.rcode.SERVFAIL
        assert asyncio.get_running_loop().time() - before < 0.2
        del resolver.datagram_received  # type: ignore[method-assign]
        resolver.answer = knows
        resolver.datagram_received(*await late)
        async with asyncio.timeout(5):
            while (answer := await ask(server, "second.example")).rcode() == dns.rcode.SERVFAIL:
                pass
        assert addresses(answer) == ["192.0.2.1"]


async def test_without_resolvers_failure_is_told_at_once() -> None:
    async with serving() as server:
        assert (await ask(server, "host.example", wait=0.5)).rcode() == dns.rcode.SERVFAIL


async def test_reply_with_another_identity_or_question_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "ATTEMPT", 0.05)

    def forged(query: dns.message.Message) -> dns.message.Message:
        query.id ^= 1
        return knows(query)

    for answer in (forged, lambda query: knows(dns.message.make_query("other.example", "A", id=query.id))):
        async with resolving(answer) as resolver, serving(resolver.address) as server:
            assert (await ask(server, "host.example")).rcode() == dns.rcode.SERVFAIL


async def test_alias_to_elsewhere_brings_the_address_along() -> None:
    async with resolving() as resolver, serving(resolver.address) as server:
        answer = await ask(server, "away.default.svc.cluster.local")
        assert addresses(answer) == ["host.example.", "192.0.2.1"]


async def test_garbage_does_not_stop_the_server() -> None:
    async with serving() as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for garbage in (b"", b"\0", b"\xff" * 500, bytes(12), bytes(3000)):
                client.sendto(garbage, ("127.0.0.1", server.port))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\0\0\0\5hello")
        assert await reader.read() == b""
        writer.close()
        assert addresses(await ask(server, WEB)) == ["10.96.0.5"]


def test_resolv_conf_names_resolvers_but_not_ourselves(tmp_path: Path) -> None:
    path, clock = tmp_path / "resolv.conf", FakeClock()
    path.write_text("# comment\nnameserver 192.0.2.1\nnameserver 10.96.0.10\nnameserver nonsense\nsearch example\n")
    servers = ResolvConf(path, clock, ours=["10.96.0.10"])
    assert list(servers()) == [("192.0.2.1", 53)]
    assert nameservers(tmp_path / "missing") == []


async def test_dns_listens_once_mirrors_are_filled_and_says_goodbye() -> None:
    services = HandMirror(service("web", "10.96.0.5"))
    services.synced.clear()
    published: list[discovery_v1.EndpointSlice] = []
    failures = [errors.ServiceUnavailable("not yet")]

    async def publish(wanted: discovery_v1.EndpointSlice) -> None:
        if failures:
            raise failures.pop()
        published.append(wanted)

    ready = asyncio.Event()
    port = free_port()
    task = asyncio.create_task(run_dns(
        node_name="a", address="127.0.0.1", domain="cluster.local", dns_address="10.96.0.10", cidrs=["10.96.0.0/16"],
        services=services, slices=HandMirror(slice_of("web", endpoint("10.244.0.1"))),
        namespaces=HandMirror(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="default"))),
        publish=publish, node=lambda: node("a"), port=port, on_ready=ready.set))
    await asyncio.sleep(0.05)
    with socket.socket() as early:
        assert early.connect_ex(("127.0.0.1", port))
    services.synced.set()
    await asyncio.wait_for(ready.wait(), 3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [each.endpoints[0].conditions.ready for each in published if each.endpoints[0].conditions] == [True, False]
    slice_ = published[0]
    assert slice_.metadata.name == "kube-dns-a"
    assert slice_.metadata.labels["kubernetes.io/service-name"] == "kube-dns"
    assert slice_.metadata.ownerReferences[0].uid == "uid-a"
    assert [(each.name, each.port, each.protocol) for each in slice_.ports] == [
        ("dns", port, "UDP"), ("dns-tcp", port, "TCP")]
    assert slice_.endpoints[0].nodeName == "a"


def test_slice_is_published_again_only_if_it_says_something_else() -> None:
    wanted = endpoint_slice("a", "10.89.0.2", 53, ready=True, node=node("a"))
    present = endpoint_slice("a", "10.89.0.2", 53, ready=True, node=node("a"))
    present.metadata.labels["added"] = "by somebody"
    assert says_the_same(present, wanted)
    assert not says_the_same(None, wanted)
    assert not says_the_same(endpoint_slice("a", "10.89.0.2", 53, ready=False, node=node("a")), wanted)
    assert not says_the_same(endpoint_slice("a", "10.89.0.2", 53, ready=True), wanted)
