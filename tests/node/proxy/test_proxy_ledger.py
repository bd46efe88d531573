"""Changes of routes as changes of elements."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from timonier.node.proxy.elements import Element
from timonier.node.proxy.ledger import Ledger
from timonier.node.proxy.rules import Endpoint, Frontend, Route, Unanswered

FRONTENDS = [Frontend(f"10.96.0.{n}", "TCP", 80) for n in range(4)]
ENDPOINTS = [Endpoint(f"10.244.0.{n}", 8080) for n in range(4)]

route = st.builds(
    Route,
    endpoints=st.lists(st.sampled_from(ENDPOINTS), unique=True, max_size=3).map(lambda e: tuple(sorted(e))),
    unanswered=st.sampled_from(Unanswered),
    shortcut=st.lists(st.sampled_from(ENDPOINTS), unique=True, max_size=2).map(lambda e: tuple(sorted(e))),
    keeps_client=st.booleans(),
    sticky=st.sampled_from([0, 60, 10800]),
    admitted=st.sampled_from([None, (), ("10.0.0.0/8",), ("10.0.0.0/8", "10.1.0.0/16")]),
    local=st.lists(st.sampled_from([e.address for e in ENDPOINTS]), unique=True).map(lambda a: tuple(sorted(a))),
)
claims = st.dictionaries(st.sampled_from(FRONTENDS), route, max_size=3)
steps = st.lists(st.dictionaries(st.sampled_from("abc"), claims, min_size=1), max_size=8)


@settings(deadline=None)
@given(steps)
def test_kernel_that_follows_every_change_ends_with_exactly_the_ledgers_elements(
        history: list[dict[str, dict[Frontend, Route]]]) -> None:
    ledger, kernel = Ledger(), set[Element]()
    for step in history:
        change = ledger.update(step)
        assert set(change.delete) <= kernel, "nft refuses to delete what is not there"
        kernel -= set(change.delete)
        keys = {(e.where, e.key) for e in kernel}
        assert not keys & {(e.where, e.key) for e in change.add}, "nft refuses a second value for a key"
        kernel |= set(change.add)
        assert kernel == set(ledger.elements())


@settings(deadline=None)
@given(steps)
def test_every_claimed_frontend_is_served_by_one_of_its_claimants(
        history: list[dict[str, dict[Frontend, Route]]]) -> None:
    ledger, wanted = Ledger(), dict[str, dict[Frontend, Route]]()
    for step in history:
        ledger.update(step)
        wanted |= step
    claimed: dict[Frontend, list[Route]] = {}
    for mine in wanted.values():
        for frontend, each in mine.items():
            claimed.setdefault(frontend, []).append(each)
    assert ledger.routes.keys() == claimed.keys()
    assert all(ledger.routes[frontend] in among for frontend, among in claimed.items())


def test_first_claimant_keeps_a_frontend_until_it_lets_go() -> None:
    ledger, vip = Ledger(), FRONTENDS[0]
    first, second = Route((ENDPOINTS[0],)), Route((ENDPOINTS[1],))
    ledger.update({"a": {vip: first}})
    assert not ledger.update({"b": {vip: second}})
    ledger.update({"a": {}})
    assert ledger.routes == {vip: second}


def test_one_endpoint_more_changes_a_slot_and_the_verdict_and_nothing_else() -> None:
    ledger, vip = Ledger(), FRONTENDS[0]
    ledger.update({"a": {vip: Route((ENDPOINTS[0],))}})
    change = ledger.update({"a": {vip: Route((ENDPOINTS[0], ENDPOINTS[1]))}})
    assert [str(e.text) for e in change.delete] == ["10.96.0.0 . tcp . 80 : goto pick-1"]
    assert sorted(e.text for e in change.add) == [
        "10.96.0.0 . tcp . 80 . 1 : 10.244.0.1 . 8080", "10.96.0.0 . tcp . 80 : goto pick-2"]


def test_change_that_changes_nothing_is_empty() -> None:
    ledger, vip = Ledger(), FRONTENDS[0]
    ledger.update({"a": {vip: Route((ENDPOINTS[0],))}})
    assert not ledger.update({"a": {vip: Route((ENDPOINTS[0],))}})
