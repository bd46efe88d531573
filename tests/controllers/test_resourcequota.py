"""The quota controller: counts anew, raises at once, lowers when nobody is writing."""

from __future__ import annotations

from typing import Any

from timonier.api.types import core_v1, resource_v1
from timonier.controllers.resourcequota.controller import (
    PAUSE,
    QUIET,
    RESYNC,
    UNSERVED,
    ResourceQuotaController,
    usage,
)
from timonier.controllers.resourcequota.mirrors import NotYet
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = 1_700_000_000.0


class Numbers:
    """Objects of kinds that are only counted."""

    def __init__(self, **counts: int) -> None:
        self.counts, self.ready = counts, True

    async def count(self, places: Any, namespace: str) -> Any:
        if not self.ready:
            raise NotYet
        return {place: self.counts[place[1]] for place in places if place[1] in self.counts}


def meta(name: str, version: str = "1") -> Any:
    return {"name": name, "namespace": "ns", "resourceVersion": version}


def make(cls: Any, **fields: Any) -> Any:
    import msgspec

    return msgspec.convert(fields, cls)


def quota(hard: dict[str, str], used: dict[str, str] | None = None, version: str = "1") -> core_v1.ResourceQuota:
    status = {} if used is None else {"hard": hard, "used": used}
    return make(core_v1.ResourceQuota, metadata=meta("q", version), spec={"hard": hard}, status=status)


def pod(name: str, phase: str = "Running") -> core_v1.Pod:
    return make(core_v1.Pod, metadata=meta(name), status={"phase": phase}, spec={"containers": [
        {"name": "c", "resources": {"requests": {"cpu": "500m"}}}]})


def snapshot(limited: core_v1.ResourceQuota, *pods: core_v1.Pod) -> Snapshot:
    return Snapshot({core_v1.ResourceQuota: Memory([limited]), core_v1.Pod: Memory(pods),
                     core_v1.Service: Memory(), core_v1.PersistentVolumeClaim: Memory(),
                     resource_v1.ResourceClaim: Memory()})


async def planned(controller: ResourceQuotaController, world: Snapshot, now: float = NOW) -> Any:
    plan = controller.plan("ns/q", world, now)
    return plan if not hasattr(plan, "__await__") else await plan


async def test_a_new_quota_is_told_what_is_used_already():
    controller = ResourceQuotaController(Numbers(configmaps=3))  # type: ignore[arg-type]
    hard = {"pods": "5", "requests.cpu": "2", "configmaps": "9", "count/unknown.example.com": "1"}
    plan = await planned(controller, snapshot(quota(hard), pod("a"), pod("b"), pod("c", "Succeeded")))
    assert plan.status.status.hard == hard
    assert plan.status.status.used == {"pods": "2", "requests.cpu": "1", "configmaps": "3"}


async def test_more_than_a_quota_says_is_written_at_once():
    controller = ResourceQuotaController(Numbers())  # type: ignore[arg-type]
    plan = await planned(controller, snapshot(quota({"pods": "5"}, {"pods": "0"}), pod("a")))
    assert plan.status.status.used == {"pods": "1"}


async def test_less_is_written_once_nobody_has_charged_the_quota_for_a_while():
    controller = ResourceQuotaController(Numbers())  # type: ignore[arg-type]
    world = snapshot(quota({"pods": "5"}, {"pods": "2"}), pod("a"))
    plan = await planned(controller, world)
    assert (plan.status, plan.again) == (None, QUIET)
    charged = snapshot(quota({"pods": "5"}, {"pods": "2"}, version="2"), pod("a"))
    plan = await planned(controller, charged, NOW + QUIET)
    assert (plan.status, plan.again) == (None, QUIET)
    plan = await planned(controller, charged, NOW + 2 * QUIET)
    assert plan.status.status.used == {"pods": "1"}


async def test_a_quota_that_is_right_is_left_alone_and_counted_again_later():
    controller = ResourceQuotaController(Numbers())  # type: ignore[arg-type]
    world = snapshot(quota({"pods": "5"}, {"pods": "1"}), pod("a"))
    plan = await planned(controller, world)
    assert (plan.status, plan.again) == (None, RESYNC)
    assert (await planned(controller, world, NOW + 0.25)).again == PAUSE - 0.25


async def test_nothing_is_said_before_every_kind_can_be_counted():
    numbers = Numbers(configmaps=1)
    numbers.ready = False
    plan = await planned(ResourceQuotaController(numbers), snapshot(quota({"configmaps": "5"})))  # type: ignore[arg-type]
    assert (plan.status, plan.again) == (None, PAUSE)


async def test_a_quota_of_a_kind_that_nobody_serves_yet_is_looked_at_again_soon():
    controller = ResourceQuotaController(Numbers())  # type: ignore[arg-type]
    hard = {"count/widgets.example.com": "1"}
    plan = await planned(controller, snapshot(quota(hard, {})))
    assert (plan.status, plan.again) == (None, UNSERVED)


def test_scopes_hold_for_what_is_counted_anew():
    limited = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "configmaps": "1"}, "scopes": ["BestEffort"]}}
    found = {("", "pods"): [{"metadata": {}, "spec": {"containers": []}},
                            {"metadata": {}, "spec": {"containers": [
                                {"name": "c", "resources": {"requests": {"cpu": "1"}}}]}}]}
    assert usage(limited, found, {("", "configmaps"): 7}, NOW) == {"pods": "1", "configmaps": "0"}
