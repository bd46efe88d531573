"""What the server itself writes into objects, keeps from their writers, and insists on, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster, pod

JOBS = "/apis/batch/v1/namespaces/default/jobs"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
TEMPLATE: dict[str, Any] = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b:1"}]}}


async def test_a_job_finds_its_pods_by_its_uid(cluster: Cluster) -> None:
    job = (await cluster.post(JOBS, {"metadata": {"name": "once"}, "spec": {"template": TEMPLATE}})).json
    uid = job["metadata"]["uid"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "once", "controller-uid": uid,
        "job-name": "once"}
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]


async def test_a_job_cannot_pass_for_another(cluster: Cluster) -> None:
    template = TEMPLATE | {"metadata": {"labels": {"job-name": "other"}}}
    refused = await cluster.post(JOBS, {"metadata": {"name": "once"}, "spec": {"template": template}})
    assert (refused.code, refused.message) == (
        422, "Job.batch \"once\" is invalid: spec.template.metadata.labels[job-name]: Invalid value: \"other\": "
        "must be 'once'")


async def test_a_job_with_a_selector_of_its_own_keeps_it(cluster: Cluster) -> None:
    spec = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}},
            "template": TEMPLATE | {"metadata": {"labels": {"a": "b"}}}}
    job = (await cluster.post(JOBS, {"metadata": {"name": "once"}, "spec": spec})).json
    assert job["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {"a": "b"}


async def test_a_cron_job_leaves_the_selector_to_its_jobs(cluster: Cluster) -> None:
    made = await cluster.post("/apis/batch/v1/namespaces/default/cronjobs", {
        "metadata": {"name": "daily"}, "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": TEMPLATE}}}})
    assert "selector" not in made.json["spec"]["jobTemplate"]["spec"]


@pytest.mark.parametrize("field", ["dataSource", "dataSourceRef"])
async def test_what_a_claim_is_filled_with_goes_by_both_names(cluster: Cluster, field: str) -> None:
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "a"}
    claim = (await cluster.post(CLAIMS, {"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, field: source}})).json
    assert claim["spec"]["dataSource"] == claim["spec"]["dataSourceRef"] == source


async def test_a_claim_is_not_filled_from_another_namespace(cluster: Cluster) -> None:
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "a", "namespace": "other"}
    claim = await cluster.post(CLAIMS, {"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "dataSourceRef": source}})
    assert not {"dataSource", "dataSourceRef"} & claim.json["spec"].keys()


async def test_labels_that_others_must_share_become_part_of_the_selector(cluster: Cluster) -> None:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["hash"],
            "mismatchLabelKeys": ["tenant", "absent"]}
    body = pod() | {"metadata": {"name": "web", "labels": {"hash": "1", "tenant": "t"}}}
    body["spec"] = body["spec"] | {"affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    made = (await cluster.post("/api/v1/namespaces/default/pods", body)).json
    (kept,) = made["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert kept["labelSelector"] == {"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "hash", "operator": "In", "values": ["1"]}, {"key": "tenant", "operator": "NotIn", "values": ["t"]}]}


async def test_pods_that_spread_apart_from_others_select_each_other(cluster: Cluster) -> None:
    body = pod() | {"metadata": {"name": "web", "labels": {"hash": "1"}}}
    body["spec"] = body["spec"] | {"topologySpreadConstraints": [
        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {},
         "matchLabelKeys": ["hash"]}]}
    made = (await cluster.post("/api/v1/namespaces/default/pods", body)).json
    (kept,) = made["spec"]["topologySpreadConstraints"]
    assert kept["labelSelector"] == {"matchExpressions": [{"key": "hash", "operator": "In", "values": ["1"]}]}


@pytest.mark.parametrize(("path", "body"), [
    ("/apis/storage.k8s.io/v1/csidrivers", {"spec": {}}),
    ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {"webhooks": []}),
    ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"spec": {"maxUnavailable": 1}}),
], ids=["csi-driver", "webhooks", "budget"])
async def test_some_kinds_are_never_overwritten_unknowingly(cluster: Cluster, path: str, body: dict[str, Any]) -> None:
    made = await cluster.post(path, body | {"metadata": {"name": "a.example.com"}})
    assert made.code == 201, made.content
    blind = await cluster.put(f"{path}/a.example.com", body | {"metadata": {"name": "a.example.com"}})
    assert blind.code == 422
    assert "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update" in blind.message


async def test_the_deprecated_is_told_with_the_answer(cluster: Cluster) -> None:
    body = pod()
    body["spec"] = body["spec"] | {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    made = await cluster.post("/api/v1/namespaces/default/pods", body)
    assert made.headers["warning"] == ('299 - "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; '
                                       'use \\"kubernetes.io/os\\" instead"')


async def test_side_doors_are_judged_by_what_they_may_change(cluster: Cluster) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await cluster.post(pods, pod())
    wrong = await cluster.patch(f"{pods}/web/status", {"status": {"hostIP": "10.0.0.1", "podIPs": [{"ip": "x"}]}})
    assert (wrong.code, wrong.json["details"]["causes"][0]["field"]) == (422, "status.podIPs[0]")
    scaled = "/apis/apps/v1/namespaces/default/replicasets"
    await cluster.post(scaled, {"metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                                                              "spec": {"containers": [{"name": "a", "image": "b"}]}}}})
    few = await cluster.patch(f"{scaled}/web/scale", {"spec": {"replicas": -1}})
    assert few.code == 422
    counted = await cluster.patch(f"{scaled}/web/status", {"status": {"replicas": 1, "readyReplicas": 2}})
    assert counted.message.endswith("status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas")


async def test_an_event_of_the_new_api_says_all_that_it_can(cluster: Cluster) -> None:
    refused = await cluster.post("/apis/events.k8s.io/v1/namespaces/default/events", {
        "metadata": {"name": "e"}, "regarding": {"namespace": "default", "kind": "Pod", "name": "a"}})
    assert refused.code == 422
    assert refused.message.startswith('Event.events.k8s.io "e" is invalid: [eventTime: Required value')
    old = await cluster.post("/api/v1/namespaces/default/events", {
        "metadata": {"name": "e"}, "involvedObject": {"namespace": "default", "kind": "Pod", "name": "a"}})
    assert old.code == 201


async def test_a_volume_remembers_since_when_it_is_as_it_is(cluster: Cluster) -> None:
    volumes = "/api/v1/persistentvolumes"
    made = (await cluster.post(volumes, {"metadata": {"name": "disk"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}}})).json
    assert made["status"] == {"phase": "Pending", "lastPhaseTransitionTime": made["metadata"]["creationTimestamp"]}
    told = "2001-01-01T00:00:00Z"

    async def status(**written: Any) -> dict[str, Any]:
        return (await cluster.patch(f"{volumes}/disk/status", {"status": written})).json["status"]

    assert (await status(phase="Available", lastPhaseTransitionTime=told))["lastPhaseTransitionTime"] == told
    assert (await status(phase="Available", message="ready"))["lastPhaseTransitionTime"] == told
    assert (await status(phase="Bound"))["lastPhaseTransitionTime"] > told


async def test_taints_of_devices_remember_since_when_they_are_there(cluster: Cluster) -> None:
    rules, slices = "/apis/resource.k8s.io/v1/devicetaintrules", "/apis/resource.k8s.io/v1/resourceslices"
    old = "2001-01-01T00:00:00Z"
    made = (await cluster.post(rules, {"metadata": {"name": "broken"}, "spec": {
        "taint": {"key": "a", "effect": "NoSchedule"}}})).json
    assert made["spec"]["taint"]["timeAdded"] == made["metadata"]["creationTimestamp"]

    async def change(**taint: Any) -> str:
        return (await cluster.patch(f"{rules}/broken", {"spec": {"taint": taint}})).json["spec"]["taint"]["timeAdded"]

    assert await change(timeAdded=old) == old
    assert await change(value="b") == old
    assert await change(effect="NoExecute") > old
    spec = {"driver": "a.b", "nodeName": "n", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d", "taints": [{"key": "a", "effect": "NoSchedule"}]}]}
    made = (await cluster.post(slices, {"metadata": {"name": "one"}, "spec": spec})).json
    assert made["spec"]["devices"][0]["taints"][0]["timeAdded"] == made["metadata"]["creationTimestamp"]
