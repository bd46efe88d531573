"""An audience: what a change means to all of it is found out once, and leaves for all together."""

from __future__ import annotations

import pytest
from support.api_server import Cluster, FakeTaken, config

from timonier.apiserver.watching import audience

CONFIGS = "/api/v1/namespaces/default/configmaps"


def names(taken: FakeTaken) -> list[str]:
    return [event["object"]["metadata"].get("name", event["type"]) for event in taken.events()]


async def test_those_who_watch_the_same_are_one_audience(cluster: Cluster) -> None:
    for query in ("", "", "&labelSelector=a%3Db", "&labelSelector=a%3Db"):
        await cluster.watch(f"{CONFIGS}?watch=1{query}")
    await cluster.watch(CONFIGS + "?watch=1", accept="application/vnd.kubernetes.protobuf")
    await cluster.watch("/api/v1/configmaps?watch=1")
    found = cluster.server.audiences._audiences
    assert sorted(len(each.members) for each in found.values()) == [1, 1, 2, 2]


async def test_an_audience_that_everybody_left_is_forgotten(cluster: Cluster) -> None:
    watches = [await cluster.watch(f"{CONFIGS}?watch=1") for _ in range(2)]
    for watch in watches:
        watch.close()
    await cluster.settle()
    assert not cluster.server.audiences._audiences
    assert not cluster.feed.cache_at("/configmaps/").subscribers()


async def test_a_change_that_cannot_be_shown_ends_these_watches_alone(cluster: Cluster,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    table = await cluster.watch(f"{CONFIGS}?watch=1", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    plain = await cluster.watch(f"{CONFIGS}?watch=1")
    monkeypatch.setattr("timonier.apiserver.watching.frames.Shown.shown", lambda self, obj: 1 / 0)
    await cluster.post(CONFIGS, config("a"))
    await cluster.settle()
    event, = table.events()
    assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
    assert not table.open
    assert names(plain) == ["a"]


async def test_a_round_that_took_long_is_followed_by_a_rest(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(audience, "perf_counter", lambda: now[0])
    monkeypatch.setattr(audience, "LONGEST_REST", 1000.0)
    watches = [await cluster.watch(f"{CONFIGS}?watch=1") for _ in range(2)]
    slow = FakeTaken.write

    def write(self: FakeTaken, data: bytes) -> None:
        now[0] += 100.0
        slow(self, data)

    monkeypatch.setattr(FakeTaken, "write", write)
    for name in "abc":
        await cluster.post(CONFIGS, config(name))
    await cluster.settle(rest=True)
    assert [names(watch) for watch in watches] == [["a"], ["a"]]
    late = await cluster.watch(f"{CONFIGS}?watch=1")
    assert names(late) == ["a", "b", "c"]
    assert [names(watch) for watch in watches] == [["a", "b", "c"], ["a", "b", "c"]], "who joins lets all catch up"
    now[0] += 1000.0
    await cluster.post(CONFIGS, config("d"))
    await cluster.settle()
    assert {tuple(names(watch)) for watch in (*watches, late)} == {("a", "b", "c", "d")}
