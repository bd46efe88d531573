"""Who begins in a turn of the event loop."""

from __future__ import annotations

import asyncio

from timonier.apiserver.fairness.turns import Flow, Turns

GREEDY, POLITE = ("all", "greedy"), ("all", "polite")


async def requests(turns: Turns, begun: list[str], flow: Flow, count: int) -> None:
    """So many requests that all come now, each of which notes when it begins."""

    async def one(name: str) -> None:
        if (turn := turns.take(flow)) is not None:
            await turn
        begun.append(name)

    await asyncio.gather(*(one(f"{flow[1]} {number}") for number in range(count)))


async def test_a_few_requests_begin_at_once() -> None:
    turns = Turns(3)
    assert [turns.take(GREEDY) for _ in range(3)] == [None] * 3
    assert turns.take(GREEDY) is not None


async def test_later_turns_begin_anew() -> None:
    turns = Turns(1)
    for _ in range(3):
        assert turns.take(GREEDY) is None
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_every_flow_has_its_turn_however_many_requests_another_one_has() -> None:
    turns, begun = Turns(2), list[str]()
    many = asyncio.ensure_future(requests(turns, begun, GREEDY, 100))
    await asyncio.sleep(0)
    await requests(turns, begun, POLITE, 3)
    assert len(begun) < 16
    await many
    assert len(begun) == 103


async def test_requests_of_one_flow_begin_in_the_order_in_which_they_came() -> None:
    turns, begun = Turns(2), list[str]()
    await requests(turns, begun, GREEDY, 9)
    assert begun == [f"greedy {number}" for number in range(9)]


async def test_who_gives_up_waiting_takes_nobodys_turn() -> None:
    turns = Turns(1)
    assert turns.take(GREEDY) is None
    gone, next_one = turns.take(GREEDY), turns.take(POLITE)
    assert gone is not None
    assert next_one is not None
    gone.cancel()
    async with asyncio.timeout(1):
        await next_one


async def test_those_who_are_late_in_a_turn_of_several_rounds_begin_together() -> None:
    turns, begun = Turns(8, rounds=3), list[str]()
    assert turns.take(GREEDY) is None
    await asyncio.sleep(0)
    late = asyncio.gather(requests(turns, begun, GREEDY, 4), requests(turns, begun, POLITE, 2))
    await asyncio.sleep(0)
    seen = set[int]()
    while len(begun) < 6:
        seen.add(len(begun))
        await asyncio.sleep(0)
    assert seen == {0}
    await late


async def test_those_who_come_in_the_first_round_begin_at_once() -> None:
    turns = Turns(2, rounds=3)
    assert [turns.take(GREEDY), turns.take(POLITE)] == [None, None]
    assert turns.take(POLITE) is not None
