"""/statusz and /flagz, and the ids of requests."""

from __future__ import annotations

import uuid

from support.api_server import Cluster

from timonier.kit.ids import new_id


async def test_statusz_tells_people_since_when_the_server_runs(cluster: Cluster) -> None:
    await cluster.clock.advance(3725)
    text = (await cluster.get("/statusz")).content.decode()
    assert text.startswith("\nkube-apiserver statusz\nWarning: This endpoint is not meant to be machine parseable")
    assert "Up: 1 hr 02 min 05 sec\n" in text
    assert "Binary version: 1.37.0\n" in text


async def test_statusz_has_a_form_for_programs_that_ask_for_it_by_name(cluster: Cluster) -> None:
    reply = await cluster.get("/statusz", accept="application/json;v=v1alpha1;g=config.k8s.io;as=Statusz")
    assert (reply.json["kind"], reply.json["apiVersion"]) == ("Statusz", "config.k8s.io/v1alpha1")
    assert "/readyz" in reply.json["paths"]
    assert (await cluster.get("/statusz", accept="application/json")).code == 406


async def test_flagz_tells_every_flag_as_it_counts(cluster: Cluster) -> None:
    text = (await cluster.get("/flagz", accept="*/*")).content.decode()
    assert "\nmax-requests-inflight=400\n" in text
    reply = await cluster.get("/flagz", accept="application/json;v=v1alpha1;g=config.k8s.io;as=Flagz")
    assert reply.json["flags"]["secure-port"] == "6443"


def test_ids_of_requests_are_random_uuids() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {uuid.UUID(each).version for each in ids} == {4}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}
