"""Events: counted, combined, limited, written in the background."""

from __future__ import annotations

import asyncio
from typing import Any

from timonier.api import errors
from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import FakeClock
from timonier.reconcile.events import BURST, COMBINED, Recorder, reference_to
from timonier.reconcile.plan import WARNING

POD = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u", resourceVersion="7"))


class FakeClient:
    def __init__(self) -> None:
        self.created: list[core_v1.Event] = []
        self.patched: list[tuple[str, Any]] = []
        self.gone = False

    async def create(self, event: core_v1.Event) -> core_v1.Event:
        self.created.append(event)
        return event

    async def patch(self, cls: type, name: str, namespace: str, patch: Any) -> None:
        if self.gone:
            raise errors.NotFound(name)
        self.patched.append((name, patch))


async def told(*messages: str, clock: FakeClock | None = None, client: FakeClient | None = None, apart: float = 0.0,
               ) -> FakeClient:
    clock, client = clock or FakeClock(), client or FakeClient()
    recorder = Recorder(client, "kubelet", clock, host="n1")  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    for message in messages:
        recorder.event(POD, "BackOff", message, type=WARNING)
        await clock.advance(apart)
    await clock.settle()
    task.cancel()
    return client


async def test_an_event_says_who_tells_what_about_whom():
    client = await told("Back-off restarting")
    event = client.created[0]
    assert event.involvedObject == reference_to(POD)
    assert (event.reason, event.message, event.type, event.count) == ("BackOff", "Back-off restarting", "Warning", 1)
    assert event.source == core_v1.EventSource(component="kubelet", host="n1")
    assert (event.reportingComponent, event.reportingInstance) == ("kubelet", "n1")
    assert event.metadata.name.startswith("web.")
    assert event.metadata.namespace == "default"


async def test_the_same_event_again_is_a_count():
    client = await told("x", "x", "x")
    assert len(client.created) == 1
    assert [patch["count"] for _, patch in client.patched] == [2, 3]


async def test_many_that_differ_in_their_message_become_one():
    client = await told(*(f"message {n}" for n in range(15)))
    assert len(client.created) == 10
    assert client.created[-1].message == COMBINED + "message 9"
    assert [patch["message"] for _, patch in client.patched][-1] == COMBINED + "message 14"


async def test_a_flood_is_cut_off_and_let_through_drop_by_drop():
    client = await told(*["x"] * 100)
    assert len(client.created) + len(client.patched) == BURST
    clock = FakeClock()
    client = await told(*["x"] * 40, clock=clock, apart=300)
    assert len(client.created) + len(client.patched) == 40


async def test_an_event_that_has_expired_is_told_anew():
    client = FakeClient()
    client.gone = True
    await told("x", "x", client=client)
    assert len(client.created) == 2


async def test_events_about_things_without_namespace_are_in_default():
    clock, client = FakeClock(), FakeClient()
    recorder = Recorder(client, "node-controller", clock)  # type: ignore[arg-type]
    recorder.event(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1")), "NodeNotReady", "x")
    task = asyncio.create_task(recorder.run())
    await clock.settle()
    task.cancel()
    assert client.created[0].metadata.namespace == "default"
