"""Paths below an object, and those that are not about objects."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, made_kind, pod

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
async def deployed(cluster: Cluster) -> Cluster:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}}
    reply = await cluster.post(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": {
        "replicas": 2, "template": template, "selector": {
            "matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]}}})
    assert reply.code == 201, reply.content
    return cluster


async def test_scale_shows_and_sets_replicas(deployed: Cluster) -> None:
    scale = (await deployed.get(f"{DEPLOYMENTS}/web/scale")).json
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=web,app"}
    scaled = await deployed.put(f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 5}})
    assert scaled.json["spec"] == {"replicas": 5}
    patched = await deployed.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 1}})
    assert patched.json["spec"] == {"replicas": 1}
    assert (await deployed.get(f"{DEPLOYMENTS}/web")).json["spec"]["replicas"] == 1
    stale = await deployed.put(f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 9}})
    assert stale.code == 409
    assert (await deployed.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}})).code == 422


async def test_a_pod_is_bound_once(cluster: Cluster) -> None:
    await cluster.post(PODS, pod())
    binding = {"metadata": {"name": "web", "annotations": {"why": "room"}}, "target": {"kind": "Node", "name": "n1"}}
    assert (await cluster.post(f"{PODS}/web/binding", binding)).code == 201
    bound = (await cluster.get(f"{PODS}/web")).json
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"why": "room"}
    assert bound["metadata"]["generation"] == 1, "a place is not a change of what is wanted"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    again = await cluster.post(f"{PODS}/web/binding", binding | {"target": {"name": "n2"}})
    assert (again.code, again.message) == (
        409, 'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"')


async def test_binding_ends_a_nomination(cluster: Cluster) -> None:
    await cluster.post(PODS, pod())
    await cluster.patch(f"{PODS}/web/status", {"status": {"nominatedNodeName": "n2"}})
    assert (await cluster.post(f"{PODS}/web/binding", {"target": {"name": "n1"}})).code == 201
    assert "nominatedNodeName" not in (await cluster.get(f"{PODS}/web")).json["status"]


async def test_the_older_door_to_bindings(cluster: Cluster) -> None:
    await cluster.post(PODS, pod())
    reply = await cluster.post("/api/v1/namespaces/default/bindings",
                               {"metadata": {"name": "web"}, "target": {"name": "n1"}})
    assert reply.code == 201
    missing = await cluster.post("/api/v1/namespaces/default/bindings", {"metadata": {"name": "web"}})
    assert missing.code == 422
    assert "target.name: Required value" in missing.message


async def running_pod(cluster: Cluster) -> None:
    await cluster.post(PODS, pod(nodeName="n1") | {"metadata": {"name": "web", "labels": {"app": "web"}}})
    await cluster.patch(f"{PODS}/web/status", {"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True"}]}})


async def budget(cluster: Cluster, **status: Any) -> None:
    url = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    made = await cluster.post(url, {"metadata": {"name": "b"}, "spec": {
        "minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}})
    assert made.code == 201, made.content
    reply = await cluster.patch(f"{url}/b/status", {"status": {"observedGeneration": 1} | status})
    assert reply.code == 200, reply.content


async def test_an_eviction_deletes(cluster: Cluster) -> None:
    await running_pod(cluster)
    assert (await cluster.post(f"{PODS}/web/eviction", {"metadata": {"name": "web"}})).code == 201
    assert "deletionTimestamp" in (await cluster.get(f"{PODS}/web")).json["metadata"]


async def test_a_budget_refuses_an_eviction(cluster: Cluster) -> None:
    await running_pod(cluster)
    await budget(cluster, disruptionsAllowed=0, currentHealthy=1, desiredHealthy=1, expectedPods=1)
    reply = await cluster.post(f"{PODS}/web/eviction", {"metadata": {"name": "web"}})
    assert (reply.code, reply.json["reason"]) == (429, "TooManyRequests")
    assert reply.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert reply.json["details"]["causes"][0]["message"] == \
        "The disruption budget b needs 1 healthy pods and has 1 currently"


async def test_an_eviction_costs_the_budget_one(cluster: Cluster) -> None:
    await running_pod(cluster)
    await budget(cluster, disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1, expectedPods=2)
    assert (await cluster.post(f"{PODS}/web/eviction", {})).code == 201
    status = (await cluster.get("/apis/policy/v1/namespaces/default/poddisruptionbudgets/b")).json["status"]
    assert status["disruptionsAllowed"] == 0
    assert list(status["disruptedPods"]) == ["web"]


async def test_ephemeral_containers_are_added_and_never_taken_away(cluster: Cluster) -> None:
    await cluster.post(PODS, pod())
    url = f"{PODS}/web/ephemeralcontainers"
    debug = {"name": "debug", "image": "busybox"}
    added = await cluster.patch(url, {"spec": {"ephemeralContainers": [debug]}}, "strategic-merge-patch")
    assert added.code == 200, added.content
    assert added.json["spec"]["ephemeralContainers"][0]["name"] == "debug"
    removed = await cluster.patch(url, {"spec": {"ephemeralContainers": None}})
    assert removed.code == 422
    assert "may not be removed" in removed.message


async def test_reviews_are_answered_and_not_stored(cluster: Cluster) -> None:
    reply = await cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
    assert (reply.code, reply.json["status"]["allowed"]) == (201, True)
    who = await cluster.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.json["status"]["userInfo"]["username"] == "admin"


async def test_health_version_and_metrics(cluster: Cluster) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        reply = await cluster.get(path)
        assert (reply.code, reply.content) == (200, b"ok")
    verbose = (await cluster.get("/readyz?verbose")).content.decode()
    assert verbose.endswith("readyz check passed\n")
    assert "[+]etcd ok" in verbose
    assert (await cluster.get("/livez/ping")).content == b"ok"
    assert (await cluster.get("/livez/nonsense")).code == 404
    assert (await cluster.get("/version")).json["gitVersion"] == "v1.37.0+timonier"
    metrics = (await cluster.get("/metrics")).content.decode()
    assert 'apiserver_request_total{code="200",component="apiserver"' in metrics
    assert 'apiserver_storage_objects{resource="namespaces"} 4.0' in metrics
    assert "apiserver_request_duration_seconds_bucket" in metrics
    assert (await cluster.get("/apis")).json["kind"] == "APIGroupList"
    assert (await cluster.get("/openid/v1/jwks")).json["keys"]


async def test_readiness_says_what_is_missing(cluster: Cluster) -> None:
    cluster.server.closing = True
    reply = await cluster.get("/readyz")
    assert reply.code == 500
    assert "[-]shutdown failed: reason withheld" in reply.content.decode()


async def test_every_cluster_has_its_first_objects(cluster: Cluster) -> None:
    namespaces = (await cluster.get("/api/v1/namespaces")).json["items"]
    assert [item["metadata"]["name"] for item in namespaces] == ["default", "kube-node-lease", "kube-public",
                                                                 "kube-system"]
    classes = (await cluster.get("/apis/scheduling.k8s.io/v1/priorityclasses")).json["items"]
    assert [item["value"] for item in classes] == [2_000_000_000, 2_000_001_000]
    cidr = (await cluster.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")).json
    assert cidr["spec"]["cidrs"] == ["10.96.0.0/16"]


async def test_starting_again_leaves_users_changes_alone(cluster: Cluster) -> None:
    from timonier.apiserver.bootstrap import bootstrap

    await cluster.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"team": "a"}}})
    await cluster.patch("/api/v1/namespaces/default/endpoints/kubernetes", {"subsets": None})
    await bootstrap(cluster.registry, cluster.server.settings)
    assert cluster.registry.peek(made_kind("v1/Namespace"), "", "default")["metadata"]["labels"]["team"] == "a"
    endpoints = (await cluster.get("/api/v1/namespaces/default/endpoints/kubernetes")).json
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.0.0.1"}]


async def test_the_user_that_is_impersonated_counts(cluster: Cluster) -> None:
    reply = await cluster.get(PODS, **{"impersonate-user": "nobody"})
    assert (reply.code, reply.json["reason"]) == (403, "Forbidden")
    assert 'User "nobody" cannot list resource "pods" in API group "" in the namespace "default"' in reply.message


async def test_health_checks_are_counted_for_service_level_indicators(cluster: Cluster) -> None:
    await cluster.get("/readyz")
    text = (await cluster.get("/metrics/slis")).content.decode()
    assert 'kubernetes_healthcheck{name="etcd",type="readyz"} 1.0' in text
    assert 'kubernetes_healthchecks_total{name="etcd",status="success",type="readyz"} 1.0' in text


async def test_checks_that_are_unknown_cannot_be_excluded(cluster: Cluster) -> None:
    text = (await cluster.get("/livez?verbose&exclude=etcd&exclude=nothing")).content.decode()
    assert "[+]etcd excluded: ok\n" in text
    assert 'warn: some health checks cannot be excluded: no matches for "nothing"\n' in text


async def test_events_that_watchers_get_are_counted(cluster: Cluster) -> None:
    await cluster.watch("/api/v1/namespaces?watch=1")
    text = (await cluster.get("/metrics")).content.decode()
    assert 'apiserver_watch_events_total{group="",resource="namespaces",version="v1"} 4.0' in text
    assert 'apiserver_resource_objects{group="",resource="namespaces"} 4.0' in text
