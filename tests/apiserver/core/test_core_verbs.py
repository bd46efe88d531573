"""What the verbs do to objects: creating, reading, replacing, patching and deleting them, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, config, pod

CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template} | spec}


async def test_a_pod_goes_in_and_comes_out(cluster: Cluster) -> None:
    created = await cluster.post(PODS, pod())
    assert created.code == 201, created.content
    got = await cluster.get(f"{PODS}/web")
    assert got.code == 200
    assert got.json == created.json
    assert got.json["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


async def test_what_the_server_owns_is_not_taken_from_the_user(cluster: Cluster) -> None:
    body = config() | {"metadata": {"name": "settings", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z",
                                    "deletionTimestamp": "2001-01-01T00:00:00Z"}}
    metadata = (await cluster.post(CONFIGS, body)).json["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert "deletionTimestamp" not in metadata
    assert metadata["namespace"] == "default"


async def test_a_name_is_taken_once(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config())
    again = await cluster.post(CONFIGS, config())
    assert (again.code, again.json["reason"]) == (409, "AlreadyExists")
    assert again.message == 'configmaps "settings" already exists'
    assert again.json["details"] == {"name": "settings", "kind": "configmaps"}


async def test_names_are_generated(cluster: Cluster) -> None:
    body = config() | {"metadata": {"generateName": "settings-"}}
    names = {(await cluster.post(CONFIGS, body)).json["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("settings-") and len(name) == 14 for name in names)


async def test_generated_names_that_collide_are_drawn_again(cluster: Cluster) -> None:
    draws = iter(["same", "same", "other"])
    cluster.registry.generated_name = lambda base: base + next(draws)
    body = config() | {"metadata": {"generateName": "a-"}}
    assert (await cluster.post(CONFIGS, body)).json["metadata"]["name"] == "a-same"
    assert (await cluster.post(CONFIGS, body)).json["metadata"]["name"] == "a-other"


async def test_names_that_always_collide_are_reported(cluster: Cluster) -> None:
    cluster.registry.generated_name = lambda base: base + "same"
    body = config() | {"metadata": {"generateName": "a-"}}
    await cluster.post(CONFIGS, body)
    reply = await cluster.post(CONFIGS, body)
    assert (reply.code, reply.json["reason"]) == (409, "AlreadyExists")
    assert "was not able to generate a unique name" in reply.message


async def test_replacing_bumps_the_version_and_keeps_the_identity(cluster: Cluster) -> None:
    first = (await cluster.post(CONFIGS, config(a="1"))).json
    second = (await cluster.put(f"{CONFIGS}/settings", first | {"data": {"a": "2"}})).json
    assert second["data"] == {"a": "2"}
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_replacing_from_an_old_version_is_refused(cluster: Cluster) -> None:
    first = (await cluster.post(CONFIGS, config(a="1"))).json
    await cluster.put(f"{CONFIGS}/settings", first | {"data": {"a": "2"}})
    late = await cluster.put(f"{CONFIGS}/settings", first | {"data": {"a": "3"}})
    assert (late.code, late.json["reason"]) == (409, "Conflict")
    assert late.message == ('Operation cannot be fulfilled on configmaps "settings": the object has been modified; '
                            'please apply your changes to the latest version and try again')


async def test_a_write_that_changes_nothing_writes_nothing(cluster: Cluster) -> None:
    first = (await cluster.post(CONFIGS, config(a="1"))).json
    assert (await cluster.put(f"{CONFIGS}/settings", first)).json == first
    assert (await cluster.patch(f"{CONFIGS}/settings", {"data": {"a": "1"}})).json == first


async def test_leases_insist_on_a_version(cluster: Cluster) -> None:
    url = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    made = await cluster.put(f"{url}/l", lease)
    assert made.code == 201
    reply = await cluster.put(f"{url}/l", lease | {"spec": {"holderIdentity": "you"}})
    assert reply.code == 422
    assert "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update" in reply.message


@pytest.mark.parametrize(("name", "namespace", "message"), [
    pytest.param("other", "default", "the name of the object (other) does not match the name on the URL (settings)",
                 id="name"),
    pytest.param("settings", "elsewhere", "the namespace of the provided object does not match the namespace sent on "
                                          "the request", id="namespace"),
])
async def test_body_and_path_agree(cluster: Cluster, name: str, namespace: str, message: str) -> None:
    await cluster.post(CONFIGS, config())
    reply = await cluster.put(f"{CONFIGS}/settings", config() | {"metadata": {"name": name, "namespace": namespace}})
    assert (reply.code, reply.message) == (400, message)


async def test_generation_counts_what_is_wanted(cluster: Cluster) -> None:
    url = "/apis/apps/v1/namespaces/default/deployments"
    first = (await cluster.post(url, deployment())).json
    assert first["metadata"]["generation"] == 1
    scaled = (await cluster.patch(f"{url}/web", {"spec": {"replicas": 3}})).json
    assert scaled["metadata"]["generation"] == 2
    labelled = (await cluster.patch(f"{url}/web", {"metadata": {"labels": {"a": "b"}}})).json
    assert labelled["metadata"]["generation"] == 2
    annotated = (await cluster.patch(f"{url}/web", {"metadata": {"annotations": {"a": "b"}}})).json
    assert annotated["metadata"]["generation"] == 3
    status = (await cluster.patch(f"{url}/web/status", {"status": {"replicas": 3}})).json
    assert status["metadata"]["generation"] == 3


async def test_labels_and_annotations_may_come_with_a_status(cluster: Cluster) -> None:
    noted = {"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}}, "status": {"replicas": 1}}
    url = "/apis/apps/v1/namespaces/default/replicasets"
    await cluster.post(url, deployment() | {"kind": "ReplicaSet"})
    told = (await cluster.patch(f"{url}/web/status", noted)).json["metadata"]
    assert (told["labels"]["l"], told["annotations"]) == ("1", {"a": "1"})
    url = "/apis/apps/v1/namespaces/default/deployments"
    await cluster.post(url, deployment())
    told = (await cluster.patch(f"{url}/web/status", noted)).json["metadata"]
    assert (told.get("labels", {}).get("l"), told["annotations"], told["generation"]) == (None, {"a": "1"}, 1)
    url = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
    await cluster.post(url, {"metadata": {"name": "f"}, "spec": {"priorityLevelConfiguration": {"name": "exempt"}}})
    reply = await cluster.patch(f"{url}/f/status", {"metadata": {"annotations": {"a": "1"}}, "status": {
        "conditions": [{"type": "Dangling", "status": "True"}]}})
    assert "annotations" not in reply.json["metadata"]
    assert reply.json["status"]["conditions"][0]["type"] == "Dangling"


async def test_a_pods_status_does_not_change_its_owner(cluster: Cluster) -> None:
    url, owner = "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}
    await cluster.post(url, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    told = await cluster.patch(f"{url}/p/status", {"metadata": {"ownerReferences": [owner]},
                                                   "status": {"phase": "Running"}})
    assert told.json["status"]["phase"] == "Running"
    assert "ownerReferences" not in told.json["metadata"]


async def test_spec_and_status_are_written_through_different_doors(cluster: Cluster) -> None:
    url = "/apis/apps/v1/namespaces/default/deployments"
    created = (await cluster.post(url, deployment() | {"status": {"replicas": 9}})).json
    assert "replicas" not in created["status"]
    main = (await cluster.put(f"{url}/web", created | {"status": {"replicas": 9}})).json
    assert "replicas" not in main["status"]
    changed = created | {"spec": created["spec"] | {"replicas": 7}, "status": {"replicas": 1, "observedGeneration": 1}}
    status = (await cluster.put(f"{url}/web/status", changed)).json
    assert status["spec"]["replicas"] == 1
    assert status["status"]["replicas"] == 1


async def test_dry_run_answers_and_writes_nothing(cluster: Cluster) -> None:
    before = cluster.feed.revision
    reply = await cluster.post(f"{CONFIGS}?dryRun=All", config())
    assert reply.code == 201
    assert (await cluster.get(f"{CONFIGS}/settings")).code == 404
    await cluster.post(CONFIGS, config())
    assert (await cluster.delete(f"{CONFIGS}/settings?dryRun=All")).code == 200
    assert (await cluster.patch(f"{CONFIGS}/settings?dryRun=All", {"data": {"x": "y"}})).json["data"] == {"x": "y"}
    assert not (await cluster.get(f"{CONFIGS}/settings")).json.get("data")
    assert cluster.feed.revision == before + 1


@pytest.mark.parametrize(("kind", "patch"), [
    pytest.param("json-patch", [{"op": "replace", "path": "/data/a", "value": "2"}], id="json"),
    pytest.param("merge-patch", {"data": {"a": "2"}}, id="merge"),
    pytest.param("strategic-merge-patch", {"data": {"a": "2"}}, id="strategic"),
])
async def test_every_kind_of_patch(cluster: Cluster, kind: str, patch: Any) -> None:
    await cluster.post(CONFIGS, config(a="1", b="1"))
    reply = await cluster.patch(f"{CONFIGS}/settings", patch, kind)
    assert reply.code == 200, reply.content
    assert reply.json["data"] == {"a": "2", "b": "1"}


async def test_patches_by_many_at_once_all_count(cluster: Cluster) -> None:
    import asyncio

    await cluster.post(CONFIGS, config())
    await asyncio.gather(*(cluster.patch(f"{CONFIGS}/settings", {"data": {f"k{n}": "v"}}) for n in range(20)))
    assert len((await cluster.get(f"{CONFIGS}/settings")).json["data"]) == 20


async def test_a_patch_cannot_rename(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config())
    reply = await cluster.patch(f"{CONFIGS}/settings", {"metadata": {"name": "other"}})
    assert reply.code == 400


async def test_deleting_answers_with_a_status_or_the_object(cluster: Cluster) -> None:
    uid = (await cluster.post(CONFIGS, config())).json["metadata"]["uid"]
    reply = await cluster.delete(f"{CONFIGS}/settings")
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                          "details": {"name": "settings", "kind": "configmaps", "uid": uid}}
    await cluster.post(PODS, pod())
    assert (await cluster.delete(f"{PODS}/web")).json["kind"] == "Pod"
    assert (await cluster.get(f"{PODS}/web")).code == 404


async def test_a_pod_that_runs_is_given_time(cluster: Cluster) -> None:
    await cluster.post(PODS, pod(nodeName="n1"))
    marked = (await cluster.delete(f"{PODS}/web")).json["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert marked["deletionTimestamp"] == "2023-11-14T22:13:50Z"
    again = (await cluster.delete(f"{PODS}/web")).json["metadata"]
    assert again["resourceVersion"] == marked["resourceVersion"]
    shorter = (await cluster.delete(f"{PODS}/web?gracePeriodSeconds=5")).json["metadata"]
    assert shorter["deletionTimestamp"] == "2023-11-14T22:13:25Z"
    assert (await cluster.delete(f"{PODS}/web", {"gracePeriodSeconds": 0})).code == 200
    assert (await cluster.get(f"{PODS}/web")).code == 404


async def test_finalizers_hold_an_object(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config() | {"metadata": {"name": "settings", "finalizers": ["example.com/wait"]}})
    marked = (await cluster.delete(f"{CONFIGS}/settings")).json
    assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    assert (await cluster.get(f"{CONFIGS}/settings")).code == 200
    released = await cluster.patch(f"{CONFIGS}/settings", {"metadata": {"finalizers": None}})
    assert released.code == 200
    assert (await cluster.get(f"{CONFIGS}/settings")).code == 404


@pytest.mark.parametrize(("policy", "finalizers"), [
    pytest.param("Orphan", ["orphan"], id="orphan"),
    pytest.param("Foreground", ["foregroundDeletion"], id="foreground"),
])
async def test_propagation_becomes_a_finalizer(cluster: Cluster, policy: str, finalizers: list[str]) -> None:
    await cluster.post(CONFIGS, config())
    reply = await cluster.delete(f"{CONFIGS}/settings", {"propagationPolicy": policy})
    assert reply.json["metadata"]["finalizers"] == finalizers


@pytest.mark.parametrize("preconditions", [
    pytest.param({"uid": "another"}, id="uid"), pytest.param({"resourceVersion": "1"}, id="version")])
async def test_preconditions_guard_a_deletion(cluster: Cluster, preconditions: dict[str, str]) -> None:
    await cluster.post(CONFIGS, config())
    reply = await cluster.delete(f"{CONFIGS}/settings", {"preconditions": preconditions})
    assert (reply.code, reply.json["reason"]) == (409, "Conflict")
    assert "Precondition failed" in reply.message


async def test_a_collection_is_deleted_by_selector(cluster: Cluster) -> None:
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        await cluster.post(CONFIGS, config() | {"metadata": {"name": name, "labels": {"app": app}}})
    reply = await cluster.delete(f"{CONFIGS}?labelSelector=app=x")
    assert [item["metadata"]["name"] for item in reply.json["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in (await cluster.get(CONFIGS)).json["items"]] == ["c"]


async def test_a_namespace_waits_for_its_finalizer(cluster: Cluster) -> None:
    made = (await cluster.post("/api/v1/namespaces", {"metadata": {"name": "team"}})).json
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    dying = (await cluster.delete("/api/v1/namespaces/team")).json
    assert dying["status"]["phase"] == "Terminating"
    refused = await cluster.post("/api/v1/namespaces/team/configmaps", config())
    assert refused.code == 403
    assert "because it is being terminated" in refused.message
    final = await cluster.put("/api/v1/namespaces/team/finalize", dying | {"spec": {"finalizers": []}})
    assert final.code == 200, final.content
    assert (await cluster.get("/api/v1/namespaces/team")).code == 404


async def test_secrets_are_written_as_strings_and_kept_as_bytes(cluster: Cluster) -> None:
    made = await cluster.post("/api/v1/namespaces/default/secrets", {
        "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}})
    assert made.json["data"] == {"password": "aHVudGVyMg=="}
    assert "stringData" not in made.json
    assert made.json["type"] == "Opaque"


async def test_events_are_one_thing_in_two_versions(cluster: Cluster) -> None:
    core = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
            "reason": "Started", "message": "it began", "type": "Normal", "count": 2,
            "source": {"component": "kubelet"}}
    made = await cluster.post("/api/v1/namespaces/default/events", core)
    assert made.code == 201, made.content
    other = (await cluster.get("/apis/events.k8s.io/v1/namespaces/default/events/e")).json
    assert other["apiVersion"] == "events.k8s.io/v1"
    assert (other["note"], other["regarding"]["name"], other["deprecatedCount"]) == ("it began", "web", 2)
    listed = (await cluster.get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name=web")).json
    assert [item["note"] for item in listed["items"]] == ["it began"]


async def test_autoscalers_are_one_thing_in_two_versions(cluster: Cluster) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization",
                                                                           "averageUtilization": 70}}}
    made = await cluster.post("/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", {
        "metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5,
                                            "targetCPUUtilizationPercentage": 60}})
    assert made.code == 201, made.content
    url = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h"
    newer = (await cluster.get(url)).json
    assert newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    await cluster.put(url, newer | {"spec": newer["spec"] | {"metrics": [*newer["spec"]["metrics"], memory]}})
    older = (await cluster.get(url.replace("v2", "v1"))).json
    assert older["spec"]["targetCPUUtilizationPercentage"] == 60
    back = (await cluster.put(url.replace("v2", "v1"), older | {"spec": older["spec"] | {"maxReplicas": 6}})).json
    assert back["spec"]["maxReplicas"] == 6
    assert (await cluster.get(url)).json["spec"]["metrics"][1] == memory


async def test_extensions_do_not_claim_to_be_established(cluster: Cluster) -> None:
    crd = {"metadata": {"name": "things.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": True, "storage": True,
                      "schema": {"openAPIV3Schema": {"type": "object"}}}]}}
    made = await cluster.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    assert made.code == 201, made.content
    assert not made.json.get("status", {}).get("conditions")


async def test_users_of_deprecated_kinds_are_warned(cluster: Cluster) -> None:
    reply = await cluster.get("/api/v1/namespaces/default/endpoints")
    assert reply.headers["warning"] == \
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    assert "warning" not in (await cluster.get(CONFIGS)).headers
