"""What the typed client asks, and how it takes the answers."""

import asyncio
import os

import pytest
from msgspec import field
from support.fake_server import client, event

from timonier.api import errors
from timonier.api.types import apps_v1, core_v1, meta_v1
from timonier.client.client import lines
from timonier.client.custom import CustomObject
from timonier.client.wire import Undecodable, decode, encode, kind_of
from timonier.kit.clock import FakeClock
from timonier.kit.http import ConnectionFailed, Disconnected

POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default", "resourceVersion": "7"}}


def refused(code, reason, **more):
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"} | more


async def test_an_object_is_asked_for_by_its_kind_and_path():
    made, connections = client(lambda asked: (200, POD))
    pod = await made.get(core_v1.Pod, "web", "default")
    assert (pod.metadata.name, connections.asked[0].path) == ("web", "/api/v1/namespaces/default/pods/web")


async def test_what_is_sent_says_its_kind():
    made, connections = client(lambda asked: (201, POD))
    await made.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="default")))
    assert connections.asked[0].body == {"kind": "Pod", "apiVersion": "v1", "spec": {}, "status": {},
                                         "metadata": {"name": "web", "namespace": "default"}}
    assert encode(core_v1.Pod()).startswith(b'{"kind":"Pod","apiVersion":"v1",')


async def test_a_list_is_fetched_to_its_last_page():
    def answer(asked):
        page = asked.query.get("continue", "0")
        more = {"continue": "1"} if page == "0" else {}
        return 200, {"items": [{"metadata": {"name": f"p{page}"}}], "metadata": {"resourceVersion": "9"} | more}
    made, _ = client(answer)
    listed = await made.list(core_v1.Pod, labels="app=web")
    assert ([pod.metadata.name for pod in listed.items], listed.metadata.resourceVersion) == (["p0", "p1"], "9")


@pytest.mark.parametrize(("code", "reason", "cls"), [
    pytest.param(404, "NotFound", errors.NotFound, id="by-reason"),
    pytest.param(409, "AlreadyExists", errors.AlreadyExists, id="two-reasons-one-code"),
    pytest.param(409, "Odd", errors.Conflict, id="by-code"),
    pytest.param(410, "Expired", errors.Expired, id="expired"),
    pytest.param(422, "Invalid", errors.Invalid, id="invalid"),
    pytest.param(418, "Teapot", errors.ApiError, id="unheard-of"),
])
async def test_a_refusal_is_the_error_that_it_names(code, reason, cls):
    details = {"details": {"name": "web", "kind": "pods", "causes": [{"reason": "r", "message": "m", "field": "f"}]}}
    made, _ = client(lambda asked: refused(code, reason, **details))
    with pytest.raises(cls) as caught:
        await made.get(core_v1.Pod, "web", "default")
    assert (caught.value.code, caught.value.reason, caught.value.name) == (code, reason, "web")
    assert caught.value.causes == (errors.Cause("r", "f", "m"),)


async def test_a_refusal_that_is_no_status_is_still_an_error():
    made, _ = client(lambda asked: (502, b"<html>bad gateway</html>"))
    with pytest.raises(errors.ApiError, match="bad gateway"):
        await made.get(core_v1.Pod, "web", "default")


@pytest.mark.parametrize("first", [
    pytest.param(refused(429, "TooManyRequests"), id="too-many-requests"),
    pytest.param((*refused(503, "ServiceUnavailable"), {"retry-after": "3"}), id="unavailable-for-a-while"),
    pytest.param(ConnectionFailed("x"), id="no-connection"),
    pytest.param(Disconnected("x"), id="lost-while-reading"),
])
async def test_what_may_pass_is_tried_again(first):
    clock, answers = FakeClock(), [first, (200, POD)]
    made, connections = client(lambda asked: answers.pop(0), clock)
    getting = asyncio.create_task(made.get(core_v1.Pod, "web", "default"))
    await clock.advance(20)
    assert (await getting).metadata.name == "web"
    assert len(connections.asked) == 2


async def test_a_write_that_may_have_happened_is_not_repeated():
    made, connections = client(lambda asked: Disconnected("x"))
    with pytest.raises(Disconnected):
        await made.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="default")))
    assert len(connections.asked) == 1


async def test_an_eviction_that_a_budget_forbids_is_told_at_once():
    made, connections = client(lambda asked: refused(429, "TooManyRequests"))
    with pytest.raises(errors.TooManyRequests):
        await made.evict("web", "default")
    assert connections.asked[0].path.endswith("/pods/web/eviction")


async def test_retries_come_to_an_end():
    clock = FakeClock()
    made, connections = client(lambda asked: refused(429, "TooManyRequests"), clock)
    getting = asyncio.create_task(made.get(core_v1.Pod, "web", "default"))
    await clock.advance(100)
    with pytest.raises(errors.TooManyRequests):
        await getting
    assert len(connections.asked) == 5


async def test_deletions_carry_their_preconditions():
    made, connections = client(lambda asked: (200, {}))
    await made.delete(core_v1.Pod, "web", "default", uid="u", resourceVersion="7", propagation="Orphan", grace=0)
    assert connections.asked[0].body == {
        "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "u", "resourceVersion": "7"},
        "propagationPolicy": "Orphan", "gracePeriodSeconds": 0}


