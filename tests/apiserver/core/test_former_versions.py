"""Manifests of former days: accepted, stored as what became of their kinds, and shown as either."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_server import Cluster

from timonier.api.kinds import FORMER, find
from timonier.apiserver.conversion import from_storage, to_storage

OLD, NEW = "/apis/extensions/v1beta1/namespaces/default", "/apis/networking.k8s.io/v1/namespaces/default"
APPS, OLD_APPS = "/apis/apps/v1/namespaces/default", "/apis/apps/v1beta1/namespaces/default"
TEMPLATE = {"metadata": {"labels": {"app": "www"}}, "spec": {"containers": [{"name": "www", "image": "nginx:1"}]}}


def ingress() -> dict[str, Any]:
    return {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "www-domain"}, "spec": {
        "rules": [{"host": "www.example.com", "http": {"paths": [
            {"backend": {"serviceName": "www", "servicePort": 80}}]}}]}}


def deployment(version: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "Deployment", "metadata": {"name": "www"},
            "spec": {"template": TEMPLATE} | spec}


async def test_an_ingress_of_old_is_one_of_today(cluster: Cluster) -> None:
    created = await cluster.post(f"{OLD}/ingresses", ingress())
    assert created.code == 201, created.content
    assert created.headers["warning"] == (
        '299 - "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; '
        'use networking.k8s.io/v1 Ingress"')
    path = {"backend": {"serviceName": "www", "servicePort": 80}, "pathType": "ImplementationSpecific"}
    assert created.json["apiVersion"] == "extensions/v1beta1"
    assert created.json["spec"]["rules"][0]["http"]["paths"] == [path]
    today = (await cluster.get(f"{NEW}/ingresses/www-domain")).json
    assert today["apiVersion"] == "networking.k8s.io/v1"
    assert today["metadata"]["generation"] == 1
    assert today["spec"]["rules"][0]["http"]["paths"] == [
        {"backend": {"service": {"name": "www", "port": {"number": 80}}}, "pathType": "ImplementationSpecific"}]
    assert (await cluster.get(f"{OLD}/ingresses")).json["items"][0]["spec"] == created.json["spec"]


async def test_an_ingress_of_today_is_shown_as_it_once_was(cluster: Cluster) -> None:
    await cluster.post(f"{NEW}/ingresses", {"metadata": {"name": "a"}, "spec": {
        "defaultBackend": {"service": {"name": "www", "port": {"name": "http"}}}}})
    assert (await cluster.get(f"{OLD}/ingresses/a")).json["spec"] == {
        "backend": {"serviceName": "www", "servicePort": "http"}}


async def test_what_is_wrong_is_said_of_what_is_stored(cluster: Cluster) -> None:
    refused = await cluster.post(f"{OLD}/ingresses", ingress() | {"spec": {"backend": {"serviceName": "www"}}})
    assert refused.code == 422
    assert refused.message == ('Ingress.networking.k8s.io "www-domain" is invalid: spec.defaultBackend.service: '
                               "Required value: port name or number is required")


@pytest.mark.parametrize(("version", "expected"), [
    pytest.param("extensions/v1beta1", {"maxSurge": 1, "revisionHistoryLimit": 2147483647,
                                        "progressDeadlineSeconds": 2147483647}, id="extensions"),
    pytest.param("apps/v1beta1", {"maxSurge": "25%", "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600},
                 id="apps"),
])
async def test_a_deployment_of_old_has_the_defaults_of_its_days(
        cluster: Cluster, version: str, expected: dict[str, Any]) -> None:
    created = await cluster.post(f"/apis/{version}/namespaces/default/deployments", deployment(version))
    assert created.code == 201, created.content
    today = (await cluster.get(f"{APPS}/deployments/www")).json
    spec = today["spec"]
    assert spec["selector"] == {"matchLabels": {"app": "www"}}
    assert today["metadata"]["labels"] == {"app": "www"}
    assert spec["strategy"]["rollingUpdate"] == dict.fromkeys(("maxSurge", "maxUnavailable"), expected.pop("maxSurge"))
    assert {key: spec[key] for key in expected} == expected


async def test_a_stateful_set_of_old_waits_for_its_pods_to_be_deleted(cluster: Cluster) -> None:
    await cluster.post(f"{OLD_APPS}/statefulsets", {
        "metadata": {"name": "db"}, "spec": {"serviceName": "db", "template": TEMPLATE}})
    assert (await cluster.get(f"{APPS}/statefulsets/db")).json["spec"]["updateStrategy"] == {"type": "OnDelete"}


async def test_a_wish_to_be_rolled_back_is_an_annotation_today(cluster: Cluster) -> None:
    await cluster.post(f"{OLD}/deployments", deployment("extensions/v1beta1", rollbackTo={"revision": 3}))
    today = (await cluster.get(f"{APPS}/deployments/www")).json
    assert today["metadata"]["annotations"] == {"deprecated.deployment.rollback.to": "3"}
    assert (await cluster.get(f"{OLD}/deployments/www")).json["spec"]["rollbackTo"] == {"revision": 3}


async def test_patches_speak_the_version_that_they_are_sent_to(cluster: Cluster) -> None:
    await cluster.post(f"{OLD}/ingresses", ingress())
    patched = await cluster.patch(f"{OLD}/ingresses/www-domain", {"spec": {"backend": {
        "serviceName": "rest", "servicePort": "web"}}})
    assert patched.code == 200, patched.content
    assert (await cluster.get(f"{NEW}/ingresses/www-domain")).json["spec"]["defaultBackend"] == {
        "service": {"name": "rest", "port": {"name": "web"}}}
    scaled = await cluster.post(f"{OLD}/deployments", deployment("extensions/v1beta1"))
    assert scaled.code == 201
    await cluster.patch(f"{OLD}/deployments/www/scale", {"spec": {"replicas": 4}})
    assert (await cluster.get(f"{APPS}/deployments/www")).json["spec"]["replicas"] == 4


async def test_tables_of_old_kinds_have_the_columns_of_today(cluster: Cluster) -> None:
    await cluster.post(f"{OLD}/ingresses", ingress())
    table = (await cluster.get(f"{OLD}/ingresses", accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "Class", "Hosts", "Address", "Ports", "Age"]


async def test_discovery_names_old_groups_last_and_prefers_new_versions(cluster: Cluster) -> None:
    groups = (await cluster.get("/apis")).json["groups"]
    assert groups[-1]["name"] == "extensions"
    assert next(group for group in groups if group["name"] == "apps")["preferredVersion"]["version"] == "v1"
    rows = (await cluster.get("/apis/extensions/v1beta1")).json["resources"]
    assert not any("shortNames" in row or "categories" in row for row in rows)


@pytest.mark.parametrize("kind", FORMER, ids=lambda kind: kind.id)
def test_an_object_of_old_survives_being_stored(kind: Any) -> None:
    obj = {"apiVersion": kind.apiVersion, "kind": kind.kind, "metadata": {"name": "a", "annotations": {"x": "y"}},
           "spec": {"Ingress": ingress()["spec"] | {"backend": {"serviceName": "a", "servicePort": "b"}},
                    "Deployment": {"rollbackTo": {"revision": 7}, "replicas": 3}}.get(kind.kind, {"replicas": 2})}
    stored = to_storage(kind, obj)
    assert stored["apiVersion"] == kind.storage
    assert from_storage(kind, stored) == obj
    assert find(kind.storage, kind.kind) is not None
