"""Server-side apply over HTTP: who comes to manage what, conflicts, force, removal, creation, subresources."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, config, made_kind, pod
from support.applying import CONFIGS, DEPLOYMENTS, PODS, WEB, apply, asked, deployment, managers


async def test_applying_what_is_not_there_creates_it(cluster: Cluster) -> None:
    reply = await apply(cluster, WEB, deployment(replicas=2))
    assert reply.code == 201
    assert managers(reply.json) == {("me", "Apply", ""): {"f:spec": {
        "f:replicas": {}, "f:selector": {},
        "f:template": {"f:metadata": {"f:labels": {"f:app": {}}},
                       "f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:name": {}, "f:image": {}}}}}}}}
    assert reply.json["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"


async def test_what_one_apply_creates_leaves_nothing_behind_in_the_next(cluster: Cluster) -> None:
    url = "/api/v1/namespaces"
    for name in ("one", "two"):
        made = await apply(cluster, f"{url}/{name}", {
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {name: name}}})
        assert made.json["metadata"]["labels"] == {name: name, "kubernetes.io/metadata.name": name}
    assert cluster.registry.ownership.door(made_kind("v1/Namespace"), "", {}).blank == {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {}, "spec": {}, "status": {}}


async def test_applying_the_same_again_writes_nothing(cluster: Cluster) -> None:
    first = await apply(cluster, WEB, deployment(replicas=2))
    await cluster.clock.advance(60)
    again = await apply(cluster, WEB, deployment(replicas=2))
    assert (again.code, again.json) == (200, first.json)


async def test_a_field_of_somebody_else_is_a_conflict_with_a_cause(cluster: Cluster) -> None:
    await apply(cluster, WEB, deployment(replicas=2))
    reply = await apply(cluster, WEB, deployment(replicas=3), "you")
    assert (reply.code, reply.json["reason"]) == (409, "Conflict")
    assert reply.message == 'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
    assert reply.json["details"] == {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.replicas",
                                                 "message": 'conflict with "me"'}]}


async def test_a_conflict_with_an_updater_names_its_version_and_subresource(cluster: Cluster) -> None:
    await cluster.post(f"{DEPLOYMENTS}?fieldManager=maker", deployment(replicas=2))
    reply = await apply(cluster, WEB, deployment(replicas=3, paused=True))
    assert reply.message == 'Apply failed with 1 conflict: conflict with "maker" using apps/v1: .spec.replicas'
    await cluster.patch(f"{WEB}/scale?fieldManager=scaler", {"spec": {"replicas": 5}})
    reply = await apply(cluster, WEB, deployment(replicas=3))
    assert reply.message == ('Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using '
                             "apps/v1: .spec.replicas")


async def test_several_conflicts_are_listed_by_manager(cluster: Cluster) -> None:
    await apply(cluster, f"{CONFIGS}/settings", asked(a="1", b="1"))
    await cluster.patch(f"{CONFIGS}/settings?fieldManager=editor", {"data": {"c": "1"}})
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="2", b="2", c="2"), "you")
    assert reply.message == ('Apply failed with 3 conflicts: conflicts with "editor" using v1:\n- .data.c\n'
                             'conflicts with "me":\n- .data.a\n- .data.b')
    assert len(reply.json["details"]["causes"]) == 3


async def test_what_two_want_alike_is_shared(cluster: Cluster) -> None:
    await apply(cluster, f"{CONFIGS}/settings", asked(a="1"))
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="1"), "you")
    assert managers(reply.json) == {("me", "Apply", ""): {"f:data": {"f:a": {}}},
                                    ("you", "Apply", ""): {"f:data": {"f:a": {}}}}


async def test_force_takes_a_field_from_its_manager(cluster: Cluster) -> None:
    await apply(cluster, f"{CONFIGS}/settings", asked(a="1", b="1"))
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="2"), "you", "&force=true")
    assert reply.json["data"] == {"a": "2", "b": "1"}
    assert managers(reply.json) == {("me", "Apply", ""): {"f:data": {"f:b": {}}},
                                    ("you", "Apply", ""): {"f:data": {"f:a": {}}}}


async def test_what_an_applier_no_longer_mentions_goes_unless_somebody_else_manages_it(cluster: Cluster) -> None:
    await apply(cluster, f"{CONFIGS}/settings", asked(a="1", b="1"))
    await apply(cluster, f"{CONFIGS}/settings", asked(b="1"), "you")
    reply = await apply(cluster, f"{CONFIGS}/settings", asked())
    assert reply.json["data"] == {"b": "1"}
    assert managers(reply.json) == {("you", "Apply", ""): {"f:data": {"f:b": {}}}, ("me", "Apply", ""): {"f:data": {}}}


async def test_a_defaulted_field_comes_back_when_nobody_asks_for_another_value(cluster: Cluster) -> None:
    await apply(cluster, WEB, deployment(replicas=4))
    reply = await apply(cluster, WEB, deployment())
    assert reply.json["spec"]["replicas"] == 1


async def test_items_of_a_list_belong_to_whoever_applied_them(cluster: Cluster) -> None:
    await apply(cluster, WEB, deployment())
    sidecar = deployment()
    sidecar["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "proxy"}]
    reply = await apply(cluster, WEB, sidecar, "injector")
    names = [container["name"] for container in reply.json["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["app", "side"]
    del sidecar["spec"]["template"]["spec"]["containers"]
    reply = await apply(cluster, WEB, sidecar, "injector")
    assert [c["name"] for c in reply.json["spec"]["template"]["spec"]["containers"]] == ["app"]


async def test_ports_are_told_apart_by_protocol_even_where_it_is_not_said(cluster: Cluster) -> None:
    url = "/api/v1/namespaces/default/services/dns"
    wanted = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": {"ports": [
        {"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}]}}
    reply = await apply(cluster, url, wanted)
    assert reply.code == 201
    assert sorted(managers(reply.json)["me", "Apply", ""]["f:spec"]["f:ports"]) == [
        'k:{"port":53,"protocol":"TCP"}', 'k:{"port":53,"protocol":"UDP"}']


async def test_a_creator_manages_what_it_said_and_what_was_defaulted_but_not_what_admission_added(
        cluster: Cluster) -> None:
    reply = await cluster.post(PODS, pod(), user_agent="kubectl/v1.37.0 (linux/amd64)")
    (entry,) = reply.json["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("kubectl", "Update", "v1")
    assert entry["fieldsV1"] == {"f:spec": {
        "f:containers": {'k:{"name":"app"}': {
            ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
            "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}},
        "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {},
        "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}}
    assert reply.json["spec"]["serviceAccountName"] == "default"


CONTAINER = {".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
             "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}


@pytest.mark.parametrize(("url", "body", "owned"), [
    pytest.param(DEPLOYMENTS, deployment(replicas=2), {"f:spec": {
        "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
        "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
        "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
            "f:containers": {'k:{"name":"app"}': CONTAINER}, "f:dnsPolicy": {}, "f:restartPolicy": {},
            "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}}}}, id="deployment"),
    pytest.param("/api/v1/namespaces/default/services", {
        "metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}, {"f:spec": {
            "f:internalTrafficPolicy": {}, "f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {
                ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}},
            "f:selector": {}, "f:sessionAffinity": {}, "f:type": {}}}, id="service"),
    pytest.param("/api/v1/namespaces/default/secrets", {"metadata": {"name": "x"}, "stringData": {"a": "b"}},
                 {"f:data": {".": {}, "f:a": {}}, "f:type": {}}, id="secret"),
    pytest.param("/api/v1/namespaces", {"metadata": {"name": "x"}},
                 {"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}}, id="namespace"),
])
async def test_the_fields_of_a_new_object_are_those_that_kubernetes_records(
        cluster: Cluster, url: str, body: Any, owned: Any) -> None:
    reply = await cluster.post(f"{url}?fieldManager=maker", body)
    assert managers(reply.json) == {("maker", "Update", ""): owned}


async def test_status_is_recorded_with_its_subresource_and_by_no_other_door(cluster: Cluster) -> None:
    made = (await cluster.post(f"{DEPLOYMENTS}?fieldManager=maker", deployment())).json
    made["status"] = {"replicas": 1}
    made["spec"]["replicas"] = 9
    reply = await cluster.put(f"{WEB}/status?fieldManager=controller", made)
    assert managers(reply.json)["controller", "Update", "status"] == {"f:status": {"f:replicas": {}}}
    assert "f:replicas" in managers(reply.json)["maker", "Update", ""]["f:spec"]
    changed = reply.json
    changed["status"] = {"replicas": 5}
    changed["spec"]["paused"] = True
    reply = await cluster.put(f"{WEB}?fieldManager=maker", changed)
    assert reply.json["status"]["replicas"] == 1
    assert "f:status" not in managers(reply.json)["maker", "Update", ""]


async def test_status_can_be_applied(cluster: Cluster) -> None:
    await apply(cluster, WEB, deployment())
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {
        "conditions": [{"type": "Available", "status": "True"}]}, "spec": {"replicas": 7}}
    reply = await apply(cluster, f"{WEB}/status", status, "controller")
    assert reply.json["spec"]["replicas"] == 1
    assert managers(reply.json)["controller", "Apply", "status"] == {"f:status": {"f:conditions": {
        'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}}}}}
    assert (await apply(cluster, f"{DEPLOYMENTS}/none/status", status | {"metadata": {"name": "none"}})).code == 404


async def test_scale_can_be_applied_and_takes_the_replicas(cluster: Cluster) -> None:
    await apply(cluster, WEB, deployment(replicas=1))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    assert (await apply(cluster, f"{WEB}/scale", scale, "hpa")).code == 409
    reply = await apply(cluster, f"{WEB}/scale", scale, "hpa", "&force=true")
    assert (reply.code, reply.json["spec"]) == (200, {"replicas": 4})
    owned = managers((await cluster.get(WEB)).json)
    assert owned["hpa", "Apply", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owned["me", "Apply", ""]["f:spec"]
    entry = next(e for e in (await cluster.get(WEB)).json["metadata"]["managedFields"] if e["manager"] == "hpa")
    assert entry["apiVersion"] == "apps/v1"


async def test_applying_what_nobody_managed_yet_leaves_the_rest_to_before_first_apply(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config(a="1"))
    reset = await cluster.patch(f"{CONFIGS}/settings", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in reset.json["metadata"]
    reply = await cluster.patch(f"{CONFIGS}/settings", {"data": {"b": "1"}})
    assert "managedFields" not in reply.json["metadata"]
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(b="1", c="1"))
    assert managers(reply.json) == {
        ("before-first-apply", "Update", ""): {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
        ("me", "Apply", ""): {"f:data": {"f:b": {}, "f:c": {}}}}


@pytest.mark.parametrize("reset", [pytest.param([], id="empty"), pytest.param([{}], id="one-empty-entry")])
async def test_an_update_can_take_all_managers_away(cluster: Cluster, reset: Any) -> None:
    made = (await cluster.post(CONFIGS, config(a="1"))).json
    assert made["metadata"]["managedFields"]
    made["metadata"]["managedFields"] = reset
    assert "managedFields" not in (await cluster.put(f"{CONFIGS}/settings", made)).json["metadata"]


async def test_managers_are_kept_by_clients_that_do_not_know_of_them(cluster: Cluster) -> None:
    made = (await cluster.post(f"{CONFIGS}?fieldManager=maker", config(a="1"))).json
    del made["metadata"]["managedFields"]
    made["data"]["b"] = "2"
    reply = await cluster.put(f"{CONFIGS}/settings?fieldManager=editor", made)
    assert managers(reply.json) == {("maker", "Update", ""): {"f:data": {".": {}, "f:a": {}}},
                                    ("editor", "Update", ""): {"f:data": {"f:b": {}}}}


async def test_managed_fields_can_be_edited_and_nonsense_in_them_is_ignored(cluster: Cluster) -> None:
    made = (await cluster.post(f"{CONFIGS}?fieldManager=maker", config(a="1"))).json
    made["metadata"]["managedFields"][0]["manager"] = "renamed"
    reply = await cluster.put(f"{CONFIGS}/settings", made)
    assert set(managers(reply.json)) == {("renamed", "Update", "")}
    made = reply.json
    made["metadata"]["managedFields"][0]["fieldsV1"] = {"nonsense": {}}
    reply = await cluster.put(f"{CONFIGS}/settings", made)
    assert managers(reply.json) == {("renamed", "Update", ""): {"f:data": {".": {}, "f:a": {}}}}


async def test_the_eleventh_updater_makes_the_oldest_two_one(cluster: Cluster) -> None:
    await cluster.post(f"{CONFIGS}?fieldManager=m0", config(k0="v"))
    for number in range(1, 12):
        await cluster.clock.advance(1)
        reply = await cluster.patch(f"{CONFIGS}/settings?fieldManager=m{number}", {"data": {f"k{number}": "v"}})
    owned = managers(reply.json)
    assert len(owned) == 10
    assert set(owned["ancient-changes", "Update", ""]["f:data"]) == {".", "f:k0", "f:k1", "f:k2"}


async def test_a_change_of_times_alone_is_not_written(cluster: Cluster) -> None:
    first = await cluster.post("/api/v1/namespaces?fieldManager=maker", {
        "metadata": {"name": "box"}, "spec": {"finalizers": ["kubernetes"]}})
    assert managers(first.json)["maker", "Update", ""]["f:spec"] == {"f:finalizers": {}}
    await cluster.clock.advance(60)
    changed = first.json
    changed["spec"]["finalizers"] = ["what this door does not change"]
    reply = await cluster.put("/api/v1/namespaces/box?fieldManager=maker", changed)
    assert reply.json == first.json


async def test_empty_metadata_is_nobodys(cluster: Cluster) -> None:
    first = await cluster.post(f"{CONFIGS}?fieldManager=maker", config(a="1"))
    changed = first.json
    changed["metadata"] |= {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
    assert (await cluster.put(f"{CONFIGS}/settings?fieldManager=maker", changed)).json == first.json


async def test_a_dry_run_tells_the_managers_and_writes_nothing(cluster: Cluster) -> None:
    reply = await apply(cluster, WEB, deployment(), more="&dryRun=All")
    assert (reply.code, set(managers(reply.json))) == (201, {("me", "Apply", "")})
    assert (await cluster.get(WEB)).code == 404


async def test_an_object_that_is_too_large_with_its_managers_goes_without(cluster: Cluster) -> None:
    filling = {f"k{number:06}": "v" for number in range(60000)}
    reply = await cluster.post(CONFIGS, asked(**filling))
    assert (reply.code, "managedFields" in reply.json["metadata"]) == (201, False)
    refused = await apply(cluster, f"{CONFIGS}/other", asked(**filling) | {"metadata": {"name": "other"}})
    assert refused.message == "etcdserver: request is too large"


class Spoiler:
    """Admission that writes managedFields of its own."""

    def __init__(self, entries: Any) -> None:
        self.entries = entries

    async def admit(self, attributes: Any, obj: Any, old: Any) -> None:
        obj["metadata"]["managedFields"] = self.entries

    async def validate(self, attributes: Any, obj: Any, old: Any) -> None: ...


async def test_admission_may_change_managed_fields_but_not_spoil_them(cluster: Cluster) -> None:
    entry = {"manager": "hook", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:data": {"f:a": {}}}}
    cluster.registry.admission = Spoiler([entry])
    reply = await cluster.post(CONFIGS, config("one", a="1"))
    assert reply.json["metadata"]["managedFields"] == [entry]
    cluster.registry.admission = Spoiler([entry | {"operation": "Guess"}])
    reply = await cluster.post(f"{CONFIGS}?fieldManager=maker", config("two", a="1"))
    assert set(managers(reply.json)) == {("maker", "Update", "")}
    assert ".metadata.managedFields was in an invalid state after admission" in reply.headers["warning"]
    assert "operation must be `Apply` or `Update`" in reply.headers["warning"]


async def test_objects_seen_in_two_versions_keep_managers_of_both(cluster: Cluster) -> None:
    url = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers/web"
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {
        "maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
        "targetCPUUtilizationPercentage": 50}}
    assert (await apply(cluster, url.format("v1"), old, "one")).code == 201
    new = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
           "spec": {"maxReplicas": 6}}
    conflict = await apply(cluster, url.format("v2"), new, "two")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.maxReplicas'
    forced = await apply(cluster, url.format("v2"), new, "two", "&force=true")
    assert "f:maxReplicas" not in managers(forced.json)["one", "Apply", ""]["f:spec"]
    again = old | {"apiVersion": "autoscaling/v2", "spec": {"minReplicas": 2}}
    reply = await apply(cluster, url.format("v2"), again, "one")
    assert managers(reply.json)["one", "Apply", ""] == {"f:spec": {"f:minReplicas": {}}}


async def test_ephemeral_containers_and_approvals_can_be_applied(cluster: Cluster) -> None:
    await cluster.post(f"{PODS}?fieldManager=maker", pod())
    wanted = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"not": "here"}}, "spec": {
        "restartPolicy": "Never", "ephemeralContainers": [{"name": "debug", "image": "busybox"}]}}
    reply = await apply(cluster, f"{PODS}/web/ephemeralcontainers", wanted, "debugger")
    assert reply.json["spec"]["ephemeralContainers"][0]["name"] == "debug"
    assert (reply.json["spec"]["restartPolicy"], reply.json["metadata"].get("labels")) == ("Always", None)
    assert managers(reply.json)["debugger", "Apply", "ephemeralcontainers"] == {"f:spec": {"f:ephemeralContainers": {
        'k:{"name":"debug"}': {".": {}, "f:name": {}, "f:image": {}}}}}
    assert set(managers(reply.json)) == {("debugger", "Apply", "ephemeralcontainers"), ("maker", "Update", "")}


async def test_a_pod_that_is_bound_is_not_managed_by_its_binder(cluster: Cluster) -> None:
    before = (await cluster.post(PODS, pod())).json["metadata"]["managedFields"]
    await cluster.post(f"{PODS}/web/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"},
                                               "target": {"kind": "Node", "name": "n1"}})
    after = (await cluster.get(f"{PODS}/web")).json
    assert (after["spec"]["nodeName"], after["metadata"]["managedFields"]) == ("n1", before)


async def test_what_kubectl_applied_from_the_client_it_may_take_over(cluster: Cluster) -> None:
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"1","b":"1"}}'
    made = config(a="1", b="1")
    made["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": text}
    await cluster.post(f"{CONFIGS}?fieldManager=kubectl-client-side-apply", made)
    await cluster.patch(f"{CONFIGS}/settings?fieldManager=editor", {"data": {"b": "2"}})
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="9", b="9"), "kubectl")
    assert reply.message == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.b'
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="9"), "other")
    assert reply.code == 409
    reply = await apply(cluster, f"{CONFIGS}/settings", asked(a="9"), "kubectl")
    assert (reply.code, reply.json["data"]) == (200, {"a": "9", "b": "2"})
    assert reply.json["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] == (
        '{"apiVersion":"v1","data":{"a":"9"},"kind":"ConfigMap","metadata":{"name":"settings"}}\n')
