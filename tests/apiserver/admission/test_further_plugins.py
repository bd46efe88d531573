"""Plugins about classes, storage, owners, images and places, each through a whole API server that runs it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.api_server import pod, running
from support.policy_world import thing

from timonier.api.errors import Forbidden
from timonier.apiserver.admission.defaults import DEFAULT_STORAGE, default_of
from timonier.apiserver.admission.optional import AlwaysDeny
from timonier.apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from timonier.apiserver.auth.decision import Decision
from timonier.apiserver.request import Attributes, User
from timonier.apiserver.resources import Resources

NAMESPACE = "/api/v1/namespaces/default"
PODS, CLAIMS = f"{NAMESPACE}/pods", f"{NAMESPACE}/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
IS_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def storage_class(name: str, annotations: Any = None, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": annotations or {}}, "provisioner": "example.com/disk"} | rest


def claim(size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}} | spec}


async def accounts(cluster: Any) -> None:
    await cluster.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})


@pytest.mark.parametrize(("spec", "given"), [
    pytest.param({}, "fast", id="none"), pytest.param({"storageClassName": "slow"}, "slow", id="another"),
    pytest.param({"storageClassName": ""}, "", id="explicitly-none")])
async def test_a_claim_without_a_class_gets_the_default_one_and_is_held(tmp_path, spec, given):
    async with running(tmp_path) as cluster:
        await cluster.post(CLASSES, storage_class("fast", IS_DEFAULT))
        reply = await cluster.post(CLAIMS, claim(**spec))
        assert reply.json["spec"]["storageClassName"] == given
        assert reply.json["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def test_of_several_defaults_the_newest_counts_and_of_equally_new_ones_the_first_by_name():
    def made(name: str, when: str) -> Any:
        return {"metadata": {"name": name, "annotations": IS_DEFAULT, "creationTimestamp": when}}

    found = [made("c", "2026-01-02T00:00:00Z"), made("b", "2026-01-02T00:00:00Z"), made("a", "2026-01-01T00:00:00Z")]
    assert default_of(found, DEFAULT_STORAGE) == "b"
    assert default_of([], DEFAULT_STORAGE) == ""


async def test_an_ingress_without_a_class_gets_the_default_one(tmp_path):
    async with running(tmp_path) as cluster:
        await cluster.post("/apis/networking.k8s.io/v1/ingressclasses", {
            "metadata": {"name": "public", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
            "spec": {"controller": "example.com/c"}})
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
        reply = await cluster.post(path, {"metadata": {"name": "a"}, "spec": {"defaultBackend": backend}})
        assert reply.json["spec"]["ingressClassName"] == "public"
        reply = await cluster.post(path, {"spec": {"defaultBackend": backend}, "metadata": {
            "name": "b", "annotations": {"kubernetes.io/ingress.class": "own"}}})
        assert "ingressClassName" not in reply.json["spec"]


@pytest.mark.parametrize(("phase", "allows", "words"), [
    pytest.param("Bound", False, "only dynamically provisioned pvc can be resized and the storageclass that provisions "
                 "the pvc must support resize", id="fixed"),
    pytest.param("Bound", True, "", id="grows")])
async def test_a_claim_grows_where_it_is_bound_and_its_class_lets_it(tmp_path, phase, allows, words):
    async with running(tmp_path) as cluster:
        await cluster.post(CLASSES, storage_class("fast", allowVolumeExpansion=allows))
        await cluster.post(CLAIMS, claim(storageClassName="fast", volumeName="v"))
        await cluster.call("PATCH", f"{CLAIMS}/data/status", {"status": {"phase": phase}},
                           content_type="application/merge-patch+json")
        reply = await cluster.patch(f"{CLAIMS}/data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
        if words:
            assert (reply.code, words in reply.message) == (403, True), reply.message
        else:
            assert reply.code == 200, reply.message


async def test_a_pod_carries_its_node_s_zone_from_the_moment_it_is_bound(tmp_path):
    async with running(tmp_path) as cluster:
        await accounts(cluster)
        zone = {"topology.kubernetes.io/zone": "z1"}
        await cluster.post("/api/v1/nodes", {"metadata": {"name": "n1", "labels": zone | {"other": "x"}}})
        await cluster.post(PODS, pod("later"))
        binding = {"metadata": {"name": "later"}, "target": {"kind": "Node", "name": "n1"}}
        assert (await cluster.post(f"{PODS}/later/binding", binding)).code == 201
        assert (await cluster.get(f"{PODS}/later")).json["metadata"]["labels"] == zone
        assert (await cluster.post(PODS, pod("at-once", nodeName="n1"))).json["metadata"]["labels"] == zone


async def test_images_are_always_pulled_where_that_is_wanted(tmp_path):
    async with running(tmp_path, enable_admission_plugins=("AlwaysPullImages",)) as cluster:
        await accounts(cluster)
        containers = [{"name": "app", "image": "nginx:1", "imagePullPolicy": "Never"}]
        reply = await cluster.post(PODS, pod(containers=containers))
        assert reply.json["spec"]["containers"][0]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize(("selector", "code"), [({}, 201), ({"disk": "hdd"}, 403), ({"cpu": "fast"}, 201)])
async def test_a_namespace_says_where_its_pods_run(tmp_path, selector, code):
    async with running(tmp_path, enable_admission_plugins=("PodNodeSelector",)) as cluster:
        await accounts(cluster)
        await cluster.patch(NAMESPACE, {"metadata": {"annotations": {
            "scheduler.alpha.kubernetes.io/node-selector": "disk=ssd"}}})
        reply = await cluster.post(PODS, pod(nodeSelector=selector))
        assert reply.code == code
        if code == 201:
            assert reply.json["spec"]["nodeSelector"] == selector | {"disk": "ssd"}


async def test_a_namespace_says_what_its_pods_tolerate_by_default_and_at_most(tmp_path):
    plugins = ("PodTolerationRestriction",)
    async with running(tmp_path, enable_admission_plugins=plugins,
                       disable_admission_plugins=("DefaultTolerationSeconds",)) as cluster:
        await accounts(cluster)
        mine = {"key": "team", "operator": "Equal", "value": "blue", "effect": "NoSchedule"}
        await cluster.patch(NAMESPACE, {"metadata": {"annotations": {
            "scheduler.alpha.kubernetes.io/defaultTolerations": orjson.dumps([mine]).decode(),
            "scheduler.alpha.kubernetes.io/tolerationsWhitelist": orjson.dumps(
                [{"key": "team", "operator": "Exists"}]).decode()}}})
        assert (await cluster.post(PODS, pod("a"))).json["spec"]["tolerations"] == [mine]
        reply = await cluster.post(PODS, pod("b", tolerations=[{"operator": "Exists"}]))
        assert "conflict with its namespace whitelist" in reply.message
        reply = await cluster.post(PODS, pod("c", tolerations=[mine | {"value": "red"}]))
        assert "namespace tolerations and pod tolerations conflict" in reply.message


async def test_who_asks_for_devices_tolerates_nodes_that_are_kept_for_them(tmp_path):
    async with running(tmp_path, enable_admission_plugins=("ExtendedResourceToleration",)) as cluster:
        await accounts(cluster)
        amounts = {"limits": {"example.com/gpu": "1"}, "requests": {"example.com/gpu": "1"}}
        reply = await cluster.post(PODS, pod(containers=[{"name": "a", "image": "i", "resources": amounts}]))
        assert {"key": "example.com/gpu", "operator": "Exists"} in reply.json["spec"]["tolerations"]


async def test_services_get_no_external_addresses_where_that_is_denied(tmp_path):
    async with running(tmp_path, enable_admission_plugins=("DenyServiceExternalIPs",)) as cluster:
        reply = await cluster.post(f"{NAMESPACE}/services", {
            "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.7"]}})
        assert reply.message == 'services "web" is forbidden: Use of external IPs is denied by admission control'


async def test_namespaces_are_made_on_the_way_where_that_is_wanted(tmp_path):
    async with running(tmp_path, enable_admission_plugins=("NamespaceAutoProvision",)) as cluster:
        assert (await cluster.post("/api/v1/namespaces/fresh/configmaps", {"metadata": {"name": "c"}})).code == 201
        assert (await cluster.get("/api/v1/namespaces/fresh")).code == 200


async def test_everything_is_denied_where_that_is_wanted():
    with pytest.raises(Forbidden, match="admission control is denying all modifications"):
        await AlwaysDeny().validate(Attributes(User("ann"), "create", resource="pods"), {}, None)


class Rights:
    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = allowed

    async def decide(self, attributes: Attributes) -> Decision:
        asked = (attributes.verb, attributes.resource, attributes.subresource)
        return Decision(asked in self.allowed, "")


OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "blockOwnerDeletion": True}


@pytest.mark.parametrize(("allowed", "words"), [
    pytest.param([], "cannot set an ownerRef on a resource you can't delete", id="may-not-delete"),
    pytest.param([("delete", "pods", "")], "cannot set blockOwnerDeletion if an ownerReference refers to a resource "
                 "you can't set finalizers on", id="may-not-block"),
    pytest.param([("delete", "pods", ""), ("update", "replicasets", "finalizers")], "", id="may-both")])
async def test_owners_are_set_by_who_may_delete_and_block(allowed, words):
    plugin = OwnerReferencesPermissionEnforcement(Rights(*allowed), Resources())  # type: ignore[arg-type]
    attributes = Attributes(User("ann"), "update", version="v1", resource="pods", namespace="ns", name="p",
                            operation="UPDATE")
    old = thing("v1/Pod", "p", "ns")
    new = thing("v1/Pod", "p", "ns", metadata={"ownerReferences": [OWNER]})
    if not words:
        await plugin.validate(attributes, new, old)
        return
    with pytest.raises(Forbidden, match=words):
        await plugin.validate(attributes, new, old)
    await plugin.validate(attributes, new, new)
