from __future__ import annotations

import asyncio

import pytest
from support.api_server import Cluster

from timonier.apiserver import app

PODS = "/api/v1/namespaces/default/pods"


async def test_a_request_that_comes_early_is_answered_once_the_server_has_started(cluster: Cluster) -> None:
    cluster.server.bootstrapped.clear()
    early = asyncio.ensure_future(cluster.get(PODS))
    await cluster.settle()
    assert not early.done()
    cluster.server.bootstrapped.set()
    assert (await early).code == 200


async def test_whoever_waits_too_long_for_the_start_is_told_to_come_again(
        cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "START_SECONDS", 0.0)
    cluster.server.bootstrapped.clear()
    reply = await cluster.get(PODS)
    assert (reply.code, reply.json["reason"]) == (503, "ServiceUnavailable")


async def test_health_is_told_while_the_server_starts(cluster: Cluster) -> None:
    cluster.server.bootstrapped.clear()
    assert (await cluster.get("/livez")).code == 200
    assert (await cluster.get("/readyz")).code == 500
