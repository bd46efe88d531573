"""Pods with a spec that has been seen before: the server knows much of them already, and nobody can tell."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from support.api_server import Cluster, Reply

from timonier.apiserver.templates import LONGEST, Late, short

PODS = "/api/v1/namespaces/default/pods"
OFTEN = 5
APP = {"name": "app", "image": "nginx"}
SPECS: dict[str, dict[str, Any]] = {
    "the least": {"containers": [APP]},
    "resources": {"containers": [APP | {"resources": {"limits": {"cpu": "0.10", "memory": "1024Mi"}}}]},
    "many parts": {
        "initContainers": [{"name": "init", "image": "busybox:1", "command": ["true"]}],
        "containers": [APP | {"ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "b"}, {"name": "C"}],
                              "livenessProbe": {"httpGet": {"port": 80}},
                              "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}], "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}], "securityContext": {"runAsNonRoot": True},
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["app"]}]}}},
    "nulls": {"containers": [APP | {"command": None}], "nodeSelector": None},
    "on the host": {"hostNetwork": True, "containers": [APP | {"ports": [{"containerPort": 8080}]}]},
    "gated": {"schedulingGates": [{"name": "example.com/wait"}], "containers": [APP]},
    "no token": {"automountServiceAccountToken": False, "containers": [APP]},
    "unknown field": {"containers": [APP | {"imagePolicy": "Always"}]},
    "warned of": {"containers": [APP | {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]},
    "wrong": {"containers": [APP | {"ports": [{"containerPort": 123456}]}]},
    "nothing": {},
    "nothing but nulls": {"containers": None, "nodeSelector": None},
    "another type": {"containers": "app"},
    "too long": {"containers": [APP | {"args": ["x" * LONGEST]}]},
    "claims of its own": {"containers": [APP], "volumes": [{"name": "data", "ephemeral": {"volumeClaimTemplate": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}]},
}


def pod(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": "web"}, **metadata}, "spec": deepcopy(spec)}


def like(reply: Reply, name: str) -> tuple[int, str | None, str]:
    """An answer without what differs from pod to pod; the order of its fields counts."""
    obj, text = reply.json, reply.content.decode()
    for field in ("uid", "resourceVersion"):
        text = text.replace(f'"{obj["metadata"].get(field)}"', f'"{field}"')
    return reply.code, reply.headers.get("warning"), text.replace(name, "NAME")


@pytest.mark.parametrize("which", SPECS)
async def test_pods_of_one_spec_are_answered_alike(cluster: Cluster, which: str) -> None:
    names = [f"web-{number}" for number in range(OFTEN)]
    answers = [like(await cluster.post(PODS, pod(name, SPECS[which])), name) for name in names]
    assert answers[1:] == answers[:1] * (OFTEN - 1)


@pytest.mark.parametrize("which", SPECS)
async def test_what_is_stored_is_what_was_answered(cluster: Cluster, which: str) -> None:
    for number in range(OFTEN):
        answer = await cluster.post(PODS, pod(f"web-{number}", SPECS[which]))
        if answer.code == 201:
            assert (await cluster.get(f"{PODS}/web-{number}")).content == answer.content


async def known(cluster: Cluster, spec: dict[str, Any]) -> None:
    """Let the server see a spec as often as it wants to."""
    for number in range(OFTEN):
        assert (await cluster.post(PODS, pod(f"known-{number}", spec))).code == 201


async def test_metadata_is_judged_for_each(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    labelled = await cluster.post(PODS, pod("web", SPECS["the least"], labels={"app": "not a label"}))
    assert labelled.message.startswith('Pod "web" is invalid: metadata.labels: Invalid value: "not a label"')
    annotated = await cluster.post(PODS, pod("web", SPECS["the least"],
                                             annotations={"kubernetes.io/config.mirror": "abc"}))
    assert "must set spec.nodeName if mirror pod annotation is set" in annotated.message


async def test_owners_without_uid_are_refused_and_nothing_else(cluster: Cluster) -> None:
    owners = [{"apiVersion": "v1", "kind": "Node", "name": "node"}]
    first = await cluster.post(PODS, pod("web", SPECS["the least"], ownerReferences=owners))
    await known(cluster, SPECS["the least"])
    again = await cluster.post(PODS, pod("web", SPECS["the least"], ownerReferences=owners))
    assert (again.code, again.content) == (422, first.content)


async def test_a_name_that_is_no_label_is_warned_of(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    answer = await cluster.post(PODS, pod("web.1", SPECS["the least"]))
    assert (answer.code, "a DNS label is recommended" in answer.headers["warning"]) == (201, True)


async def test_claims_that_are_called_after_the_pod_must_not_be_called_too_long(cluster: Cluster) -> None:
    await known(cluster, SPECS["claims of its own"])
    answer = await cluster.post(PODS, pod("x" * 250, SPECS["claims of its own"]))
    assert (answer.code, "must be no more than 253" in answer.message) == (422, True)


async def test_admission_sees_each_of_them(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    await cluster.post("/api/v1/namespaces/default/limitranges", {
        "metadata": {"name": "cpu"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "300m"}}]}})
    await cluster.settle()
    changed = (await cluster.post(PODS, pod("web", SPECS["the least"]))).json
    assert changed["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "300m"}
    await cluster.delete("/api/v1/namespaces/default/limitranges/cpu")
    await cluster.settle()
    plain = (await cluster.post(PODS, pod("plain", SPECS["the least"]))).json
    assert plain["spec"]["containers"][0]["resources"] == {}


async def test_what_is_changed_later_is_changed_of_one_alone(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    image = {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}
    assert (await cluster.patch(f"{PODS}/known-4", image, "strategic-merge-patch")).code == 200
    again = (await cluster.post(PODS, pod("web", SPECS["the least"]))).json
    assert again["spec"]["containers"][0]["image"] == "nginx"


async def test_a_field_given_twice_is_refused_where_the_spec_is_known(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    body = b'{"metadata":{"name":"web"},"spec":{"containers":[{"name":"b","name":"app","image":"nginx"}]}}'
    answer = await cluster.post(f"{PODS}?fieldValidation=Strict", body)
    assert (answer.code, 'duplicate field "spec.containers[0].name"' in answer.message) == (400, True)


async def test_a_dry_run_answers_with_the_whole_pod_and_writes_none(cluster: Cluster) -> None:
    await known(cluster, SPECS["the least"])
    answer = (await cluster.post(f"{PODS}?dryRun=All", pod("web", SPECS["the least"]))).json
    assert answer["spec"] == (await cluster.get(f"{PODS}/known-0")).json["spec"]
    assert (await cluster.get(f"{PODS}/web")).code == 404


def test_what_came_twice_is_found_out_and_what_came_once_is_not() -> None:
    late: Late[str] = Late()
    late.learn(b"a", lambda: "first")
    assert late.get(b"a") is None
    late.learn(b"a", lambda: "second")
    assert late.get(b"a") == "second"


def test_only_the_latest_are_known() -> None:
    late: Late[str] = Late(2)
    for key in (b"a", b"a", b"b", b"b"):
        late.learn(key, lambda key=key: key.decode())  # type: ignore[misc]
    assert late.get(b"a") == "a"
    late.learn(b"c", str)
    assert (late.get(b"a"), late.get(b"b")) == ("a", None)


def test_what_is_not_to_be_remembered_is_not() -> None:
    late: Late[str] = Late()
    late.learn(None, str)
    late.learn(None, str)
    assert late.get(None) is None
    assert (short({"a": 1}), short("x" * LONGEST), short(2**70)) == (b'{"a":1}', None, None)
