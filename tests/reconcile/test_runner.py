"""The runner: plans are carried out once, failures are retried, own writes are awaited."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from timonier.api import errors
from timonier.api.types import core_v1, meta_v1
from timonier.client.informer import key_of
from timonier.kit.clock import FakeClock
from timonier.kit.http import Disconnected
from timonier.reconcile.execute import StillThere, execute
from timonier.reconcile.metrics import render
from timonier.reconcile.plan import Delete, Note, Outcome, Plan, Reference
from timonier.reconcile.runner import Done, Later, Retry, Running
from timonier.reconcile.snapshot import Memory, Watch, itself


def config_map(name: str, **data: str) -> core_v1.ConfigMap:
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), data=data)


class FakeClient:
    """A server of ConfigMaps that keeps what it was asked; `broken` is raised by the next writes."""

    def __init__(self) -> None:
        self.objects: dict[str, core_v1.ConfigMap] = {}
        self.log: list[str] = []
        self.broken: list[Exception] = []
        self.revision = 10

    def _note(self, verb: str, name: str) -> None:
        self.log.append(f"{verb} {name}")
        if self.broken:
            raise self.broken.pop(0)
        self.revision += 1

    async def create(self, obj: Any) -> Any:
        if obj.kind == "Event":
            return obj
        self._note("create", obj.metadata.name)
        if key_of(obj) in self.objects:
            raise errors.AlreadyExists(obj.metadata.name)
        obj.metadata.uid, obj.metadata.resourceVersion = f"uid-{self.revision}", str(self.revision)
        self.objects[key_of(obj)] = obj
        return obj

    async def apply(self, obj: Any, *, manager: str, force: bool) -> Any:
        self._note(f"apply as {manager}{' by force' if force else ''}", obj.metadata.name)
        return obj

    async def update(self, obj: Any, *, subresource: str = "") -> Any:
        self._note(f"update{subresource and '/'}{subresource}", obj.metadata.name)
        return obj

    async def delete(self, cls: Any, name: str, namespace: str = "", **options: Any) -> None:
        self._note("delete", name)
        if self.objects.pop(f"{namespace}/{name}", None) is None:
            raise errors.NotFound(name)

    async def get(self, cls: Any, name: str, namespace: str = "", **_: Any) -> Any:
        found = self.objects.get(f"{namespace}/{name}")
        if found is None:
            raise errors.NotFound(name)
        return found


class LaggingMirror(Memory[core_v1.ConfigMap]):
    """Shows what the server has only when told to catch up."""

    def __init__(self, server: FakeClient) -> None:
        super().__init__()
        self.server, self.resourceVersion = server, "1"
        self.synced = asyncio.Event()
        self.synced.set()
        self.handlers: list[Any] = []

    def add_index(self, name: str, values: Any) -> None:
        pass

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)

    def catch_up(self) -> None:
        before, self.objects = self.objects, dict(self.server.objects)
        self.resourceVersion = str(self.server.revision)
        for key in before | self.objects:
            for handler in self.handlers:
                handler(before.get(key), self.objects.get(key))


class TwoMaps:
    """Wants maps `a` and `b`; `then` says what follows."""

    name = "two-maps"

    def __init__(self) -> None:
        self.then: Any = None
        self.plans = 0

    @property
    def watches(self) -> list[Watch[Any]]:
        return [Watch(core_v1.ConfigMap, lambda obj, _: ("all",))]

    def plan(self, key: str, snapshot: Any, now: float) -> Plan:
        self.plans += 1
        return Plan(create=[config_map(name) for name in ("a", "b")
                            if snapshot.get(core_v1.ConfigMap, f"default/{name}") is None], then=self.then)


@pytest.fixture
def server() -> FakeClient:
    return FakeClient()


def running(server: FakeClient, controller: Any, clock: FakeClock | None = None) -> tuple[Running, LaggingMirror]:
    mirror = LaggingMirror(server)

    class Informers:
        def informer(self, *_: Any, **__: Any) -> LaggingMirror:
            return mirror
    made = Running(controller, server, Informers(), clock or FakeClock())  # type: ignore[arg-type]
    made.subscribe()
    return made, mirror


async def test_a_stale_mirror_never_creates_twice(server):
    made, mirror = running(server, TwoMaps())
    assert await made.attempt("all") == Done()
    for _ in range(5):
        assert isinstance(await made.attempt("all"), Later)
    mirror.catch_up()
    assert await made.attempt("all") == Done()
    assert server.log == ["create a", "create b"]


async def test_a_mirror_that_never_catches_up_is_believed_after_five_minutes(server):
    clock = FakeClock()
    controller = TwoMaps()
    made, _ = running(server, controller, clock)
    await made.attempt("all")
    await clock.advance(301)
    await made.attempt("all")
    assert controller.plans == 2


async def test_other_keys_do_not_wait(server):
    controller = TwoMaps()
    made, _ = running(server, controller)
    await made.attempt("all")
    await made.attempt("other")
    assert controller.plans == 2


async def test_deletions_are_awaited_too(server):
    gone = config_map("a")
    await server.create(gone)

    class Deleter(TwoMaps):
        def plan(self, key, snapshot, now):
            return Plan(delete=[Delete.of(each) for each in snapshot.list(core_v1.ConfigMap)])
    made, mirror = running(server, Deleter())
    mirror.catch_up()
    assert await made.attempt("all") == Done()
    assert isinstance(await made.attempt("all"), Later)
    mirror.catch_up()
    assert await made.attempt("all") == Done()
    assert server.log == ["create a", "delete a"]


async def test_a_failure_is_retried_and_told_to_what_follows(server):
    outcomes: list[Outcome] = []
    controller = TwoMaps()
    controller.then = lambda outcome: outcomes.append(outcome) or Plan()
    server.broken = [errors.Forbidden("quota")]
    made, _ = running(server, controller)
    result = await made.attempt("all")
    assert isinstance(result, Retry)
    assert server.log == ["create a"]
    assert [error.message for error in outcomes[0].errors] == ["quota"]


@pytest.mark.parametrize("error", [
    pytest.param(errors.NotFound("x"), id="what-it-is-about-is-gone"),
    pytest.param(errors.Forbidden("x", causes=[errors.Cause("NamespaceTerminating", "", "")]), id="namespace-is-going"),
])
async def test_nothing_is_retried_for_what_is_going(server, error):
    server.broken = [error]
    made, _ = running(server, TwoMaps())
    assert await made.attempt("all") == Done()


async def test_an_unanswered_write_is_not_repeated_at_once(server):
    clock = FakeClock()
    server.broken = [Disconnected("x")]
    made, _ = running(server, TwoMaps(), clock)
    result = await made.attempt("all")
    assert isinstance(result, Retry)
    made._retry("all", result.error)
    task = asyncio.create_task(made.queue.run())
    await clock.advance(1)
    assert len(made.queue) == 0
    await clock.advance(2)
    assert len(made.queue) == 1
    task.cancel()


async def test_a_plan_that_fails_to_be_made_is_retried(server):
    class Broken(TwoMaps):
        def plan(self, key, snapshot, now):
            raise KeyError("a bug")
    made, _ = running(server, Broken())
    assert isinstance(await made.attempt("all"), Retry)


async def test_a_change_is_planned_and_done(server):
    controller = TwoMaps()
    made, mirror = running(server, controller)
    task = asyncio.create_task(made.run(workers=2))
    await server.create(config_map("c"))
    mirror.catch_up()
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert server.log == ["create c", "create a", "create b"]
    assert made.counts.adds == 1
    assert 'workqueue_adds_total{name="two-maps"} 1' in render({"two-maps": made.counts})


async def test_a_plan_holds_only_while_what_is_absent_stays_absent(server):
    await server.create(config_map("owner"))
    from timonier.client.wire import kind_of
    reference = Reference(kind_of(core_v1.ConfigMap), "owner", "default", "")
    with pytest.raises(StillThere):
        await execute(server, Plan(absent=[reference], create=[config_map("x")]), "me")
    other = Reference(kind_of(core_v1.ConfigMap), "owner", "default", "another uid")
    outcome = await execute(server, Plan(absent=[other], create=[config_map("x")]), "me")
    assert len(outcome.created) == 1


async def test_creations_start_slowly(server):
    server.broken = [errors.Forbidden("quota")] * 100
    outcome = await execute(server, Plan(create=[config_map(f"m{n}") for n in range(50)]), "me")
    assert (len(server.log), len(outcome.failed)) == (1, 1)
    server.broken = []
    outcome = await execute(server, Plan(create=[config_map(f"m{n}") for n in range(50)]), "me")
    assert len(outcome.created) == 50


async def test_a_status_follows_only_where_all_before_succeeded(server):
    server.broken = [errors.Conflict("x")]
    a = config_map("a")
    await execute(server, Plan(update=[a], status=a, events=[Note(a, "R", "m")]), "me")
    assert server.log == ["update a"]


def test_an_object_is_about_itself():
    assert [*itself(config_map("a"), None)] == ["default/a"]


async def test_what_is_applied_is_owned_by_the_controller_and_goes_before_deletions(server):
    outcome = await execute(server, Plan(apply=[config_map("a")]), "me")
    assert server.log == ["apply as me by force a"]
    assert len(outcome.updated) == 1
