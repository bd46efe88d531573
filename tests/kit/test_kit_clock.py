"""The clock that stands still until it is told."""

from __future__ import annotations

import asyncio
import time

from timonier.kit.clock import FakeClock, SystemClock


async def test_sleepers_wake_in_the_order_of_their_deadlines():
    clock, woken = FakeClock(start=100.0), []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    tasks = [asyncio.ensure_future(sleeper(name, seconds)) for name, seconds in (("b", 2), ("a", 1), ("c", 2))]
    await clock.advance(1.5)
    assert woken == [("a", 101.0)]
    await clock.advance(1)
    assert woken == [("a", 101.0), ("b", 102.0), ("c", 102.0)]
    assert clock.now() == clock.monotonic() == 102.5
    await asyncio.gather(*tasks)


async def test_one_who_sleeps_again_is_woken_again_within_the_same_advance():
    clock, ticks = FakeClock(), []

    async def ticker() -> None:
        while True:
            await clock.sleep(10)
            ticks.append(clock.now())

    task = asyncio.ensure_future(ticker())
    start = clock.now()
    await clock.advance(35)
    assert ticks == [start + 10, start + 20, start + 30]
    task.cancel()


async def test_a_cancelled_sleeper_is_passed_over():
    clock, woken = FakeClock(), []

    async def sleeper() -> None:
        await clock.sleep(1)
        woken.append("cancelled one")

    task = asyncio.ensure_future(sleeper())
    await clock.settle()
    task.cancel()
    await clock.advance(2)
    assert woken == []
    assert task.cancelled()


async def test_sleeping_for_nothing_lets_others_run_and_returns():
    clock, ran = FakeClock(), []
    task = asyncio.ensure_future(asyncio.sleep(0, ran.append("other")))
    await clock.sleep(0)
    await clock.sleep(-5)
    assert ran == ["other"]
    await task


async def test_the_system_clock_is_that_of_the_machine():
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 1
    before = clock.monotonic()
    await clock.sleep(-1)
    assert clock.monotonic() >= before
