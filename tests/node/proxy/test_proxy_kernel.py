"""Our table in a kernel in which others change things too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support.netlab import Namespace
from support.ports import free_port

from timonier.kit.nft import Nftables, NftablesError
from timonier.node.proxy.elements import Element
from timonier.node.proxy.health import Health, HealthServers
from timonier.node.proxy.ledger import Change, Ledger
from timonier.node.proxy.nftables import KernelTable
from timonier.node.proxy.rules import Endpoint, Frontend, Route
from timonier.node.proxy.run import remove_rules

WEB = Frontend("10.96.0.5", "TCP", 80)
ROUTE = Route((Endpoint("10.244.0.1", 80),), shortcut=(Endpoint("10.244.0.2", 80),), sticky=60,
              admitted=("10.0.0.0/8", "10.0.0.0/9", "192.0.2.0/24"), local=("10.244.0.1",))


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace("kernel")
    yield made
    made.delete()


@pytest.fixture
def kernel(space: Namespace) -> Iterator[KernelTable]:
    made = space.inside(lambda: KernelTable("timonier", Nftables()))
    yield made
    made.close()


@pytest.fixture
def ledger(kernel: KernelTable) -> Ledger:
    """A ledger whose elements the kernel has."""
    made = Ledger()
    made.update({"web": {WEB: ROUTE}})
    kernel.replace(made.elements(), ["10.89.0.2"], ["10.96.0.0/16"])
    return made


@pytest.mark.machine
def test_undisturbed_after_changes_of_its_own(kernel: KernelTable, ledger: Ledger) -> None:
    assert not kernel.disturbed(ledger.elements())
    kernel.apply(ledger.update({"web": {WEB: Route(tuple(Endpoint(f"10.244.0.{n}", 80) for n in range(1, 5)))}}))
    assert not kernel.disturbed(ledger.elements())


@pytest.mark.machine
def test_tables_of_others_are_none_of_its_business(kernel: KernelTable, ledger: Ledger, space: Namespace) -> None:
    space.run("nft", "add", "table", "ip", "theirs")
    assert not kernel.disturbed(ledger.elements())


@pytest.mark.machine
@pytest.mark.parametrize("damage", [
    pytest.param("flush ruleset", id="everything-flushed"),
    pytest.param("delete table ip timonier", id="table-deleted"),
    pytest.param("flush chain ip timonier dispatch", id="rules-flushed"),
    pytest.param("flush map ip timonier endpoints", id="endpoints-flushed"),
    pytest.param("delete element ip timonier services { 10.96.0.5 . tcp . 80 }", id="element-deleted"),
])
def test_damage_is_noticed_even_when_a_change_of_ours_follows(
        kernel: KernelTable, ledger: Ledger, space: Namespace, damage: str) -> None:
    space.run("nft", *damage.split())
    try:
        kernel.apply(Change(add=[Element("refused", "10.96.0.9 . tcp . 1")]))
        kernel.apply(Change(delete=[Element("refused", "10.96.0.9 . tcp . 1")]))
    except NftablesError:
        assert damage.startswith(("flush ruleset", "delete table"))
    assert kernel.disturbed(ledger.elements())
    kernel.replace(ledger.elements(), ["10.89.0.2"], ["10.96.0.0/16"])
    assert not kernel.disturbed(ledger.elements())


@pytest.mark.machine
def test_refused_change_changes_nothing_and_says_why(kernel: KernelTable, ledger: Ledger) -> None:
    with pytest.raises(NftablesError, match=r"."):
        kernel.apply(Change(add=[Element("refused", "10.96.0.9 . tcp . 1"), Element("nowhere", "1.2.3.4")]))
    assert not kernel.disturbed(ledger.elements())


@pytest.mark.machine
def test_removed_rules_leave_nothing(space: Namespace, ledger: Ledger) -> None:
    space.inside(remove_rules)
    space.inside(remove_rules)
    assert space.run("nft", "list", "ruleset") == ""


async def test_health_is_answered_on_ports_that_come_and_go() -> None:
    servers = HealthServers("127.0.0.1")
    port = free_port()
    await servers.show({port: Health("default", "web", 2)})
    try:
        assert b" 200 OK\r\n" in (answer := await fetch(port))
        assert b'"localEndpoints": 2' in answer
        await servers.show({port: Health("default", "web", 0)})
        assert b" 503 Service Unavailable\r\n" in await fetch(port)
    finally:
        await servers.close()
    with pytest.raises(ConnectionRefusedError):
        await fetch(port)


async def fetch(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer
