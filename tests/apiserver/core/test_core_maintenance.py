"""What the server does without being asked."""

from __future__ import annotations

from typing import Any

from support.api_server import Cluster

from timonier.api import times
from timonier.apiserver.maintenance import expire_events

EVENTS = "/api/v1/namespaces/default/events"
LIFE = 3600.0


def event(name: str, **more: Any) -> dict[str, Any]:
    involved = {"kind": "Pod", "namespace": "default", "name": "web"}
    return {"metadata": {"name": name}, "involvedObject": involved, "reason": "Tried", "type": "Normal"} | more


async def names(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in (await cluster.get(EVENTS)).json["items"]}


async def test_events_are_deleted_when_nothing_happened_to_them_for_their_life(cluster: Cluster) -> None:
    await cluster.post(EVENTS, event("old"))
    await cluster.clock.advance(LIFE - 1)
    await cluster.post(EVENTS, event("new"))
    await expire_events(cluster.registry, LIFE)
    assert await names(cluster) == {"old", "new"}
    await cluster.clock.advance(2)
    await expire_events(cluster.registry, LIFE)
    assert await names(cluster) == {"new"}


async def test_an_event_that_happened_again_lives_on(cluster: Cluster) -> None:
    await cluster.post(EVENTS, event("repeated"))
    await cluster.clock.advance(LIFE - 1)
    again = {"count": 2, "lastTimestamp": times.rfc3339(cluster.clock.now())}
    await cluster.patch(f"{EVENTS}/repeated", again)
    await cluster.clock.advance(2)
    await expire_events(cluster.registry, LIFE)
    assert await names(cluster) == {"repeated"}
