"""Watches: what a client sees, from where, and what happens to those that do not keep up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api_server import Cluster, FakeTaken, config, pod, running

from timonier.api.kinds import KINDS
from timonier.apiserver.maintenance import compact_forever

CONFIGS = "/api/v1/namespaces/default/configmaps"


def seen(taken: FakeTaken) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in taken.events()]


async def test_a_watch_sees_changes_as_they_happen(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1")
    await cluster.post(CONFIGS, config("a"))
    await cluster.patch(f"{CONFIGS}/a", {"data": {"x": "y"}})
    last = await cluster.delete(f"{CONFIGS}/a")
    await cluster.settle()
    assert last.code == 200
    assert seen(watch) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in watch.events()]
    assert versions == sorted(set(versions))
    assert versions[-1] == cluster.feed.revision


async def test_a_watch_from_a_revision_replays(cluster: Cluster) -> None:
    start = cluster.feed.revision
    await cluster.post(CONFIGS, config("a"))
    await cluster.post(CONFIGS, config("b"))
    await cluster.delete(f"{CONFIGS}/a")
    watch = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
    assert seen(watch) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    after = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={version(watch.events()[1])}")
    assert seen(after) == [("DELETED", "a")]


async def test_a_watch_without_a_revision_begins_with_what_there_is(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1")
    await cluster.post(CONFIGS, config("b"))
    await cluster.settle()
    assert seen(watch) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_client_is_told_that_the_connection_ends_with_the_watch(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1")
    head, _, _ = bytes(watch.data).partition(b"\r\n\r\n")
    assert b"connection: close" in head.split(b"\r\n"), "who reuses it would meet a closed door"


async def test_selectors_turn_changes_into_arrivals_and_departures(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1&labelSelector=app=web")
    await cluster.post(CONFIGS, config("a"))
    await cluster.patch(f"{CONFIGS}/a", {"metadata": {"labels": {"app": "web"}}})
    await cluster.patch(f"{CONFIGS}/a", {"data": {"x": "y"}})
    await cluster.patch(f"{CONFIGS}/a", {"metadata": {"labels": {"app": "db"}}})
    await cluster.delete(f"{CONFIGS}/a")
    await cluster.settle()
    events = watch.events()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    # What leaves is shown as it last matched, under the revision at which it left.
    assert events[2]["object"]["metadata"]["labels"] == {"app": "web"}
    assert int(events[2]["object"]["metadata"]["resourceVersion"]) > \
        int(events[1]["object"]["metadata"]["resourceVersion"])


async def test_a_kubelet_sees_the_pods_of_its_node_alone(cluster: Cluster) -> None:
    watch = await cluster.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName=n1")
    url = "/api/v1/namespaces/default/pods"
    await cluster.post(url, pod("mine", nodeName="n1"))
    await cluster.post(url, pod("theirs", nodeName="n2"))
    await cluster.post(url, pod("bound"))
    await cluster.post(f"{url}/bound/binding", {"metadata": {"name": "bound"}, "target": {"name": "n1"}})
    await cluster.settle()
    assert seen(watch) == [("ADDED", "mine"), ("ADDED", "bound")]


async def test_a_watch_of_one_object(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1&fieldSelector=metadata.name=b")
    for name in ("a", "b"):
        await cluster.post(CONFIGS, config(name))
    await cluster.settle()
    assert seen(watch) == [("ADDED", "b")]


async def test_history_is_bounded_in_bytes_over_all_kinds(tmp_path: Path) -> None:
    async with running(tmp_path, watch_history_bytes=6_000) as cluster:
        await cluster.post(CONFIGS, config("early"))
        start = cluster.feed.revision
        await cluster.post(CONFIGS, config("first"))
        for index in range(5):
            await cluster.post("/api/v1/namespaces/default/secrets", {
                "metadata": {"name": f"s{index}"}, "stringData": {"x": "y" * 1_000}})
        late = cluster.feed.revision
        await cluster.post(CONFIGS, config("last"))
        gone = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
        assert [event["object"]["reason"] for event in gone.events()] == ["Expired"]
        kept = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={late}")
        assert seen(kept) == [("ADDED", "last")]


async def test_history_is_forgotten_when_it_is_old(cluster: Cluster) -> None:
    compacting = asyncio.ensure_future(compact_forever(cluster.feed, cluster.clock, 300))
    await cluster.clock.advance(30)
    start = cluster.feed.revision
    await cluster.post(CONFIGS, config("first"))
    await cluster.clock.advance(300)
    known = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
    assert seen(known) == [("ADDED", "first")]
    await cluster.clock.advance(60)
    gone = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
    assert [event["object"]["reason"] for event in gone.events()] == ["Expired"]
    assert not cluster.feed.caches["/configmaps/"].ring
    compacting.cancel()


async def test_history_that_is_gone_ends_in_an_expired_event(tmp_path: Path) -> None:
    async with running(tmp_path, watch_history=3) as cluster:
        start = cluster.feed.revision
        for index in range(5):
            await cluster.post(CONFIGS, config(f"c{index}"))
        watch = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
        event, = watch.events()
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
        assert event["object"]["message"].startswith(f"too old resource version: {start} (")
        assert not watch.open


async def test_streaming_lists_end_with_a_bookmark(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                "&allowWatchBookmarks=true")
    added, bookmark = watch.events()
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"]["kind"] == "ConfigMap"
    assert bookmark["object"]["metadata"] == {"resourceVersion": str(cluster.feed.revision),
                                              "annotations": {"k8s.io/initial-events-end": "true"}}


async def test_bookmarks_come_now_and_then(tmp_path: Path) -> None:
    async with running(tmp_path, watch_bookmark_seconds=0.01) as cluster:
        now = cluster.feed.revision
        watch = await cluster.watch(f"{CONFIGS}?watch=1&allowWatchBookmarks=true&resourceVersion={now}")
        await cluster.post("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
        async with asyncio.timeout(5):
            while not watch.events():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert watch.events()[0]["type"] == "BOOKMARK"
        assert watch.events()[0]["object"]["metadata"]["resourceVersion"] == str(cluster.feed.revision)


async def test_a_watch_ends_when_its_time_is_up(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1&timeoutSeconds=1")
    async with asyncio.timeout(5):
        await cluster.watches[-1]
    assert not watch.open
    assert bytes(watch.data).endswith(b"0\r\n\r\n")


async def test_a_bookmark_comes_shortly_before_the_end(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timonier.apiserver.verbs.watch.LAST_WORD", 0.9)
    start = cluster.feed.revision
    watch = await cluster.watch(f"{CONFIGS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={start}")
    await cluster.post("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
    async with asyncio.timeout(5):
        await cluster.watches[-1]
    event, = watch.events()
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(cluster.feed.revision))


@pytest.mark.parametrize("revision", ["", "0"])
async def test_a_watch_from_any_time_is_a_streaming_list(cluster: Cluster, revision: str) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1&allowWatchBookmarks=true&resourceVersion={revision}")
    added, bookmark = watch.events()
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.parametrize("revision", ["", "0"])
async def test_a_watch_may_begin_now_without_what_there_is(cluster: Cluster, revision: str) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
                                f"&resourceVersion={revision}")
    await cluster.post(CONFIGS, config("b"))
    await cluster.settle()
    assert seen(watch) == [("ADDED", "b")]


async def test_a_watch_from_a_revision_to_come_begins_then(cluster: Cluster) -> None:
    now = cluster.feed.revision
    watch = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={now + 2}")
    for name in "abc":
        await cluster.post(CONFIGS, config(name))
    await cluster.settle()
    assert seen(watch) == [("ADDED", "c")]


async def test_a_watch_from_a_revision_that_never_comes_ends_with_its_time(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1&timeoutSeconds=1&resourceVersion={cluster.feed.revision + 100}")
    async with asyncio.timeout(5):
        await cluster.watches[-1]
    assert watch.events() == []
    assert bytes(watch.data).endswith(b"0\r\n\r\n")


async def test_the_state_of_a_time_to_come_is_not_waited_for_without_end(cluster: Cluster,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timonier.apiserver.feed.AHEAD_SECONDS", 0.01)
    watch = await cluster.watch(f"{CONFIGS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                f"&allowWatchBookmarks=true&resourceVersion={cluster.feed.revision + 100}")
    await cluster.watches[-1]
    event, = watch.events()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 504, "Timeout")


async def test_a_path_and_a_selector_must_name_the_same_object(cluster: Cluster) -> None:
    path = "/api/v1/watch/namespaces/default/configmaps/a"
    refused = await cluster.get(f"{path}?fieldSelector=metadata.name%3Db")
    assert (refused.code, refused.message) == (400, "fieldSelector metadata.name doesn't match requested name")
    watch = await cluster.watch(f"{path}?fieldSelector=metadata.name%3Da")
    for name in "ab":
        await cluster.post(CONFIGS, config(name))
    await cluster.settle()
    assert seen(watch) == [("ADDED", "a")]


async def test_a_watcher_that_does_not_keep_up_is_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path, watch_buffer=2000) as cluster:
        slow = await cluster.watch(f"{CONFIGS}?watch=1", slow=True)
        quick = await cluster.watch(f"{CONFIGS}?watch=1")
        for index in range(20):
            await cluster.post(CONFIGS, config(f"c{index}"))
            await cluster.settle()
        assert slow.aborted
        assert not quick.aborted
        assert len(quick.events()) == 20


async def test_a_watcher_that_catches_up_misses_nothing(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1", slow=True)
    for index in range(5):
        await cluster.post(CONFIGS, config(f"c{index}"))
    await cluster.settle()
    assert watch.events() == []
    watch.slow = False
    watch.when_writable()
    assert len(watch.events()) == 5


async def test_one_encoding_serves_all_watchers(cluster: Cluster) -> None:
    watches = [await cluster.watch(f"{CONFIGS}?watch=1") for _ in range(3)]
    await cluster.post(CONFIGS, config("a"))
    await cluster.settle()
    assert watches[0].events() == watches[1].events() == watches[2].events()
    delta = cluster.registry.cache(kind_of_configs()).ring[-1]
    assert [event for event, _ in delta.frames] == [b"ADDED"]


def kind_of_configs() -> Any:
    from timonier.api.kinds import BY_ID

    return BY_ID["v1/ConfigMap"]


async def test_a_watch_may_be_a_table(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    await cluster.post(CONFIGS, config("a", x="y"))
    await cluster.settle()
    event, = watch.events()
    assert event["object"]["kind"] == "Table"
    assert event["object"]["rows"][0]["cells"][:2] == ["a", 1]


async def test_a_server_that_lost_history_tells_its_watchers(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1")
    await cluster.feed.load()
    await asyncio.sleep(0)
    assert watch.events()[-1]["object"]["reason"] == "Expired"
    assert not watch.open


OPERATIONS = st.lists(st.tuples(st.sampled_from(["create", "label", "unlabel", "touch", "delete"]),
                                st.sampled_from("abc")), max_size=25)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS, cut=st.integers(0, 25))
async def test_every_watcher_sees_the_log(tmp_path: Path, operations: list[tuple[str, str]], cut: int) -> None:
    """Whatever is written: replaying what a watcher saw gives what a list gives, however the watcher began."""
    async with running(tmp_path) as cluster:
        start, half = cluster.feed.revision, cluster.feed.revision
        watches = [await cluster.watch(f"{CONFIGS}?watch=1{selector}") for selector in ("", "&labelSelector=app=web")]
        for index, (verb, name) in enumerate(operations):
            if index == cut:
                await cluster.settle()
                half = cluster.feed.revision
            await apply(cluster, verb, name, index)
        await cluster.settle()
        everything = (await cluster.get(CONFIGS)).json["items"]
        chosen = (await cluster.get(f"{CONFIGS}?labelSelector=app=web")).json["items"]
        late = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={start}")
        middle = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion={half}")
        assert replayed(watches[0]) == by_name(everything)
        assert replayed(watches[1]) == by_name(chosen)
        assert late.events() == watches[0].events()
        assert middle.events() == [event for event in late.events() if version(event) > half]
        then = (await cluster.get(f"{CONFIGS}?resourceVersionMatch=Exact&resourceVersion={half}")).json["items"]
        assert by_name(then) == replayed(watches[0], until=half)


async def apply(cluster: Cluster, verb: str, name: str, index: int) -> None:
    labels: dict[str, Any] = {"label": {"app": "web"}, "unlabel": {"app": None}}
    if verb == "create":
        await cluster.post(CONFIGS, config(name))
    elif verb == "delete":
        await cluster.delete(f"{CONFIGS}/{name}")
    elif verb == "touch":
        await cluster.patch(f"{CONFIGS}/{name}", {"data": {"touched": str(index)}})
    else:
        await cluster.patch(f"{CONFIGS}/{name}", {"metadata": {"labels": labels[verb]}})


def version(event: Any) -> int:
    return int(event["object"]["metadata"]["resourceVersion"])


def replayed(watch: FakeTaken, until: int = 2**63) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for event in watch.events():
        if version(event) > until:
            break
        name = event["object"]["metadata"]["name"]
        assert (event["type"] == "ADDED") is (name not in state)
        if event["type"] == "DELETED":
            del state[name]
        else:
            state[name] = event["object"]
    return state


def by_name(items: list[Any]) -> dict[str, Any]:
    return {item["metadata"]["name"]: item for item in items}


@pytest.mark.parametrize(("query", "message"), [
    pytest.param("sendInitialEvents=true", "requires setting resourceVersionMatch to NotOlderThan", id="initial"),
    pytest.param("resourceVersionMatch=NotOlderThan", "forbidden for watch unless sendInitialEvents", id="match"),
])
async def test_watch_options_that_contradict_one_another_are_invalid(cluster: Cluster, query: str,
                                                                     message: str) -> None:
    reply = await cluster.get(f"{CONFIGS}?watch=1&{query}")
    assert reply.code == 422
    assert message in reply.message


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "watch" in kind.verbs], ids=lambda kind: kind.id)
async def test_every_kind_is_watched_as_a_table_with_bookmarks(cluster: Cluster, kind: Any) -> None:
    watch = await cluster.watch(f"{kind.path()}?watch=1&allowWatchBookmarks=true",
                                accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    last = watch.events()[-1]
    assert (last["type"], last["object"]["kind"]) == ("BOOKMARK", "Table")
    metadata = last["object"]["rows"][0]["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert metadata["resourceVersion"] == str(cluster.feed.revision)
