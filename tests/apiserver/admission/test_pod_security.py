"""PodSecurity at the API server: labels of namespaces, pods and templates, and who is exempt."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.api_server import pod, running

from timonier.api.podsecurity.policy import Standard
from timonier.apiserver.admission.configuration import read
from timonier.apiserver.admission.order import CONFIGURABLE
from timonier.apiserver.admission.pod_security import PodSecurity, configured
from timonier.kit.fatal import CannotRun

NAMESPACES = "/api/v1/namespaces"
PODS = f"{NAMESPACES}/ns/pods"
CONFIGURATION = """
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: v1.30}
    exemptions: {usernames: [%s], namespaces: [free], runtimeClasses: [vm]}
"""


def labels(**modes: str) -> dict[str, str]:
    return {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": level for mode, level in modes.items()}


@asynccontextmanager
async def namespace(tmp_path: Any, name: str = "ns", settings: Any = None, **modes: str) -> Any:
    async with running(tmp_path, **(settings or {})) as cluster:
        reply = await cluster.post(NAMESPACES, {"metadata": {"name": name, "labels": labels(**modes)}})
        assert reply.code == 201, reply.message
        await cluster.post(f"{NAMESPACES}/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        yield cluster


async def test_a_pod_that_violates_what_is_enforced_is_refused_in_kubernetes_words(tmp_path):
    async with namespace(tmp_path, enforce="baseline") as cluster:
        reply = await cluster.post(PODS, pod("web", hostNetwork=True))
        assert (reply.code, reply.json["reason"]) == (403, "Forbidden")
        assert reply.message == 'pods "web" is forbidden: violates PodSecurity "baseline:latest": host namespaces ' \
                                "(hostNetwork=true)"
        assert (await cluster.post(PODS, pod("web"))).code == 201


async def test_what_is_warned_of_is_let_through_with_a_warning(tmp_path):
    async with namespace(tmp_path, warn="baseline", warn_version="v1.33") as cluster:
        reply = await cluster.post(PODS, pod("web", hostPID=True))
        assert reply.code == 201
        assert reply.headers["warning"] == \
            '299 - "would violate PodSecurity \\"baseline:v1.33\\": host namespaces (hostPID=true)"'


async def test_templates_are_warned_of_and_never_refused(tmp_path):
    async with namespace(tmp_path, enforce="baseline", warn="baseline") as cluster:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"] | {"hostIPC": True}}
        for path, obj in (("/apis/apps/v1/namespaces/ns/deployments",
                           {"selector": {"matchLabels": {"app": "web"}}, "template": template}),
                          ("/apis/batch/v1/namespaces/ns/cronjobs", {"schedule": "* * * * *", "jobTemplate": {
                              "spec": {"template": template | {"spec": template["spec"] | {
                                  "restartPolicy": "Never"}}}}})):
            reply = await cluster.post(path, {"metadata": {"name": "web"}, "spec": obj})
            assert reply.code == 201, reply.message
            assert "hostIPC=true" in reply.headers["warning"]


async def test_a_namespace_s_labels_have_to_be_right(tmp_path):
    async with namespace(tmp_path) as cluster:
        reply = await cluster.post(NAMESPACES, {"metadata": {"name": "bad", "labels": labels(enforce="strict")}})
        assert reply.code == 422
        assert reply.message == 'Namespace "bad" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: ' \
                                'Invalid value: "strict": must be one of privileged, baseline, restricted'


async def test_a_stricter_standard_tells_of_the_pods_that_are_there(tmp_path):
    async with namespace(tmp_path) as cluster:
        for name in ("one", "two", "three"):
            await cluster.post(PODS, pod(name, hostNetwork=True))
        await cluster.post(PODS, pod("four", hostPID=True))
        reply = await cluster.patch(f"{NAMESPACES}/ns", {"metadata": {"labels": labels(enforce="baseline")}})
        assert (reply.code, "warning" in reply.headers) == (200, True)
        assert [*PodSecurity(cluster.registry).look_at("ns", Standard("baseline"))] == [
            'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
            "four (and 3 other pods): host namespaces"]


async def test_ephemeral_containers_are_judged_and_changes_that_mean_nothing_are_not(tmp_path):
    async with namespace(tmp_path) as cluster:
        await cluster.post(PODS, pod("web", hostNetwork=True))
        await cluster.patch(f"{NAMESPACES}/ns", {"metadata": {"labels": labels(enforce="baseline")}})
        assert (await cluster.patch(f"{PODS}/web", {"metadata": {"labels": {"a": "b"}}})).code == 200
        reply = await cluster.patch(f"{PODS}/web/ephemeralcontainers", {"spec": {"ephemeralContainers": [
            {"name": "debug", "image": "busybox"}]}}, "strategic-merge-patch")
        assert reply.code == 403


async def test_what_is_exempt_is_not_judged(tmp_path):
    path = tmp_path / "admission.yaml"
    path.write_text(CONFIGURATION % "nobody")
    settings = {"admission_control_config_file": path}
    async with namespace(tmp_path, "free", settings) as cluster:
        await cluster.post(NAMESPACES, {"metadata": {"name": "ns"}})
        assert (await cluster.post(f"{NAMESPACES}/free/pods", pod(hostNetwork=True))).code == 201
        await cluster.post(f"{NAMESPACES}/ns/serviceaccounts", {"metadata": {"name": "default"}})
        reply = await cluster.post(PODS, pod(hostNetwork=True))
        assert 'violates PodSecurity "baseline:v1.30"' in reply.message


async def test_users_can_be_exempt(tmp_path):
    path = tmp_path / "admission.yaml"
    path.write_text(CONFIGURATION % "admin")
    async with namespace(tmp_path, "ns", {"admission_control_config_file": path}) as cluster:
        assert (await cluster.post(PODS, pod(hostNetwork=True))).code == 201
        assert 'pod_security_exemptions_total{request_operation="create",resource="pod",subresource=""} 1.0' in \
            cluster.server.metrics.text().decode()


@pytest.mark.parametrize(("text", "words"), [
    ("kind: Other", "must be an AdmissionConfiguration"), ("[", "no YAML"), ("- a", "must hold an object"),
    (CONFIGURATION.replace("baseline", "strict") % "a", "must be one of privileged"),
    (CONFIGURATION.replace("enforce:", "inforce:") % "a", "unknown field defaults.inforce"),
    (CONFIGURATION.replace("- name: PodSecurity", "- name: AlwaysDeny") % "a", "AlwaysDeny takes no"),
])
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, text, words):
    path = tmp_path / "admission.yaml"
    path.write_text(text)
    with pytest.raises(CannotRun, match=words):
        configured(read(path, CONFIGURABLE)["PodSecurity"])
