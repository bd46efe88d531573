"""Plugins that an AdmissionConfiguration tells something: limits, rates of events, nodes, who judges images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.api_server import Cluster, config, pod, running
from support.callee import Callee, called

from timonier.apiserver.admission import event_rate_limit, image_policy, node_selector, quota_limits
from timonier.apiserver.admission.configuration import Document
from timonier.apiserver.request import SERVER, Attributes
from timonier.kit.clock import FakeClock
from timonier.kit.fatal import CannotRun

NAMESPACE = "/api/v1/namespaces/default"
CONFIGS, EVENTS, PODS = f"{NAMESPACE}/configmaps", f"{NAMESPACE}/events", f"{NAMESPACE}/pods"
QUOTAS = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration"}
RATES = {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration"}


def configured(folder: Path, name: str, document: Any, *, beside: bool = False) -> dict[str, Any]:
    """Settings by which a plugin is told so, in the file itself or in one beside it."""
    (folder / "own.yaml").write_text(yaml.safe_dump(document))
    path = folder / "admission.yaml"
    path.write_text(yaml.safe_dump({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": [{"name": name} | ({"path": "own.yaml"} if beside else {"configuration": document})]}))
    return {"admission_control_config_file": path}


def event(name: str, namespace: str = "default", component: str = "kubelet", about: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "source": {"component": component},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": about}, "reason": "R", "message": "m"}


@pytest.mark.parametrize("beside", [pytest.param(False, id="in-the-file"), pytest.param(True, id="beside-it")])
async def test_what_is_limited_is_used_only_where_a_quota_counts_it(tmp_path, beside):
    document = QUOTAS | {"limitedResources": [{"resource": "configmaps", "matchContains": ["configmaps"]}]}
    async with running(tmp_path, **configured(tmp_path, "ResourceQuota", document, beside=beside)) as cluster:
        reply = await cluster.post(CONFIGS, config("a"))
        assert (reply.code, reply.message) == (403, 'configmaps "a" is forbidden: insufficient quota to consume: '
                                                    "configmaps,count/configmaps")
        hard = {"configmaps": "2", "count/configmaps": "2"}
        made = await cluster.post(f"{NAMESPACE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        await cluster.put(f"{NAMESPACE}/resourcequotas/q/status", made.json | {
            "status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})
        assert (await cluster.post(CONFIGS, config("a"))).code == 201
        assert (await cluster.post(f"{NAMESPACE}/secrets", {"metadata": {"name": "a"}})).code == 201


async def test_events_beyond_the_rate_are_refused_until_time_has_passed(tmp_path):
    settings = configured(tmp_path, "EventRateLimit", RATES | {"limits": [{"type": "Server", "qps": 1, "burst": 2}]})
    async with running(tmp_path, enable_admission_plugins=["EventRateLimit"], **settings) as cluster:
        codes = [(await cluster.post(EVENTS, event(f"e{number}"))).code for number in range(3)]
        assert codes == [201, 201, 429]
        refused = await cluster.post(EVENTS, event("e3"))
        assert (refused.json["reason"], refused.message) == (
            "TooManyRequests", "Too many requests: limit reached on type Server for key ")
        assert (await cluster.post(CONFIGS, config("a"))).code == 201
        await cluster.clock.advance(1)
        assert (await cluster.post(EVENTS, event("e4"))).code == 201
        assert (await cluster.patch(f"{EVENTS}/e4", {"count": 2})).code == 429


@pytest.mark.parametrize(("type", "others", "same", "key"), [
    pytest.param("Namespace", event("b", "kube-system"), event("b", about="db"), "default", id="namespace"),
    pytest.param("SourceAndObject", event("b", about="db"), event("b"), "kubeletPoddefaultweb", id="source-and-object"),
    pytest.param("User", None, event("b", "kube-system"), "admin", id="user")])
async def test_who_writes_events_is_told_apart(tmp_path, type, others, same, key):  # noqa: A002
    settings = configured(tmp_path, "EventRateLimit", RATES | {"limits": [{"type": type, "qps": 1, "burst": 1}]})
    async with running(tmp_path, enable_admission_plugins=["EventRateLimit"], **settings) as cluster:
        async def post(sent: Any) -> Any:
            return await cluster.post(f"/api/v1/namespaces/{sent['metadata']['namespace']}/events", sent)

        assert (await post(event("a"))).code == 201
        assert others is None or (await post(others)).code == 201
        assert (await post(same)).message == f"Too many requests: limit reached on type {type} for key {key}"


def test_the_keys_that_wrote_least_lately_are_forgotten():
    enforcer = event_rate_limit.Enforcer(event_rate_limit.Limit("Namespace", qps=1, burst=1, buckets=2))
    assert [enforcer.accepts(key, 0.0) for key in "abacba"] == [True, True, False, True, True, True]


@pytest.mark.parametrize(("annotation", "own", "selector", "why"), [
    pytest.param(None, {}, {"zone": "a"}, "", id="configured"),
    pytest.param("disk=ssd", {}, {"disk": "ssd"}, "", id="of-the-namespace"),
    pytest.param("", {"zone": "a"}, {"zone": "a"}, "", id="none-of-the-namespace"),
    pytest.param(None, {"zone": "b"}, None, "pod node label selector conflicts with its namespace node label selector",
                 id="conflict"),
    pytest.param(None, {"gpu": "yes"}, None, "pod node label selector labels conflict with its namespace whitelist",
                 id="not-allowed")])
async def test_where_pods_run_is_configured(tmp_path, annotation, own, selector, why):
    settings = configured(tmp_path, "PodNodeSelector", {"podNodeSelectorPluginConfig": {
        "clusterDefaultNodeSelector": "zone=a", "default": "zone=a,disk=ssd"}})
    async with running(tmp_path, enable_admission_plugins=["PodNodeSelector"], **settings) as cluster:
        await cluster.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        await cluster.patch(NAMESPACE, {"metadata": {"annotations": {node_selector.SELECTOR: annotation}}})
        reply = await cluster.post(PODS, pod(nodeSelector=own))
        assert reply.message.endswith(why) if why else reply.json["spec"]["nodeSelector"] == selector


async def test_what_pods_tolerate_is_configured(tmp_path):
    gpu = {"key": "gpu", "operator": "Exists"}
    settings = configured(tmp_path, "PodTolerationRestriction", {
        "apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1", "kind": "Configuration", "default": [gpu],
        "whitelist": [gpu, {"key": "disk"}, {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
                      {"key": "node.kubernetes.io/unreachable", "operator": "Exists"}]})
    async with running(tmp_path, enable_admission_plugins=["PodTolerationRestriction"], **settings) as cluster:
        await cluster.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        made = await cluster.post(PODS, pod())
        assert gpu in made.json["spec"]["tolerations"]
        bad = pod("no", tolerations=[{"key": "other", "operator": "Exists"}])
        assert (await cluster.post(PODS, bad)).message.endswith("conflict with its namespace whitelist")
        await cluster.patch(NAMESPACE, {"metadata": {"annotations": {
            node_selector.DEFAULTS: "[]", node_selector.ALLOWED: ""}}})
        assert gpu not in (await cluster.post(PODS, bad)).json["spec"]["tolerations"]


def by_image(path: str, review: Any) -> Any:
    """A backend that denies what is called `bad`."""
    images = [each["image"] for each in review["spec"]["containers"]]
    return {"status": {"allowed": "bad" not in images, "auditAnnotations": {"seen": "yes"}}
            | ({"reason": "it is bad"} if "bad" in images else {})}


@asynccontextmanager
async def judged(folder: Path, answer: Any = by_image, **more: Any) -> AsyncIterator[tuple[Cluster, Callee]]:
    """A server that asks about images, and whom it asks."""
    async with called(answer) as callee:
        policy = {"kubeConfigFile": callee.kubeconfig(folder).name, "retryBackoff": -1} | more
        settings = configured(folder, "ImagePolicyWebhook", {"imagePolicy": policy})
        async with running(folder, enable_admission_plugins=["ImagePolicyWebhook"], **settings) as cluster:
            await cluster.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
            yield cluster, callee


def runs(image: str, name: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {"a.image-policy.k8s.io/b": "c", "other": "d"}},
            "spec": {"containers": [{"name": "app", "image": image}], "initContainers": [{"name": "i", "image": "x"}]}}


async def test_a_backend_judges_images_and_is_not_asked_the_same_twice_in_a_row(tmp_path):
    async with judged(tmp_path, allowTTL=60) as (cluster, callee):
        assert (await cluster.post(PODS, runs("good"))).code == 201
        assert callee.asked == [{
            "apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "metadata": {}, "status": {
                "allowed": False}, "spec": {"containers": [{"image": "good"}, {"image": "x"}], "namespace": "default",
                                            "annotations": {"a.image-policy.k8s.io/b": "c"}}}]
        assert (await cluster.post(PODS, runs("good", "again"))).code == 201
        assert len(callee.asked) == 1
        await cluster.clock.advance(61)
        assert (await cluster.post(PODS, runs("good", "later"))).code == 201
        assert len(callee.asked) == 2
        reply = await cluster.post(PODS, runs("bad", "no"))
        assert (reply.code, reply.message) == (403, 'pods "no" is forbidden: image policy webhook backend denied one '
                                                    "or more images: it is bad")


async def test_ephemeral_containers_are_judged_alone(tmp_path):
    async with judged(tmp_path) as (cluster, callee):
        await cluster.post(PODS, runs("good"))
        reply = await cluster.patch(f"{PODS}/web/ephemeralcontainers", {"spec": {"ephemeralContainers": [
            {"name": "debug", "image": "bad"}]}}, "strategic-merge-patch")
        assert reply.code == 403
        assert callee.asked[-1]["spec"]["containers"] == [{"image": "bad"}]


@pytest.mark.parametrize(("default", "code"), [pytest.param(True, 201, id="open"), pytest.param(False, 403, id="shut")])
async def test_a_backend_that_does_not_answer_is_taken_as_configured(tmp_path, default, code):
    async with judged(tmp_path, lambda path, sent: 500, defaultAllow=default) as (cluster, _):
        reply = await cluster.post(PODS, runs("good"))
        assert reply.code == code
        if code == 403:
            assert reply.message == 'pods "web" is forbidden: it answered 500'


@pytest.mark.parametrize(("answer", "noted"), [
    pytest.param({"status": {"allowed": True, "auditAnnotations": {"seen": "yes"}}}, {"seen": "yes"}, id="answered"),
    pytest.param(404, {"failed-open": "true"}, id="not-answered")])
async def test_what_a_backend_says_is_noted_for_the_audit_log(tmp_path, answer, noted):
    async with called(lambda path, sent: answer) as callee:
        settings = image_policy.Settings(callee.kubeconfig(tmp_path), default_allow=True)
        plugin, told = image_policy.ImagePolicyWebhook.of(settings, FakeClock()), {}
        attributes = Attributes(SERVER, "create", resource="pods", operation="CREATE",
                                annotate=lambda key, value: told.update({key: value}))
        await plugin.validate(attributes, runs("good"), None)
        await plugin.webhook.connections.close()
        assert told == {f"imagepolicywebhook.image-policy.k8s.io/{key}": value for key, value in noted.items()}


@pytest.mark.parametrize(("read", "content", "words"), [
    pytest.param(event_rate_limit.configured, {}, "must be a Configuration", id="no-rates"),
    pytest.param(event_rate_limit.configured, RATES, "limits: Invalid value: null: must not be empty", id="no-limits"),
    pytest.param(event_rate_limit.configured, RATES | {"limits": [{"type": "All", "qps": 1, "burst": 1}]},
                 'limits[0].type: Unsupported value: "All": supported values: "Namespace", "Server", '
                 '"SourceAndObject", "User"', id="type"),
    pytest.param(event_rate_limit.configured, RATES | {"limits": [{"type": "User", "qps": 1}]},
                 "limits[0].burst: Invalid value: 0: must be positive", id="burst"),
    pytest.param(event_rate_limit.configured, RATES | {"limits": [
        {"type": "User", "qps": 1, "burst": 1, "cacheSize": -1}]},
        "limits[0].cacheSize: Invalid value: -1: must not be negative", id="cache-size"),
    pytest.param(event_rate_limit.configured, RATES | {"limits": [{"Type": "User"}]}, "unknown field limits[0].Type",
                 id="unknown"),
    pytest.param(image_policy.configured, {}, "needs an imagePolicy with a kubeConfigFile", id="no-backend"),
    pytest.param(image_policy.configured, {"imagePolicy": {"kubeConfigFile": "k", "allowTTL": 1801}},
                 "imagePolicy.allowTTL: valid value is between 1s and 30m0s, got 1801s", id="too-long"),
    pytest.param(image_policy.configured, {"imagePolicy": {"kubeConfigFile": "k", "allowTtl": 1}},
                 "unknown field imagePolicy.allowTtl", id="unknown-of-images"),
    pytest.param(node_selector.selectors, {"podNodeSelectorPluginConfig": {"ns": "zone"}}, "invalid selector: [zone]",
                 id="selector"),
    pytest.param(node_selector.tolerations, {"kind": "Configuration"}, "must be a Configuration of "
                 "podtolerationrestriction.admission.k8s.io", id="tolerations"),
    pytest.param(quota_limits.configured, {"kind": "Quota"}, "must be a ResourceQuotaConfiguration", id="no-quotas"),
    pytest.param(quota_limits.configured, QUOTAS | {"limitedResources": [{}]},
                 "limitedResources[0].resource: Required value", id="no-resource"),
    pytest.param(quota_limits.configured, QUOTAS | {"limitedResources": [
        {"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass"}]}]},
        "limitedResources[0].matchScopes[0]: needs a scopeName", id="no-operator"),
])
def test_what_cannot_be_used_keeps_the_server_from_starting(read, content, words):
    with pytest.raises(CannotRun) as caught:
        read(Document(Path("a.yaml"), content))
    assert str(caught.value).startswith("--admission-control-config-file a.yaml: ")
    assert words in str(caught.value)
