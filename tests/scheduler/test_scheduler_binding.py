"""What the scheduler tells the API server, and what it does when the answer is no."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.fake_server import Asked, client
from support.scheduling import node, pod

from timonier.api.types import core_v1
from timonier.client.wire import encode
from timonier.kit.clock import FakeClock
from timonier.reconcile.events import Recorder
from timonier.scheduler.bind import Binder, condition_patch
from timonier.scheduler.cycle import Bind, Cycle, Report
from timonier.scheduler.queue import State
from timonier.scheduler.run import decide_for_ever, work
from timonier.scheduler.settings import SchedulerSettings


class World:
    """A cycle and a binder before a scripted server; `pods` is the mirror."""

    def __init__(self, answer) -> None:
        self.clock, self.pods = FakeClock(), dict[str, core_v1.Pod]()
        speaker, self.connections = client(answer, self.clock)
        self.cycle = Cycle(SchedulerSettings(Path()), self.clock.monotonic)
        self.recorder = Recorder(speaker, "default-scheduler", self.clock)
        self.binder = Binder(speaker, self.cycle, self.recorder, self.clock, self.pods.get, "host")

    def add(self, thing: core_v1.Node | core_v1.Pod) -> None:
        if isinstance(thing, core_v1.Node):
            self.cycle.node_changed(None, thing)
        else:
            self.pods[f"default/{thing.metadata.name}"] = thing
            self.cycle.pod_changed(None, thing)

    def asked(self, method: str, ending: str) -> list[Asked]:
        return [each for each in self.connections.asked if each.method == method and each.path.endswith(ending)]

    async def events(self) -> list[tuple[str, str, str]]:
        telling = asyncio.ensure_future(self.recorder.run())
        await self.clock.settle()
        telling.cancel()
        told = [each.body for each in self.asked("POST", "/events")]
        return [(each["type"], each["reason"], each["message"]) for each in told]


def status(code: int, reason: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
                  "reason": reason, "code": code}


def agreeable(asked: Asked) -> Any:
    """Yes to everything, giving back a pod to who patches one."""
    return 200, msgspec.json.decode(encode(pod("answer")))


async def test_a_binding_names_the_pod_that_was_decided_about():
    world = World(agreeable)
    world.add(node("n1"))
    web = pod("web")
    world.add(web)
    task = world.cycle.turn()
    assert isinstance(task, Bind)
    await world.binder.bind(task)
    [asked] = world.asked("POST", "/pods/web/binding")
    assert asked.body["target"]["name"] == "n1"
    assert asked.body["metadata"]["uid"] == web.metadata.uid
    assert web.metadata.uid not in world.cycle.queue
    assert await world.events() == [("Normal", "Scheduled", "Successfully assigned default/web to n1")]


@pytest.mark.parametrize(("answer", "state"), [
    pytest.param(status(409, "Conflict"), State.BACKING_OFF, id="refused-is-tried-again"),
    pytest.param(status(403, "Forbidden"), State.BACKING_OFF, id="forbidden-is-tried-again"),
    pytest.param(status(404, "NotFound"), None, id="gone-is-forgotten"),
])
async def test_a_binding_that_fails_gives_the_room_back(answer: Any, state: State | None):
    world = World(lambda asked: answer if asked.path.endswith("/binding") else agreeable(asked))
    world.add(node("n1"))
    web = pod("web", requests={"cpu": "4"})
    world.add(web)
    task = world.cycle.turn()
    assert isinstance(task, Bind)
    assert web.metadata.uid in world.cycle.nodes.pods
    await world.binder.bind(task)
    assert world.cycle.nodes.pods == {}
    assert world.cycle.queue.state(web.metadata.uid) is state


async def test_a_pod_that_does_not_fit_says_so_in_its_condition_and_an_event():
    world = World(agreeable)
    world.add(node("n1", cpu="1"))
    web = pod("web", requests={"cpu": "2"})
    world.add(web)
    task = world.cycle.turn()
    assert isinstance(task, Report)
    await world.binder.report(task)
    message = ("0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
               "1 Preemption is not helpful for scheduling.")
    [asked] = world.asked("PATCH", "/pods/web/status")
    [condition] = asked.body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"], condition["message"]) == (
        "PodScheduled", "False", "Unschedulable", message)
    assert asked.body["metadata"]["resourceVersion"] == web.metadata.resourceVersion
    assert await world.events() == [("Warning", "FailedScheduling", message)]


async def test_victims_are_marked_and_deleted_by_their_uid():
    world = World(agreeable)
    world.add(node("n1", cpu="1"))
    low = pod("low", on="n1", requests={"cpu": "1"})
    world.add(low)
    world.add(pod("high", requests={"cpu": "1"}, priority=10))
    task = world.cycle.turn()
    assert isinstance(task, Report)
    await world.binder.report(task)
    [nominating] = world.asked("PATCH", "/pods/high/status")
    assert nominating.body["status"]["nominatedNodeName"] == "n1"
    [marking] = world.asked("PATCH", "/pods/low/status")
    assert marking.body["status"]["conditions"][0]["reason"] == "PreemptionByScheduler"
    [deleting] = world.asked("DELETE", "/pods/low")
    assert deleting.body["preconditions"] == {"uid": low.metadata.uid}
    assert ("Normal", "Preempted", f"Preempted by pod {task.entry.request.uid} on node n1") in await world.events()


async def test_a_condition_is_not_written_to_a_pod_that_was_assigned_meanwhile():
    world = World(agreeable)
    world.add(node("n1", cpu="1"))
    world.add(pod("web", requests={"cpu": "2"}))
    task = world.cycle.turn()
    assert isinstance(task, Report)
    world.pods["default/web"] = pod("web", on="n1")
    await world.binder.report(task)
    assert world.asked("PATCH", "/pods/web/status") == []


async def test_a_condition_that_conflicts_is_written_to_the_newer_object():
    answers = [status(409, "Conflict"), status(409, "Conflict"), agreeable]
    world = World(lambda asked: answers.pop(0) if len(answers) > 1 else agreeable(asked))
    world.add(node("n1", cpu="1"))
    world.add(pod("web", requests={"cpu": "2"}))
    task = world.cycle.turn()
    assert isinstance(task, Report)
    reporting = asyncio.ensure_future(world.binder.report(task))
    await world.clock.advance(1)
    await reporting
    assert len(world.asked("PATCH", "/pods/web/status")) == 3


def test_a_condition_that_says_the_same_is_left_and_its_transition_is_kept():
    web = pod("web")
    web.status.conditions = [core_v1.PodCondition(type="PodScheduled", status="False", reason="Unschedulable",
                                                  message="no", lastTransitionTime="2026-01-01T00:00:00Z")]
    assert condition_patch(web, "Unschedulable", "no", "", "now") is None
    patch = condition_patch(web, "Unschedulable", "still no", "", "now")
    assert patch is not None
    assert patch["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


async def test_the_loop_binds_what_comes_and_wakes_for_what_is_due():
    refusals = [status(409, "Conflict")]
    world = World(lambda asked: refusals.pop() if refusals and asked.path.endswith("/binding") else agreeable(asked))
    woken, jobs = asyncio.Event(), asyncio.Queue(4)
    cycle = world.cycle = world.binder.cycle
    cycle._wake = woken.set
    tasks = [asyncio.ensure_future(work(jobs)),
             asyncio.ensure_future(decide_for_ever(cycle, world.binder, jobs, woken, world.clock))]
    await world.clock.settle()
    world.add(node("n1"))
    world.add(pod("web"))
    await world.clock.advance(0.5)
    assert len(world.asked("POST", "/binding")) == 1
    await world.clock.advance(0.6)
    assert len(world.asked("POST", "/binding")) == 2
    assert len(cycle.queue) == 0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
