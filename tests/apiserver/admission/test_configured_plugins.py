"""Plugins that an AdmissionConfiguration tells something: limited resources of quotas, and rates of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.api_server import config, running

from timonier.apiserver.admission import event_rate_limit, quota_limits
from timonier.apiserver.admission.configuration import Document
from timonier.kit.fatal import CannotRun

NAMESPACE = "/api/v1/namespaces/default"
CONFIGS, EVENTS = f"{NAMESPACE}/configmaps", f"{NAMESPACE}/events"
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
