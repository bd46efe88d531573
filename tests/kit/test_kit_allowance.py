"""The same time for many tasks, with one timer."""

import asyncio

import pytest

from timonier.kit.allowance import Allowance


async def test_who_takes_longer_than_allowed_is_ended_by_a_timeout() -> None:
    allowance = Allowance(0.01)
    with pytest.raises(TimeoutError), allowance.timeout():
        await asyncio.Event().wait()
    assert not allowance.running


async def test_each_has_its_time_from_when_it_began() -> None:
    allowance, ended = Allowance(0.05), []

    async def take(name: str) -> None:
        try:
            with allowance.timeout():
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(take("first"))
        with allowance.timeout():
            await asyncio.sleep(0.02)
        group.create_task(take("second"))
    assert ended == ["first", "second"]


async def test_who_is_done_in_time_or_fails_otherwise_leaves_nothing_behind() -> None:
    allowance = Allowance(60)
    with allowance.timeout():
        assert len(allowance.running) == 1
    with pytest.raises(ValueError, match="of its own"), allowance.timeout():
        raise ValueError("of its own")
    task = asyncio.ensure_future(forever(allowance))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not allowance.running


async def forever(allowance: Allowance) -> None:
    with allowance.timeout():
        await asyncio.Event().wait()
