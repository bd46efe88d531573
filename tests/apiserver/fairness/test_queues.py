"""A level's seats and queues: pure, on a clock that is a number."""

from __future__ import annotations

import heapq
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from timonier.apiserver.fairness.queues import CONCURRENCY_LIMIT, QUEUE_FULL, Level, Shape, Ticket, deal, hashed


def level(limit: int, shape: Shape = Shape(queues=64, hand=6, length=50)) -> Level:  # noqa: B008
    made = Level("test", limit=limit)
    made.reshape(shape)
    return made


def arrive(at: Level, flow: str, now: float = 0.0, width: int = 1) -> tuple[Ticket, str]:
    ticket = Ticket(at, ("schema", flow), width, now)
    return ticket, at.arrive(ticket, now)


def test_requests_begin_at_once_while_there_are_seats() -> None:
    at = level(2)
    assert [arrive(at, "a")[0].started for _ in range(3)] == [0.0, 0.0, None]


def test_who_waits_begins_when_another_leaves() -> None:
    at = level(1)
    (first, _), (second, _) = arrive(at, "a"), arrive(at, "b")
    assert at.leave(first, 1.0) == [second]
    assert second.started == 1.0


def test_a_full_queue_turns_away() -> None:
    at = level(1, Shape(queues=1, hand=1, length=2))
    assert [arrive(at, "a")[1] for _ in range(4)] == ["", "", "", QUEUE_FULL]


def test_a_level_without_queues_turns_away_at_once() -> None:
    at = level(1, Shape())
    assert [arrive(at, "a")[1] for _ in range(2)] == ["", CONCURRENCY_LIMIT]


def test_exempt_requests_never_wait() -> None:
    at = level(0, Shape(exempt=True))
    assert all(arrive(at, "a")[0].started is not None for _ in range(100))


def test_who_gives_up_waiting_makes_room() -> None:
    at = level(1, Shape(queues=1, hand=1, length=1))
    arrive(at, "a")
    second, _ = arrive(at, "a")
    assert at.leave(second, 1.0) == []
    assert (at.waiting, at.waiting_seats) == (0, 0)
    assert arrive(at, "a", 1.0)[1] == ""


def test_a_wide_request_waits_for_all_its_seats_and_is_not_overtaken() -> None:
    at = level(2, Shape(queues=1, hand=1, length=9))
    (first, _), (second, _) = arrive(at, "a"), arrive(at, "a")
    (wide, _), (narrow, _) = arrive(at, "a", width=2), arrive(at, "a")
    assert at.leave(first, 1.0) == []
    assert at.leave(second, 2.0) == [wide]
    assert at.leave(wide, 3.0) == [narrow]


def test_a_request_wider_than_its_level_begins_alone() -> None:
    assert arrive(level(2), "a", width=5)[0].started == 0.0


def test_leaving_twice_gives_back_once() -> None:
    at = level(1)
    first, _ = arrive(at, "a")
    at.leave(first, 1.0)
    assert at.leave(first, 1.0) == []
    assert at.in_use == 0


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.integers(1, 10))
def test_a_hand_has_different_cards_of_the_deck(value: int, deck: int, size: int) -> None:
    cards = deal(value, deck, size)
    assert len(set(cards)) == len(cards) == min(deck, size)
    assert set(cards) <= set(range(deck))


def test_hands_are_dealt_evenly() -> None:
    cards = [card for flow in range(4000) for card in deal(hashed(str(flow)), 16, 4)]
    counts = [cards.count(card) for card in range(16)]
    assert min(counts) > 850
    assert max(counts) < 1150


Load = dict[str, tuple[int, float, int]]
"""By flow: how many clients that ask again as soon as they are answered, the seconds of a request, and its seats."""


def simulate(at: Level, load: Load, until: float) -> tuple[dict[str, float], dict[str, float]]:
    """Seat-seconds that each flow got, and the longest that one of its requests waited."""
    got, longest = dict.fromkeys(load, 0.0), dict.fromkeys(load, 0.0)
    order, ends = count(), list[tuple[float, int, str, Ticket]]()
    now = 0.0

    def begun(ticket: Ticket) -> None:
        flow = ticket.flow[1]
        longest[flow] = max(longest[flow], now - ticket.arrived)
        heapq.heappush(ends, (now + load[flow][1], next(order), flow, ticket))

    def ask(flow: str) -> None:
        ticket, why = arrive(at, flow, now, load[flow][2])
        if why:  # comes back soon
            heapq.heappush(ends, (now + 0.05, next(order), flow, ticket))
        elif ticket.started is not None:
            begun(ticket)

    for flow, (clients, _, _) in load.items():
        for _ in range(clients):
            ask(flow)
    while ends and ends[0][0] < until:
        now, _, flow, ticket = heapq.heappop(ends)
        if ticket.started is not None:
            got[flow] += ticket.width * (now - ticket.started)
            for next_one in at.leave(ticket, now):
                begun(next_one)
        assert at.in_use <= max(at.limit, ticket.width)
        ask(flow)
    return got, longest


@settings(max_examples=30)
@given(greedy=st.integers(20, 400), slow=st.floats(0.002, 0.2), limit=st.integers(2, 20), seed=st.integers(0, 1000))
def test_one_greedy_flow_does_not_starve_another(greedy: int, slow: float, limit: int, seed: int) -> None:
    """The greedy flow fills at most the six queues of its hand: who has another queue gets one part in seven."""
    at = level(limit)
    names = {"greedy": f"greedy-{seed}", "polite": f"polite-{seed}"}
    hands = {name: set(deal(hashed(f"schema\0{flow}"), 64, 6)) for name, flow in names.items()}
    if hands["polite"] <= hands["greedy"]:
        return
    load: Load = {names["greedy"]: (greedy, slow, 1), names["polite"]: (1, 0.01, 1)}
    _, longest = simulate(at, load, 4.0)
    # One turn of each of the greedy flow's queues, and the seat that has to come free.
    assert longest[names["polite"]] <= 7 * max(slow, 0.01) * 2


def test_flows_that_all_want_more_share_seats_evenly_whatever_their_requests_take() -> None:
    at = level(4, Shape(queues=128, hand=1, length=50))
    load: Load = {"a": (30, 0.01, 1), "b": (30, 0.05, 1), "c": (30, 0.01, 2)}
    assert len({deal(hashed(f"schema\0{flow}"), 128, 1)[0] for flow in load}) == len(load)
    got, _ = simulate(at, load, 20.0)
    assert max(got.values()) < 1.1 * min(got.values())


def test_no_seat_is_idle_while_somebody_waits() -> None:
    got, _ = simulate(level(3), {"a": (50, 0.01, 1), "b": (5, 0.02, 1)}, 10.0)
    assert sum(got.values()) > 0.99 * 3 * 10
