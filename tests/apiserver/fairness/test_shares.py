"""How seats are divided between levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.apiserver.fairness import defaults
from timonier.apiserver.fairness.demand import Demand
from timonier.apiserver.fairness.gate import figures
from timonier.apiserver.fairness.shares import Bounds, Wish, at_first, borrowed, bounds, divide

LIMITS = bounds(600, {obj["metadata"]["name"]: figures(obj["spec"]) for obj in defaults.LEVELS})
LIMITED = {name: each for name, each in LIMITS.items() if name != "exempt"}


def test_default_levels_have_the_seats_that_kubernetes_documents() -> None:
    assert {name: each.nominal for name, each in LIMITS.items()} == {
        "exempt": 0, "catch-all": 13, "system": 74, "node-high": 98, "leader-election": 25, "workload-high": 98,
        "workload-low": 245, "global-default": 49}
    assert LIMITS["workload-low"].low == 25
    assert LIMITS["leader-election"].low == 25
    assert at_first(LIMITS["global-default"]) == 37


@st.composite
def problems(draw: st.DrawFn) -> tuple[float, dict[str, Wish]]:
    wishes = {}
    for name in draw(st.sets(st.sampled_from("abcdef"), min_size=1)):
        low = draw(st.floats(0, 50))
        wishes[name] = Wish(low, low + draw(st.floats(0, 50)), low + draw(st.floats(0, 200)))
    least, most = sum(wish.low for wish in wishes.values()), sum(wish.high for wish in wishes.values())
    return least + draw(st.floats(0, 1)) * (most - least), wishes


@given(problems())
def test_what_is_divided_is_all_given_within_bounds_and_at_one_fraction(problem: tuple[float, dict[str, Wish]]) -> None:
    total, wishes = problem
    given_out = divide(total, wishes)
    assert sum(given_out.values()) == pytest.approx(total, abs=1e-3)
    assert all(wish.low - 1e-6 <= given_out[name] <= wish.high + 1e-6 for name, wish in wishes.items())
    free = [given_out[name] / max(wish.target, 0.001) for name, wish in wishes.items()
            if wish.low + 1e-3 < given_out[name] < wish.high - 1e-3]
    assert not free or max(free) == pytest.approx(min(free), rel=1e-3, abs=1e-3)


def test_a_busy_level_borrows_what_others_lend() -> None:
    quiet = dict.fromkeys(LIMITED, 0)
    seats = borrowed(602, LIMITED, quiet | {"global-default": 300}, {**quiet, "global-default": 300.0})
    assert seats["global-default"] > 250
    assert seats["leader-election"] >= 25
    assert all(seats[name] >= LIMITED[name].low for name in LIMITED)


def test_a_level_gets_back_what_it_lent_when_it_needs_it() -> None:
    limited = {"a": Bounds(50, 10, 100), "b": Bounds(50, 10, 100)}
    assert borrowed(100, limited, {"a": 100, "b": 60}, {"a": 100.0, "b": 30.0}) == {"a": 50, "b": 50}


def test_exempt_requests_that_need_much_leave_others_the_least() -> None:
    limited = {"a": Bounds(50, 10, 100), "b": Bounds(50, 20, 100)}
    assert borrowed(25, limited, {"a": 50, "b": 50}, {"a": 50.0, "b": 50.0}) == {"a": 10, "b": 20}


def test_demand_is_weighed_by_time() -> None:
    demand = Demand()
    demand.change(10, 0.0)
    demand.change(0, 5.0)
    demand.close(10.0)
    assert (demand.high, demand.mean, demand.deviation, demand.smoothed) == (10, 5.0, 5.0, 10.0)
    demand.close(20.0)
    assert (demand.high, demand.mean) == (0, 0.0)
    assert demand.smoothed == pytest.approx(9.77)
