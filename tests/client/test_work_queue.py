"""The work queue's promises."""

import asyncio
import contextlib

import pytest

from timonier.client.queue import LONGEST_BACK_OFF, WorkQueue
from timonier.kit.clock import FakeClock


@contextlib.asynccontextmanager
async def running(clock: FakeClock):
    queue = WorkQueue(clock)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_key_waits_once_however_often_it_is_added():
    queue = WorkQueue(FakeClock())
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get(), len(queue)] == ["a", "b", 0]


async def test_a_key_is_worked_on_by_one_at_a_time():
    queue = WorkQueue(FakeClock())
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.01)
    queue.done("a")
    assert await queue.get() == "a"


async def test_a_key_for_later_comes_when_it_is_due():
    clock = FakeClock()
    async with running(clock) as queue:
        queue.add_after("a", 10)
        await clock.advance(9.9)
        assert len(queue) == 0
        await clock.advance(0.2)
        assert await queue.get() == "a"


async def test_the_earliest_of_several_moments_counts_and_only_once():
    clock = FakeClock()
    async with running(clock) as queue:
        queue.add_after("a", 100)
        await clock.settle()
        queue.add_after("a", 5)
        queue.add_after("a", 50)
        await clock.advance(6)
        assert await queue.get() == "a"
        queue.done("a")
        await clock.advance(200)
        assert len(queue) == 0


async def test_a_key_for_later_can_be_added_again_while_it_is_worked_on():
    clock = FakeClock()
    async with running(clock) as queue:
        queue.add("a")
        await queue.get()
        queue.add_after("a", 1)
        await clock.advance(2)
        queue.done("a")
        assert await queue.get() == "a"


async def test_failures_back_off_ever_longer_until_forgotten():
    queue = WorkQueue(FakeClock())
    pauses = [queue.back_off("a") for _ in range(30)]
    assert pauses[:4] == [0.005, 0.01, 0.02, 0.04]
    assert pauses[-1] == LONGEST_BACK_OFF
    queue.forget("a")
    assert queue.back_off("a") == 0.005
