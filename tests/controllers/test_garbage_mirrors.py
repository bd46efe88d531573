"""Which kinds the garbage collector mirrors, and when it may believe that it sees all dependents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from timonier.api.kinds import BY_ID, Kind
from timonier.api.types import meta_v1
from timonier.client.wire import Partial
from timonier.controllers.garbage.controller import GarbageController
from timonier.kit.clock import FakeClock

PODS, SECRETS = BY_ID["v1/Pod"], BY_ID["v1/Secret"]
DEFINITIONS = BY_ID["apiextensions.k8s.io/v1/CustomResourceDefinition"]


class Mirror:
    """What the collector asks of an informer."""

    def __init__(self, *held: Any) -> None:
        self.synced, self.held = asyncio.Event(), held
        self.changed: Callable[[Any, Any], None] = lambda old, new: None

    def on_change(self, handler: Callable[[Any, Any], None]) -> None:
        self.changed = handler
        for obj in self.held:
            handler(None, obj)

    def list(self) -> list[Any]:
        return [*self.held]


class Mirrors:
    def __init__(self, *held: Any) -> None:
        self.held = held  # by every mirror
        self.made: list[tuple[Kind, Mirror]] = []

    def complete(self, kind: Kind) -> None:
        """No mirror is there already."""

    def informer(self, cls: type, *, kind: Kind) -> Mirror:
        self.made.append((kind, Mirror(*self.held)))
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


class Discovery:
    def __init__(self, *kinds: Kind) -> None:
        self.served, self.asked = [*kinds], 0

    async def kinds(self, fresh: float) -> list[Kind]:
        self.asked += 1
        return [*self.served]


async def test_what_is_defined_is_mirrored_soon():
    mirrors, clock, discovery = Mirrors(), FakeClock(), Discovery(DEFINITIONS)
    garbage = GarbageController(mirrors, discovery, clock)  # type: ignore[arg-type]
    following = asyncio.create_task(garbage.follow())
    await clock.settle()
    mirrors.made[0][1].synced.set()
    await clock.advance(1)
    assert discovery.asked == 1
    discovery.served.append(SECRETS)
    mirrors.made[0][1].changed(None, Partial(metadata=meta_v1.ObjectMeta(name="secrets", uid="d")))
    await clock.advance(0.6)
    assert [kind for kind, _ in mirrors.made] == [DEFINITIONS, SECRETS]
    following.cancel()


async def test_objects_that_are_seen_in_another_version_are_not_gone():
    mirrors, clock = Mirrors(Partial(metadata=meta_v1.ObjectMeta(name="x", uid="u"))), FakeClock()
    garbage = GarbageController(mirrors, None, clock)  # type: ignore[arg-type]
    older, newer = (Kind("example.com", version, "Foo", "foos") for version in ("v1beta1", "v1"))
    for kinds, seen in (([older], older), ([newer], newer), ([], None)):
        filling = asyncio.create_task(garbage.mirror(kinds))
        await clock.settle()
        mirrors.made[-1][1].synced.set()
        await filling
        assert (found.kind if (found := garbage.graph.items.get("u")) else None) == seen
