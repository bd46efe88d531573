"""Which kinds the garbage collector mirrors, and when it may believe that it sees all dependents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from timonier.api.kinds import BY_ID, Kind
from timonier.controllers.garbage.controller import GarbageController
from timonier.kit.clock import FakeClock

PODS, SECRETS = BY_ID["v1/Pod"], BY_ID["v1/Secret"]


class Mirror:
    """What the collector asks of an informer."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()

    def on_change(self, handler: Callable[[Any, Any], None]) -> None:
        """Nothing ever changes here."""

    def list(self) -> list[Any]:
        return []


class Mirrors:
    def __init__(self) -> None:
        self.made: list[tuple[Kind, Mirror]] = []

    def complete(self, kind: Kind) -> None:
        """No mirror is there already."""

    def informer(self, cls: type, *, kind: Kind) -> Mirror:
        self.made.append((kind, Mirror()))
        return self.made[-1][1]

    def drop(self, informer: Mirror) -> None:
        """Nothing keeps it."""


async def test_dependents_are_not_all_seen_before_every_kind_has_a_filled_mirror():
    mirrors, clock = Mirrors(), FakeClock()
    garbage = GarbageController(mirrors, None, clock)  # type: ignore[arg-type]
    filling = asyncio.create_task(garbage.mirror([PODS, SECRETS]))
    seen = []
    for number in range(2):
        await clock.settle()
        assert len(mirrors.made) == number + 1  # one after the other
        seen.append(garbage.complete)
        mirrors.made[number][1].synced.set()
        seen.append(garbage.complete)
    await filling
    assert {kind for kind, _ in mirrors.made} == {PODS, SECRETS}
    assert (seen, garbage.complete) == ([False, False, False, False], True)


async def test_dependents_of_a_kind_that_came_later_are_waited_for():
    mirrors, clock = Mirrors(), FakeClock()
    garbage = GarbageController(mirrors, None, clock)  # type: ignore[arg-type]
    for kinds in ([PODS], [PODS, SECRETS]):
        filling = asyncio.create_task(garbage.mirror(kinds))
        await clock.settle()
        assert not garbage.complete
        mirrors.made[-1][1].synced.set()
        await filling
        assert garbage.complete
