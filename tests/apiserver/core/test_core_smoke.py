from __future__ import annotations

from support.api_server import Cluster, config, pod


async def test_a_pod_goes_in_and_comes_out(cluster: Cluster) -> None:
    created = await cluster.post("/api/v1/namespaces/default/pods", pod())
    assert created.code == 201, created.content
    got = await cluster.get("/api/v1/namespaces/default/pods/web")
    assert got.code == 200
    assert got.json == created.json
    assert got.json["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


async def test_a_config_map_too(cluster: Cluster) -> None:
    created = await cluster.post("/api/v1/namespaces/default/configmaps", config(a="b"))
    assert created.code == 201, created.content
