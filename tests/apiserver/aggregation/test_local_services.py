"""APIServices of what the server answers itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.api_server import running

from timonier.api.kinds import BY_ID
from timonier.apiserver.aggregation.local import keep

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


async def test_each_group_and_version_has_one_that_is_always_available(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        found = {obj["metadata"]["name"]: obj for obj in (await cluster.get(SERVICES)).json["items"]}
        assert {"v1.", "v1.apps", "v2.autoscaling", "v1.apiregistration.k8s.io"} <= found.keys()
        assert found["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
        apps = found["v1.apps"]
        assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
        condition = apps["status"]["conditions"][0]
        assert (condition["type"], condition["status"], condition["reason"], condition["message"]) == (
            "Available", "True", "Local", "Local APIServices are always available")
        revision = cluster.feed.revision
        await keep(cluster.registry)
        assert cluster.feed.revision == revision


async def test_those_of_defined_kinds_come_and_go_with_them(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        thing = replace(BY_ID["v1/ConfigMap"], group="example.com", version="v1", kind="Thing", plural="things",
                        storage="example.com/v1")
        cluster.registry.resources.put("things", [thing])
        await keep(cluster.registry)
        made = (await cluster.get(f"{SERVICES}/v1.example.com")).json
        assert made["spec"] == {"group": "example.com", "version": "v1", "groupPriorityMinimum": 1000,
                                "versionPriority": 100}
        assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
        cluster.registry.resources.drop("things")
        await keep(cluster.registry)
        assert (await cluster.get(f"{SERVICES}/v1.example.com")).code == 404


async def test_what_somebody_changed_of_a_built_in_one_is_put_right(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await keep(cluster.registry)
        await cluster.patch(f"{SERVICES}/v1.apps", {"spec": {"groupPriorityMinimum": 5}})
        await cluster.delete(f"{SERVICES}/v1.batch")
        await keep(cluster.registry)
        assert (await cluster.get(f"{SERVICES}/v1.apps")).json["spec"]["groupPriorityMinimum"] == 17800
        assert (await cluster.get(f"{SERVICES}/v1.batch")).code == 200
