"""Rolling updates by their numbers: bounds that always hold, and an end that is always reached."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from support.simulated_cluster import deployment

from timonier.controllers.deployment.sizes import Bounds, Sized, first_size, proportional, rolling, scaled, shrunk
from timonier.controllers.shared.shares import share


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    desired = draw(st.integers(1, 12))
    surge, unavailable = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    return Bounds(desired, surge, min(unavailable or (0 if surge else 1), desired))


@given(bounds(), st.lists(st.integers(0, 6), min_size=1, max_size=3), st.data())
def test_a_rollout_never_leaves_its_bounds_and_always_ends(bounds, olds, data):
    """Pods become available, and end, at random moments between the steps."""
    total = sum(olds)
    old = [Sized(f"old{n}", size, size) for n, size in enumerate(olds)]
    new = Sized("new", min(bounds.desired, max(0, bounds.maximum - total)), 0)
    assert new.replicas == first_size(bounds, old, recreate=False)
    available_before = sum(each.available for each in (*old, new))
    for step in range(400):
        sizes = rolling(bounds, new, old)
        asked = sum(sizes.get(each.name, each.replicas) for each in (*old, new))
        assert asked <= max(bounds.maximum, total)
        total = asked
        new, *old = (resized(each, sizes.get(each.name, each.replicas)) for each in (new, *old))
        available = sum(each.available for each in (*old, new))
        assert available >= min(bounds.minimum, available_before)
        if new.available == new.replicas == bounds.desired and not any(each.replicas for each in old):
            return
        ready = data.draw(st.integers(0, new.replicas - new.available)) if step < 200 else new.replicas - new.available
        new = dataclasses.replace(new, available=new.available + ready)
        available_before = sum(each.available for each in (*old, new))
    raise AssertionError("the rollout does not end")


def resized(each: Sized, size: int) -> Sized:
    return dataclasses.replace(each, replicas=size, available=min(each.available, size))


@given(bounds(), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=3), st.integers(0, 6))
def test_shrinking_takes_what_is_broken_and_nothing_that_is_needed(bounds, olds, available):
    old = [Sized(f"old{n}", size, min(size, ready)) for n, (size, ready) in enumerate(olds)]
    new = Sized("new", available, available)
    sizes = shrunk(bounds, new, old)
    after = [resized(each, sizes.get(each.name, each.replicas)) for each in old]
    before_ready = new.available + sum(each.available for each in old)
    ready = new.available + sum(each.available for each in after)
    assert ready >= min(bounds.minimum, before_ready)
    assert all(0 <= sizes.get(each.name, 0) <= each.replicas for each in old)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=4), st.integers(0, 40), st.integers(0, 5))
def test_scaling_in_proportion_hands_out_everything(sizes, desired, surge):
    base = sum(sizes)
    sets = [Sized(f"s{n}", size, size, base=base) for n, size in enumerate(sizes)]
    bounds = Bounds(desired, surge, 0)
    result = proportional(bounds, sets, base)
    after = {each.name: result.get(each.name, each.replicas) for each in sets}
    assert all(size >= 0 for size in after.values())
    assert sum(after.values()) == (bounds.maximum if desired else 0)


def test_the_example_of_the_documentation():
    """Kubernetes docs, "Proportional scaling": 10 to 15 with 8 old and 5 new pods."""
    bounds = Bounds(15, 3, 2)
    old, new = Sized("old", 8, 8, base=13), Sized("new", 5, 0, base=13)
    assert scaled(bounds, new, [old], True, 13) == {"old": 11, "new": 7}


def test_percentages_round_in_favour_of_going_on_and_of_being_available():
    assert (share("25%", 3, round_up=True), share("25%", 3, round_up=False)) == (1, 0)
    assert (share("100%", 3, round_up=False), share(2, 3, round_up=False), share(None, 3, round_up=True)) == (3, 2, 0)


def test_bounds_that_round_to_nothing_still_let_one_go():
    assert Bounds.of(deployment("web", replicas=1, maxSurge="0%", maxUnavailable="10%")) == Bounds(1, 0, 1)
    assert Bounds.of(deployment("web", replicas=0, maxSurge=1, maxUnavailable=1)) == Bounds(0, 1, 0)
    assert Bounds.of(deployment("web", replicas=3, strategy="Recreate")) == Bounds(3, 0, 0)
