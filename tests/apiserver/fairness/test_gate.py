"""Priority and fairness through the whole server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, running

from timonier.api.kinds import BY_ID
from timonier.apiserver.app import request_of
from timonier.apiserver.documents import Answer
from timonier.apiserver.fairness.gate import Gate, Retries
from timonier.apiserver.fairness.keep import keep
from timonier.apiserver.request import Request, User

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS, LEVELS = f"{GROUP}/flowschemas", f"{GROUP}/prioritylevelconfigurations"
UIDS = ("x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid")


class Named:
    """Takes everyone for whom the `x-test-user` header names, and for an administrator without it."""

    async def authenticate(self, request: Request) -> User:
        name = request.headers.get("x-test-user")
        return User(name, groups=("system:authenticated",)) if name else User("admin", groups=("system:masters",))


def with_names(cluster: Cluster) -> None:
    object.__setattr__(cluster.server.access, "authenticator", Named())


def schema(name: str, level: str, user: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {
        "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": 50,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": [{"kind": "User", "user": {"name": user}}],
                   "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}}


async def with_greedy(cluster: Cluster) -> Gate:
    """A level of one seat and one place to wait, for the user `greedy`."""
    await keep(cluster.registry)
    await cluster.post(LEVELS, {"metadata": {"name": "tiny"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": {
            "type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 1}}}}})
    await cluster.post(SCHEMAS, schema("greedy", "tiny", "greedy"))
    await cluster.settle()
    with_names(cluster)
    assert (await cluster.get("/version", x_test_user="greedy")).code != 429
    return cluster.server.gate


async def test_the_default_objects_are_made_kept_and_marked(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        assert len((await cluster.get(SCHEMAS)).json["items"]) == 11
        assert len((await cluster.get(LEVELS)).json["items"]) == 8
        level = (await cluster.get(f"{LEVELS}/catch-all")).json
        assert level["metadata"]["annotations"] == {"apf.kubernetes.io/autoupdate-spec": "true"}
        condition = (await cluster.get(f"{SCHEMAS}/probes")).json["status"]["conditions"][0]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Dangling", "False", "Found")
        revision = cluster.feed.revision
        await keep(cluster.registry)
        assert cluster.feed.revision == revision


async def test_suggested_objects_are_the_users_once_the_annotation_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        async def shares() -> int:
            await keep(cluster.registry)
            level = (await cluster.get(f"{LEVELS}/system")).json
            return int(level["spec"]["limited"]["nominalConcurrencyShares"])

        assert await shares() == 30
        change = {"spec": {"limited": {"nominalConcurrencyShares": 7}}}
        await cluster.patch(f"{LEVELS}/system", change)
        assert await shares() == 30
        mine = {"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}}
        await cluster.patch(f"{LEVELS}/system", change | mine)
        assert await shares() == 7


async def test_a_schema_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.post(SCHEMAS, schema("lost", "nowhere", "jane"))
        await keep(cluster.registry)
        condition = (await cluster.get(f"{SCHEMAS}/lost")).json["status"]["conditions"][0]
        assert (condition["status"], condition["reason"]) == ("True", "NotFound")
        assert condition["message"] == ('This FlowSchema references the PriorityLevelConfiguration object named '
                                        '"nowhere" but there is no such object')


async def test_answers_name_their_schema_and_level_by_uid(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        with_names(cluster)
        reply = await cluster.get("/version", x_test_user="jane")
        expected = [(await cluster.get(f"{path}/global-default")).json["metadata"]["uid"] for path in (SCHEMAS, LEVELS)]
        assert [reply.headers[name] for name in UIDS] == expected


async def test_who_finds_no_seat_waits_and_the_next_is_told_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        gate = await with_greedy(cluster)
        level = gate.levels["tiny"]
        level.limit, level.in_use = 1, 1
        waiting = asyncio.ensure_future(cluster.get("/version", x_test_user="greedy"))
        await asyncio.sleep(0)
        reply = await cluster.get("/version", x_test_user="greedy")
        assert (reply.code, reply.headers["retry-after"]) == (429, "1")
        assert reply.content == b"Too many requests, please try again later.\n"
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await cluster.get("/version", x_test_user="jane")).code != 429
        level.in_use = 0
        gate.balance()
        assert (await waiting).code != 429
        assert level.in_use == 0


async def test_who_waits_too_long_is_turned_away(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        gate = await with_greedy(cluster)
        gate.longest_wait = 0.001
        gate.levels["tiny"].limit = gate.levels["tiny"].in_use = 1
        assert (await cluster.get("/version", x_test_user="greedy")).code == 429
        assert gate.places["greedy"].rejected == {"time-out": 1}
        assert gate.levels["tiny"].waiting == 0


async def test_a_watch_has_its_seats_until_its_first_events_were_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        taken = await cluster.watch("/api/v1/namespaces?watch=1")
        assert b"x-kubernetes-pf-flowschema-uid: " in taken.data
        assert cluster.server.gate.levels["exempt"].in_use == 0


async def test_lists_of_much_take_more_seats(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        gate = cluster.server.gate
        for number in range(5):
            await cluster.post("/api/v1/namespaces/default/configmaps",
                               {"metadata": {"name": f"c{number}"}, "data": {"x": "y" * 90_000}})
        await cluster.settle()

        def width(url: str) -> int:
            path, _, query = url.partition("?")
            request = request_of({"method": "GET", "path": path, "query_string": query.encode(), "headers": []})
            request.kind = BY_ID["v1/ConfigMap"]
            return gate.width_of(request, gate.levels["workload-low"])

        assert width("/api/v1/configmaps") == 5
        assert width("/api/v1/configmaps?limit=1") == 1
        assert width("/api/v1/configmaps?watch=1") == 5
        assert width("/api/v1/configmaps?watch=1&resourceVersion=7") == 1
        assert width("/api/v1/namespaces/default/configmaps/c1") == 1


async def test_what_the_gate_does_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.get("/version")
        text = (await cluster.get("/metrics")).content.decode()
        assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="workload-low"} 245.0' in text
        assert 'requests_total{flow_schema="exempt",priority_level="exempt"} 2.0' in text


@pytest.mark.parametrize(("each_second", "expected"), [
    pytest.param(1, 1, id="a-few-come-back-soon"), pytest.param(100, 32, id="many-come-back-late")])
def test_the_more_are_turned_away_the_later_they_should_come_back(each_second: int, expected: int) -> None:
    retries = Retries()
    seconds = [retries.after(now + part / each_second) for now in range(100) for part in range(each_second)]
    assert seconds[-1] == expected


async def test_a_flood_of_one_user_leaves_room_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    released = asyncio.Event()

    async def slow(server: object, request: Request) -> Answer:
        await released.wait()
        done.append(request.user.name)
        return Answer(200, [], b"{}")

    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        with_names(cluster)
        monkeypatch.setattr("timonier.apiserver.health.serve", slow)
        monkeypatch.setattr(cluster.server.authoriser, "demand", allow)
        released.set()
        await cluster.get("/version", x_test_user="polite")
        released.clear()
        done.clear()
        level = cluster.server.gate.levels["global-default"]
        level.limit = 4
        flood = [asyncio.ensure_future(cluster.get("/version", x_test_user="greedy")) for _ in range(500)]
        await asyncio.wait(flood, timeout=10, return_when=asyncio.FIRST_COMPLETED)  # until somebody is turned away
        polite = asyncio.ensure_future(cluster.get("/version", x_test_user="polite"))
        for _ in range(500):
            await asyncio.sleep(0)
        released.set()
        assert (await polite).code == 200
        # Not behind the three hundred who wait: behind those who have seats, and one turn of the flood's six queues.
        assert done.index("polite") < 60
        codes = [reply.code for reply in await asyncio.gather(*flood)]
        assert codes.count(429) == 500 - codes.count(200) > 0
        assert level.in_use == 0


async def allow(*_: object) -> None:
    """Everybody may do everything."""


async def test_people_can_see_how_it_stands(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        gate = await with_greedy(cluster)
        gate.levels["tiny"].limit = gate.levels["tiny"].in_use = 1
        waiting = asyncio.ensure_future(cluster.get("/version", x_test_user="greedy"))
        await asyncio.sleep(0)
        dumps = {name: (await cluster.get(f"/debug/api_priority_and_fairness/dump_{name}")).content.decode()
                 for name in ("priority_levels", "queues", "requests")}
        assert dumps["priority_levels"].startswith("PriorityLevelName, ActiveQueues, IsIdle")
        [line] = [line for line in dumps["priority_levels"].splitlines() if line.startswith("tiny")]
        assert [part.strip() for part in line.split(",")] == ["tiny", "1", "false", "false", *"101000"]
        assert [part.strip() for part in dumps["requests"].splitlines()[1].split(",")][:5] == [
            "tiny", "greedy", "0", "0", "greedy"]
        assert len(dumps["queues"].splitlines()) == 2
        assert (await cluster.get("/debug/api_priority_and_fairness/dump_all")).code == 404
        gate.levels["tiny"].in_use = 0
        gate.balance()
        await waiting
