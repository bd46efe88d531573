"""Pods resized through /resize: what is taken, what is refused and how, and what quotas and limits have to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, running

from timonier.api.types import core_v1
from timonier.node.kubelet import resize
from timonier.node.kubelet.report import difference

NAMESPACE = "/api/v1/namespaces/default"
PODS, RESIZE = f"{NAMESPACE}/pods", f"{NAMESPACE}/pods/web/resize"
STRATEGIC = "strategic-merge-patch"
SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


def container(name: str = "app", resources: Any = None, image: str = "app:1", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "resources": SMALL if resources is None else resources} | more


def pod(*containers: Any, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": list(containers) or [container()]} | spec}


def cpu(amount: str | None, side: str = "requests", name: str = "app", field: str = "containers") -> dict[str, Any]:
    return {"spec": {field: [{"name": name, "resources": {side: {"cpu": amount}}}]}}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as made:
        await made.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        yield made


async def made(cluster: Cluster, wanted: Any = None) -> Any:
    reply = await cluster.post(PODS, wanted or pod())
    assert reply.code == 201, reply.content
    return reply.json


async def node(cluster: Cluster, os: str = "linux", **status: Any) -> None:
    await cluster.post("/api/v1/nodes", {"metadata": {"name": "n", "labels": {"kubernetes.io/os": os}}})
    reply = await cluster.patch("/api/v1/nodes/n/status", {"status": {
        "allocatable": {"cpu": "2", "memory": "1Gi"}} | status})
    assert reply.code == 200, reply.content


async def test_cpu_and_memory_change_and_nothing_else(cluster: Cluster) -> None:
    before = await made(cluster)
    reply = await cluster.patch(RESIZE, cpu("150m") | {"metadata": {"labels": {"a": "b"}}}, STRATEGIC)
    assert reply.code == 200, reply.content
    after = reply.json
    assert after["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "150m", "memory": "64Mi"}
    assert "labels" not in after["metadata"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    after["spec"]["containers"][0] |= {"image": "app:2", "resources": SMALL}
    put = await cluster.put(RESIZE, after)
    assert put.code == 200, put.content
    assert put.json["spec"]["containers"][0]["image"] == "app:1"
    assert put.json["spec"]["containers"][0]["resources"] == SMALL
    again = await cluster.put(RESIZE, put.json)
    assert again.json["metadata"]["resourceVersion"] == put.json["metadata"]["resourceVersion"]
    assert (await cluster.get(RESIZE)).json == again.json


async def test_a_resize_is_remembered_as_made_through_its_door(cluster: Cluster) -> None:
    await made(cluster)
    applied = await cluster.call("PATCH", f"{RESIZE}?fieldManager=vpa&force=true", {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {
            "nodeSelector": {"a": "b"}, "containers": [container(image="app:2", resources={
                "requests": {"cpu": "150m"}})]}}, content_type="application/apply-patch+yaml")
    assert applied.code == 200, applied.content
    [entry] = [each for each in applied.json["metadata"]["managedFields"] if each["manager"] == "vpa"]
    assert (entry["operation"], entry["subresource"]) == ("Apply", "resize")
    assert entry["fieldsV1"] == {"f:spec": {"f:containers": {'k:{"name":"app"}': {
        ".": {}, "f:name": {}, "f:resources": {"f:requests": {"f:cpu": {}}}}}}}
    assert applied.json["spec"]["containers"][0]["image"] == "app:1"
    assert applied.json["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "150m", "memory": "64Mi"}


@pytest.mark.parametrize(("wanted", "patch", "why"), [
    pytest.param(pod(container(resources={"requests": SMALL["requests"]})), cpu(None),
                 "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
                 id="removed-request"),
    pytest.param(pod(), cpu(None, "limits"), "spec.containers[0].resources.limits: Forbidden: resource limits cannot "
                 "be removed", id="removed-limit"),
    pytest.param(pod(), cpu("200m"), 'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of '
                 "resizing", id="other-quality"),
    pytest.param(pod(), {"spec": {"containers": [{"name": "app", "resources": {"requests": {
        "ephemeral-storage": "1Gi"}}}]}}, "spec: Forbidden: only cpu and memory resources are mutable", id="storage"),
    pytest.param(pod(), {"spec": {"containers": [container("more")]}},
                 "spec.containers: Forbidden: containers may not be added or removed on resize", id="added"),
    pytest.param(pod(container("a"), container("b")), {"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        "spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize", id="reordered"),
    pytest.param(pod(initContainers=[container("init", resizePolicy=[
        {"resourceName": "cpu", "restartPolicy": "RestartContainer"}], restartPolicy="Always")]),
        {"spec": {"initContainers": [{"name": "init", "resources": {"requests": {"ephemeral-storage": "1Gi"}}}]}},
        "spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable",
        id="sidecar"),
    pytest.param(pod(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}), {"spec": {"resources": None}},
                 "spec.resources: Forbidden: pod-level resources cannot be removed", id="removed-of-the-whole"),
    pytest.param(pod(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}), {
        "spec": {"resources": {"limits": {"memory": None}}}},
        "spec.resources.limits: Forbidden: pod-level resource limits cannot be removed", id="limit-of-the-whole"),
])
async def test_other_changes_are_refused(cluster: Cluster, wanted: Any, patch: Any, why: str) -> None:
    await made(cluster, wanted)
    reply = await cluster.patch(RESIZE, patch, STRATEGIC)
    assert reply.code == 422, reply.content
    assert why in reply.message


async def test_a_pod_as_a_whole_and_its_initialisation_are_resized(cluster: Cluster) -> None:
    await made(cluster, pod(initContainers=[container("init")], resources={"requests": {"cpu": "1", "memory": "1Gi"}}))
    whole = await cluster.patch(RESIZE, {"spec": {"resources": {"requests": {"cpu": "2"}}}}, STRATEGIC)
    assert (whole.code, whole.json["spec"]["resources"]) == (200, {"requests": {"cpu": "2", "memory": "1Gi"}})
    init = await cluster.patch(RESIZE, cpu("150m", name="init", field="initContainers"), STRATEGIC)
    assert init.json["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "150m"


@pytest.mark.parametrize(("told", "code"), [
    pytest.param({}, 422, id="not-told"), pytest.param({"resources": SMALL}, 200, id="told")])
async def test_a_node_that_does_not_tell_what_containers_have_cannot_resize(cluster: Cluster, told: Any,
                                                                           code: int) -> None:
    await made(cluster)
    await cluster.patch(f"{PODS}/web/status", {"status": {"containerStatuses": [
        {"name": "app", "image": "", "imageID": "", "ready": True, "restartCount": 0, "state": {"running": {}}}
        | told]}})
    reply = await cluster.patch(RESIZE, cpu("150m"), STRATEGIC)
    assert reply.code == code, reply.content
    if code != 200:
        assert reply.message.endswith("spec: Forbidden: Pod running on node without support for resize")


async def test_what_a_kubelet_says_of_a_resize_comes_and_goes(cluster: Cluster) -> None:
    await made(cluster)
    before, after = core_v1.PodStatus(), core_v1.PodStatus(
        conditions=[core_v1.PodCondition(type="PodScheduled", status="True"), resize.condition()],
        containerStatuses=[core_v1.ContainerStatus(name="app", resources=core_v1.ResourceRequirements())])

    async def written(old: core_v1.PodStatus, new: core_v1.PodStatus) -> list[str]:
        reply = await cluster.patch(f"{PODS}/web/status", {"status": difference(old, new)}, STRATEGIC)
        assert reply.code == 200, reply.content
        assert reply.json["status"]["containerStatuses"][0]["resources"] == {}
        return sorted(each["type"] for each in reply.json["status"]["conditions"])

    assert await written(before, after) == ["PodResizePending", "PodScheduled"]
    assert await written(after, core_v1.PodStatus(conditions=after.conditions[:1],
                                                  containerStatuses=after.containerStatuses)) == ["PodScheduled"]


async def test_more_than_the_node_has_is_refused(cluster: Cluster) -> None:
    await node(cluster)
    await made(cluster, pod(container(resources={"requests": {"cpu": "100m"}}), nodeName="n"))
    reply = await cluster.patch(RESIZE, cpu("2001m"), STRATEGIC)
    assert (reply.code, reply.message) == (403, 'pods "web" is forbidden: Node didn\'t have enough allocatable '
                                                "resources: cpu, requested: 2001, allocatable: 2000")
    assert reply.json["details"]["causes"] == [{"reason": "NodeCapacity", "message": "", "field": ""}]
    assert (await cluster.patch(RESIZE, cpu("2"), STRATEGIC)).code == 200


async def test_pods_are_resized_on_linux_alone(cluster: Cluster) -> None:
    await node(cluster, "plan9")
    await made(cluster, pod(nodeName="n"))
    reply = await cluster.patch(RESIZE, cpu("150m"), STRATEGIC)
    assert reply.message == 'pods "web" is forbidden: pod resize is only supported on linux nodes, node "n" is "plan9"'
    assert reply.json["details"]["causes"][0]["reason"] == "UnsupportedPlatform"


async def test_what_a_node_does_not_declare_is_not_asked_of_it(cluster: Cluster) -> None:
    await node(cluster)
    await made(cluster, pod(nodeName="n", initContainers=[container("init")]))
    patch = cpu("150m", name="init", field="initContainers")
    reply = await cluster.patch(RESIZE, patch, STRATEGIC)
    assert (reply.code, reply.message) == (403, 'pods "web" is forbidden: pod update requires features '
                                           "InPlacePodVerticalScalingInitContainers which are not available on node "
                                           '"n"')
    await node(cluster, declaredFeatures=["InPlacePodVerticalScalingInitContainers"])
    assert (await cluster.patch(RESIZE, patch, STRATEGIC)).code == 200


async def test_a_quota_is_charged_the_difference(cluster: Cluster) -> None:
    quota = f"{NAMESPACE}/resourcequotas"
    await cluster.post(quota, {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "300m"}}})
    await cluster.patch(f"{quota}/q/status", {"status": {"hard": {"requests.cpu": "300m"},
                                                         "used": {"requests.cpu": "0"}}})
    await made(cluster, pod(container(resources={"requests": {"cpu": "100m"}})))
    reply = await cluster.patch(RESIZE, cpu("301m"), STRATEGIC)
    assert (reply.code, reply.message) == (403, 'pods "web" is forbidden: exceeded quota: q, requested: '
                                           "requests.cpu=201m, used: requests.cpu=100m, limited: requests.cpu=300m")
    assert (await cluster.patch(RESIZE, cpu("250m"), STRATEGIC)).code == 200
    assert (await cluster.get(f"{quota}/q")).json["status"]["used"] == {"requests.cpu": "250m"}


async def test_limit_ranges_bound_resizes(cluster: Cluster) -> None:
    await made(cluster)
    await cluster.post(f"{NAMESPACE}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "200m"}}]}})
    reply = await cluster.patch(RESIZE, cpu("300m", "limits"), STRATEGIC)
    assert (reply.code, reply.message) == (403, 'pods "web" is forbidden: maximum cpu usage per Container is 200m, '
                                           "but limit is 300m")
