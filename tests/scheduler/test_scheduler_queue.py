"""The scheduling queue; moments are plain numbers."""

import pytest
from support.scheduling import pod

from timonier.scheduler.filters import FILTERS
from timonier.scheduler.queue import HELPED_BY, Entry, Event, SchedulingQueue, State
from timonier.scheduler.request import request_of


def put(queue: SchedulingQueue, name: str, now: float = 0.0, **spec: object) -> str:
    made = pod(name, **spec)
    queue.add(made, request_of(made), now)
    return made.metadata.uid


def popped(queue: SchedulingQueue, now: float = 0.0) -> Entry:
    entry = queue.pop(now)
    assert entry is not None
    return entry


def failed(queue: SchedulingQueue, now: float, *filters: str) -> Entry:
    entry = popped(queue, now)
    queue.fail(entry, frozenset(filters), now)
    return entry


def test_priority_goes_before_age():
    queue = SchedulingQueue()
    put(queue, "old", 1)
    put(queue, "young", 2)
    put(queue, "important", 3, priority=5)
    assert [popped(queue, 3).request.name for _ in range(3)] == ["important", "old", "young"]
    assert queue.pop(3) is None


def test_a_pod_that_failed_waits_for_an_event_that_helps_and_for_its_back_off():
    queue = SchedulingQueue()
    uid = put(queue, "web")
    failed(queue, 0, "NodeResourcesFit")
    queue.happened(Event.POD_BOUND, 0.1)
    assert queue.state(uid) is State.UNSCHEDULABLE
    queue.happened(Event.POD_GONE, 0.2)
    assert queue.state(uid) is State.BACKING_OFF
    assert queue.pop(0.9) is None
    assert queue.next_due() == 1.0
    assert popped(queue, 1.0).attempts == 2


def test_the_back_off_doubles_up_to_its_limit():
    queue, now, waits = SchedulingQueue(), 0.0, []
    put(queue, "web")
    for _ in range(6):
        failed(queue, now, "NodeResourcesFit")
        queue.happened(Event.NODE, now)
        due = queue.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [1, 2, 4, 8, 10, 10]


def test_an_event_after_the_back_off_makes_a_pod_active_at_once():
    queue = SchedulingQueue()
    uid = put(queue, "web")
    failed(queue, 0, "TaintToleration")
    queue.happened(Event.NODE, 60)
    assert queue.state(uid) is State.ACTIVE


def test_what_nothing_helped_is_tried_again_after_five_minutes():
    queue = SchedulingQueue()
    put(queue, "web")
    failed(queue, 0, "DynamicResources")
    for event in Event:
        queue.happened(event, 1)
    assert queue.pop(299) is None
    assert queue.next_due() == 300
    assert popped(queue, 300).request.name == "web"


def test_without_nodes_only_a_node_helps():
    queue = SchedulingQueue()
    uid = put(queue, "web")
    failed(queue, 0)
    queue.happened(Event.POD_GONE, 5)
    assert queue.state(uid) is State.UNSCHEDULABLE
    queue.happened(Event.NODE, 5)
    assert queue.state(uid) is State.ACTIVE


def test_a_gated_pod_waits_until_its_gates_are_gone():
    queue, made = SchedulingQueue(), pod("web", schedulingGates=[{"name": "quota"}])
    queue.add(made, request_of(made), 0)
    for event in Event:
        queue.happened(event, 1)
    assert queue.pop(1000) is None
    assert queue.next_due() is None
    made.spec.schedulingGates = []
    queue.add(made, request_of(made), 1000)
    assert popped(queue, 1000).request.name == "web"


def test_a_changed_pod_is_tried_again_without_an_event():
    queue, made = SchedulingQueue(), pod("web")
    queue.add(made, request_of(made), 0)
    failed(queue, 0, "TaintToleration")
    queue.add(made, request_of(made), 30)
    assert popped(queue, 30).request.name == "web"


def test_a_removed_pod_is_not_given_out():
    queue = SchedulingQueue()
    active, waiting = put(queue, "a"), put(queue, "b")
    queue.remove(active)
    entry = popped(queue)
    assert entry.request.uid == waiting
    queue.remove(waiting)
    queue.fail(entry, frozenset(), 0)
    queue.retry(entry, 0)
    assert (queue.pop(1000), len(queue), queue.next_due()) == (None, 0, None)


def test_a_pod_whose_binding_was_refused_is_retried_after_its_back_off():
    queue = SchedulingQueue()
    put(queue, "web")
    queue.retry(popped(queue), 0)
    assert queue.pop(0.5) is None
    assert popped(queue, 1).request.name == "web"


@pytest.mark.parametrize("each", FILTERS, ids=lambda each: each.name)
def test_every_filter_says_what_could_help(each):
    assert each.name in HELPED_BY
