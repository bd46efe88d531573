"""Informers: a mirror that resumes, relists, and never lies."""

import asyncio
import contextlib

from support.fake_server import client, event

from timonier.api.types import core_v1
from timonier.client.informer import Informer, SharedInformers
from timonier.kit.clock import FakeClock
from timonier.kit.http import ConnectionFailed


def pod(name, revision, node="n1"):
    return {"kind": "Pod", "apiVersion": "v1", "spec": {"nodeName": node},
            "metadata": {"name": name, "namespace": "default", "resourceVersion": str(revision)}}


def page(revision, *pods):
    return 200, {"items": list(pods), "metadata": {"resourceVersion": str(revision)}}


async def never():
    await asyncio.Event().wait()


class Script:
    """Lists and watches from a list of answers, the last of which repeats."""

    def __init__(self, lists, watches):
        self.lists, self.watches = lists, watches

    def __call__(self, asked):
        answers = self.watches if "watch" in asked.query else self.lists
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.asynccontextmanager
async def informer(lists, watches, **options):
    clock = FakeClock()
    made, connections = client(Script(lists, watches), clock)
    mirror = Informer(made, core_v1.Pod, **options)
    task = asyncio.create_task(mirror.run())
    await clock.settle()
    try:
        yield mirror, connections, clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_shows_the_list_and_then_what_changes():
    watch = [event("ADDED", pod("b", 6)), event("MODIFIED", pod("a", 7, "n2")), event("DELETED", pod("b", 8)), never]
    async with informer([page(5, pod("a", 3))], [(200, watch)]) as (mirror, _, _):
        assert mirror.synced.is_set()
        assert {each.metadata.name: each.spec.nodeName for each in mirror.list()} == {"a": "n2"}
        assert mirror.resourceVersion == "8"


async def test_handlers_hear_what_was_and_what_is():
    heard = []
    watch = [event("MODIFIED", pod("a", 7)), event("DELETED", pod("a", 8)), never]
    clock = FakeClock()
    made, _ = client(Script([page(5, pod("a", 3))], [(200, watch)]), clock)
    mirror = Informer(made, core_v1.Pod)
    mirror.on_change(lambda *both: heard.append(tuple(each and each.metadata.resourceVersion for each in both)))
    task = asyncio.create_task(mirror.run())
    await clock.settle()
    task.cancel()
    assert heard == [(None, "3"), ("3", "7"), ("7", None)]


async def test_a_late_handler_hears_of_all_that_is_there():
    async with informer([page(5, pod("a", 3), pod("b", 4))], [(200, [never])]) as (mirror, _, _):
        heard = []
        mirror.on_change(lambda old, new: heard.append(new.metadata.name))
        assert heard == ["a", "b"]


async def test_it_resumes_where_it_was_after_an_interruption():
    watches = [(200, [event("MODIFIED", pod("a", 7))]), ConnectionFailed("x"), (200, [never])]
    async with informer([page(5, pod("a", 3))], watches) as (_, connections, clock):
        await clock.advance(30)
        assert [asked.query["resourceVersion"] for asked in connections.asked if "watch" in asked.query] == \
            ["5", "7", "7"]


async def test_it_lists_anew_where_the_server_has_forgotten():
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    watches = [(200, [event("ERROR", gone)]), (200, [never])]
    lists = [page(5, pod("a", 3), pod("b", 4)), page(9, pod("b", 4), pod("c", 8))]
    async with informer(lists, watches) as (mirror, _, clock):
        await clock.advance(30)
        assert sorted(each.metadata.name for each in mirror.list()) == ["b", "c"]
        assert mirror.resourceVersion == "9"


async def test_a_mirror_that_must_list_anew_still_says_how_far_it_is():
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    lists = [page(5, pod("a", 3)), ConnectionFailed("x")]
    async with informer(lists, [(200, [event("ERROR", gone)])]) as (mirror, _, clock):
        await clock.advance(5)
        assert mirror.resourceVersion == "5"


async def test_bookmarks_move_it_on():
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "99"}})
    async with informer([page(5, pod("a", 3))], [(200, [bookmark, never])]) as (mirror, _, _):
        assert mirror.resourceVersion == "99"
        assert len(mirror) == 1


async def test_failures_are_retried_at_growing_intervals():
    async with informer([ConnectionFailed("x")], [(200, [never])]) as (_, connections, clock):
        await clock.advance(60)
        assert 100 < len(connections.asked) < 300


async def test_indexes_follow_changes():
    watch = [event("MODIFIED", pod("a", 7, "n2")), never]
    async with informer([page(5, pod("a", 3), pod("b", 4))], [(200, [never])]) as (mirror, _, _):
        mirror.add_index("node", lambda each: (each.spec.nodeName,))
        assert [each.metadata.name for each in mirror.by_index("node", "n1")] == ["a", "b"]
    clock = FakeClock()
    made, _ = client(Script([page(5, pod("a", 3), pod("b", 4))], [(200, watch)]), clock)
    mirror = Informer(made, core_v1.Pod)
    mirror.add_index("node", lambda each: (each.spec.nodeName,))
    task = asyncio.create_task(mirror.run())
    await clock.settle()
    task.cancel()
    assert [[each.metadata.name for each in mirror.by_index("node", node)] for node in ("n1", "n2", "n3")] == \
        [["b"], ["a"], []]


async def test_those_who_ask_for_the_same_share_one_mirror():
    clock = FakeClock()
    made, connections = client(Script([page(5)], [(200, [never])]), clock)
    shared = SharedInformers(made)
    assert shared.informer(core_v1.Pod) is shared.informer(core_v1.Pod)
    assert shared.informer(core_v1.Pod) is not shared.informer(core_v1.Pod, fields="spec.nodeName=n1")
    task = asyncio.create_task(shared.run())
    await shared.synced()
    late = shared.informer(core_v1.Pod, "default")
    await asyncio.wait_for(late.synced.wait(), 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sum("watch" not in asked.query for asked in connections.asked) == 3
