"""Quotas at the API server: exact, however many write at a time, and never too low after a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.api_server import config, pod, running

from timonier.store.contract import StoreError
from timonier.store.memory import MemoryStore

NAMESPACE = "/api/v1/namespaces/default"
QUOTAS, CONFIGS, PODS = f"{NAMESPACE}/resourcequotas", f"{NAMESPACE}/configmaps", f"{NAMESPACE}/pods"


async def limit(cluster: Any, name: str = "q", **hard: str) -> None:
    """A quota whose controller has counted nothing yet."""
    made = await cluster.post(QUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard}})
    assert made.code == 201, made.message
    written = await cluster.put(f"{QUOTAS}/{name}/status", made.json | {
        "status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})
    assert written.code == 200, written.message


async def used(cluster: Any, name: str = "q") -> Any:
    return (await cluster.get(f"{QUOTAS}/{name}")).json["status"]["used"]


async def test_sixty_four_writers_get_exactly_what_there_is(tmp_path):
    async with running(tmp_path) as cluster:
        await limit(cluster, configmaps="40")
        replies = await asyncio.gather(*(cluster.post(CONFIGS, config(f"c{number}")) for number in range(64)))
        assert sorted(reply.code for reply in replies) == [201] * 40 + [403] * 24
        assert await used(cluster) == {"configmaps": "40"}
        refused = next(reply for reply in replies if reply.code == 403)
        assert refused.message.endswith("is forbidden: exceeded quota: q, requested: configmaps=1, "
                                        "used: configmaps=40, limited: configmaps=40")
        assert refused.json["reason"] == "Forbidden"


async def test_several_quotas_hold_at_once_and_writers_of_other_quotas_are_not_lost(tmp_path):
    async with running(tmp_path) as cluster:
        await limit(cluster, "a", configmaps="30")
        await limit(cluster, "b", configmaps="20", secrets="5")
        kinds = ["configmaps", "secrets"]
        replies = await asyncio.gather(*(cluster.post(f"{NAMESPACE}/{kinds[number % 2]}", {
            "metadata": {"name": f"x{number}"}}) for number in range(64)))
        assert sum(reply.code == 201 for reply in replies[::2]) == 20
        assert sum(reply.code == 201 for reply in replies[1::2]) == 5
        assert (await used(cluster, "a"), await used(cluster, "b")) == \
            ({"configmaps": "20"}, {"configmaps": "20", "secrets": "5"})


async def test_pods_are_charged_what_admission_made_of_them(tmp_path):
    async with running(tmp_path) as cluster:
        await cluster.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        await limit(cluster, **{"pods": "2", "limits.cpu": "1"})
        reply = await cluster.post(PODS, pod("web"))
        assert reply.message == 'pods "web" is forbidden: failed quota: q: must specify limits.cpu for: app'
        await cluster.post(f"{NAMESPACE}/limitranges", {"metadata": {"name": "l"}, "spec": {
            "limits": [{"type": "Container", "default": {"cpu": "600m"}}]}})
        assert (await cluster.post(PODS, pod("web"))).code == 201
        assert await used(cluster) == {"pods": "1", "limits.cpu": "600m"}
        reply = await cluster.post(PODS, pod("more"))
        assert reply.message == 'pods "more" is forbidden: exceeded quota: q, requested: limits.cpu=600m, ' \
                                "used: limits.cpu=600m, limited: limits.cpu=1"


async def test_a_dry_run_is_judged_and_not_charged(tmp_path):
    async with running(tmp_path) as cluster:
        await limit(cluster, configmaps="1")
        assert (await cluster.post(f"{CONFIGS}?dryRun=All", config("a"))).code == 201
        assert await used(cluster) == {"configmaps": "0"}
        await cluster.post(CONFIGS, config("a"))
        assert (await cluster.post(f"{CONFIGS}?dryRun=All", config("b"))).code == 403


async def test_changing_a_service_is_charged_what_it_adds(tmp_path):
    async with running(tmp_path) as cluster:
        await limit(cluster, **{"services": "1", "services.nodeports": "0"})
        service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
        assert (await cluster.post(f"{NAMESPACE}/services", service)).code == 201
        reply = await cluster.patch(f"{NAMESPACE}/services/web", {"spec": {"type": "NodePort"}})
        assert reply.message == 'services "web" is forbidden: exceeded quota: q, requested: services.nodeports=1, ' \
                                "used: services.nodeports=0, limited: services.nodeports=0"
        assert (await cluster.patch(f"{NAMESPACE}/services/web", {"metadata": {"labels": {"a": "b"}}})).code == 200


class Failing(MemoryStore):
    """A store in which no ConfigMap can be written any more."""

    broken = False

    async def write(self, key: str, value: bytes, **rest: Any) -> Any:
        if self.broken and key.startswith("/configmaps/"):
            raise StoreError("broken")
        return await super().write(key, value, **rest)


async def test_a_write_that_fails_once_it_is_charged_leaves_a_quota_that_says_too_much(tmp_path):
    store = Failing()
    async with running(tmp_path, store) as cluster:
        await limit(cluster, configmaps="5")
        store.broken = True
        assert (await cluster.post(CONFIGS, config("a"))).code == 503
        assert await used(cluster) == {"configmaps": "1"}


async def test_a_writer_who_goes_away_while_waiting_holds_nobody_up(tmp_path):
    async with running(tmp_path) as cluster:
        await limit(cluster, configmaps="40")
        writing = [asyncio.ensure_future(cluster.post(CONFIGS, config(f"c{number}"))) for number in range(32)]
        for _ in range(5):
            await asyncio.sleep(0)
        for task in writing[::3]:
            task.cancel()
        replies = await asyncio.gather(*writing, return_exceptions=True)
        stayed = [reply for reply in replies if not isinstance(reply, BaseException)]
        assert {reply.code for reply in stayed} == {201}
        there = len((await cluster.get(CONFIGS)).json["items"])
        assert len(stayed) <= there <= int((await used(cluster))["configmaps"]) <= 40


@pytest.mark.parametrize("verb", ["update", "delete"])
async def test_what_adds_nothing_passes_a_full_quota(tmp_path, verb):
    async with running(tmp_path) as cluster:
        await limit(cluster, configmaps="1")
        await cluster.post(CONFIGS, config("a"))
        reply = await (cluster.delete(f"{CONFIGS}/a") if verb == "delete"
                       else cluster.patch(f"{CONFIGS}/a", {"data": {"a": "b"}}))
        assert reply.code == 200