async def test_a_watch_gives_typed_events_and_bookmarks():
    body = [event("ADDED", POD)[:20], event("ADDED", POD)[20:] + event("BOOKMARK", {
        "kind": "Pod", "metadata": {"resourceVersion": "12"}})]
    made, _ = client(lambda asked: (200, body))
    seen = [(each.type, each.object.metadata.resourceVersion) async for each in made.watch(
        core_v1.Pod, resourceVersion="5")]
    assert seen == [("ADDED", "7"), ("BOOKMARK", "12")]


async def test_an_error_within_a_watch_is_raised():
    gone = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
    made, _ = client(lambda asked: (200, [event("ERROR", gone)]))
    with pytest.raises(errors.Expired):
        async for _ in made.watch(core_v1.Pod, resourceVersion="5"):
            pass


async def test_lines_are_whole_however_they_were_cut():
    async def chunks():
        for chunk in (b"one\ntw", b"o", b"\n\nthree"):
            yield chunk
    assert [line async for line in lines(chunks())] == [b"one", b"two", b"three"]


async def test_a_token_file_is_read_again_when_it_changes(tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")
    made, connections = client(lambda asked: (200, POD), token_file=token)
    await made.get(core_v1.Pod, "web", "default")
    token.write_text("new\n")
    os.utime(token, (1, 1))
    await made.get(core_v1.Pod, "web", "default")
    assert [asked.headers["Authorization"] for asked in connections.asked] == ["Bearer old", "Bearer new"]


def test_nulls_count_as_absent():
    pod = decode(core_v1.Pod, b'{"metadata":{"name":"web","creationTimestamp":null},"spec":{"containers":null}}')
    assert (pod.metadata.name, pod.spec.containers) == ("web", [])


def test_what_does_not_fit_is_said_to_be_undecodable():
    with pytest.raises(Undecodable):
        decode(apps_v1.Deployment, b'{"spec":{"replicas":"three"}}')
    with pytest.raises(Undecodable):
        decode(apps_v1.Deployment, b"not json")


def lasting(*changes):
    """An answer to lists, of nothing at revision 5, and to watches, of these changes."""
    def answer(asked):
        if "watch" in asked.query:
            return 200, [event(kind, {"metadata": {"name": "web", "resourceVersion": "6"}, "spec": spec})
                         for kind, spec in changes]
        return 200, {"items": [], "metadata": {"resourceVersion": "5"}}
    return answer


async def test_pages_are_fetched_as_they_are_asked_for():
    def answer(asked):
        more = {} if "continue" in asked.query else {"continue": "1"}
        return 200, {"items": [], "metadata": {"resourceVersion": "9"} | more}
    made, connections = client(answer)
    pages = made.pages(core_v1.Pod, size=2)
    await anext(pages)
    assert [asked.query["limit"] for asked in connections.asked] == ["2"]
    assert len([page async for page in pages]) == 1


async def test_waiting_for_an_object_follows_it_from_what_it_is():
    made, connections = client(lasting(("ADDED", {}), ("MODIFIED", {"nodeName": "n1"})))
    pod = await made.wait_for(core_v1.Pod, "web", "default", until=lambda pod: bool(pod and pod.spec.nodeName))
    assert pod.spec.nodeName == "n1"
    assert [asked.query.get("resourceVersion") for asked in connections.asked] == [None, "5"]


async def test_waiting_for_the_end_of_what_is_not_there_is_over_at_once():
    made, _ = client(lasting())
    assert await made.wait_for(core_v1.Pod, "web", "default", until=lambda pod: pod is None) is None


async def test_waiting_for_what_does_not_come_ends_in_time():
    async def never():
        await asyncio.Event().wait()

    made, _ = client(lambda asked: (200, [never]) if "watch" in asked.query else lasting()(asked))
    with pytest.raises(TimeoutError):
        await made.wait_for(core_v1.Pod, "web", "default", until=lambda pod: pod is not None, seconds=0.01)


class Basket(CustomObject):
    apiVersion, kind, plural = "example.com/v1", "Basket", "baskets"
    spec: dict[str, int] = field(default_factory=dict)


async def test_a_kind_of_one_s_own_is_asked_for_like_any_other():
    made, connections = client(lambda asked: (200, {"metadata": {"name": "b"}, "spec": {"size": 3}, "more": 1}))
    basket = await made.get(Basket, "b", "default")
    assert (basket.spec, connections.asked[0].path) == (
        {"size": 3}, "/apis/example.com/v1/namespaces/default/baskets/b")
    assert encode(basket).startswith(b'{"kind":"Basket","apiVersion":"example.com/v1",')


def test_a_kind_of_one_s_own_that_does_not_say_where_it_is_found_is_refused():
    class Nameless(CustomObject):
        apiVersion, kind = "example.com/v1", "Nameless"

    with pytest.raises(TypeError, match="Nameless does not say its plural"):
        kind_of(Nameless)
