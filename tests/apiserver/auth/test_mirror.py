"""What is derived from a kind's objects keeps up with them, change by change, as if it were derived anew."""

import pytest
from support.api_server import running

from timonier.api.kinds import BY_ID
from timonier.apiserver.auth.graph import Pods
from timonier.apiserver.auth.mirror import Mirror
from timonier.apiserver.auth.references import Reference
from timonier.apiserver.registry import Caller

POD = BY_ID["v1/Pod"]
AT_ONCE = Caller(options={"gracePeriodSeconds": 0})


@pytest.fixture
async def registry(tmp_path):
    async with running(tmp_path) as cluster:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        yield cluster.registry


def pod(name, secret, node="n1"):
    return {"metadata": {"name": name}, "spec": {
        "nodeName": node, "automountServiceAccountToken": False, "containers": [{"name": "a", "image": "b"}],
        "volumes": [{"name": "v", "secret": {"secretName": secret}}]}}


def following(registry):
    part, taken = Pods(), []

    def put(obj):
        taken.append(obj["metadata"]["name"])
        part.put(obj)

    return part, taken, Mirror(registry, POD, put, part.remove)


def secrets(part):
    return {reference.name for (_, reference) in part.needs if reference.resource == "secrets"}


async def test_only_what_changed_is_looked_at(registry):
    for name in "abc":
        await registry.create(POD, pod(name, f"of-{name}"), "default")
    await registry.feed.current()
    part, taken, mirror = following(registry)
    mirror.refresh()
    assert (sorted(taken), secrets(part)) == (["a", "b", "c"], {"of-a", "of-b", "of-c"})
    taken.clear()
    await registry.create(POD, pod("d", "of-d"), "default")
    await registry.change(POD, "default", "a", lambda old: old | {"metadata": old["metadata"] | {"labels": {"x": "y"}}})
    await registry.delete(POD, "default", "b", AT_ONCE)
    await registry.feed.current()
    for _ in range(2):
        mirror.refresh()
        assert (sorted(taken), secrets(part)) == (["a", "d"], {"of-a", "of-c", "of-d"})
    assert part.needed("n1", Reference("secrets", "default", "of-d"))


async def test_where_history_is_lost_everything_is_looked_at_and_what_vanished_is_found(registry):
    await registry.create(POD, pod("a", "of-a"), "default")
    await registry.feed.current()
    part, _, mirror = following(registry)
    mirror.refresh()
    await registry.delete(POD, "default", "a", AT_ONCE)
    await registry.create(POD, pod("b", "of-b"), "default")
    await registry.feed.current()
    cache = registry.cache(POD)
    cache.load(list(cache.items.values()), registry.feed.revision)
    mirror.refresh()
    assert secrets(part) == {"of-b"}
