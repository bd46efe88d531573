"""Helm of both generations, unmodified: a chart with hooks, a test and a kind of its own, from install to uninstall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.cluster import Done, RealCluster, run
from support.helm import VERSIONS, helm

pytestmark = pytest.mark.machine

CHART = str(Path(__file__).parent / "chart")


@dataclass
class Release:
    """One release of the chart in a namespace of its own."""

    cluster: RealCluster
    version: str
    namespace: str

    def __call__(self, *arguments: str, check: bool = True) -> Done:
        return run([str(helm(self.version)), "-n", self.namespace, *arguments], env=self.cluster.env, timeout=150,
                   check=check)

    def get(self, *arguments: str) -> object:
        return json.loads(self.cluster.kubectl("-n", self.namespace, "get", *arguments, "-o", "json").out)

    def field(self, what: str, path: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, "get", what, "-o", f"jsonpath={path}").out

    def revisions(self) -> list[tuple[int, str]]:
        return [(each["revision"], each["status"]) for each in json.loads(self("history", "shop", "-o", "json").out)]


@pytest.fixture(params=VERSIONS, scope="module")
def release(request: pytest.FixtureRequest, cluster: RealCluster) -> Iterator[Release]:
    with cluster.namespace(f"helm-{request.param.replace('.', '-')}") as namespace:
        made = Release(cluster, request.param, namespace)
        made("install", "shop", CHART, "--wait", "--timeout", "100s")
        yield made
        cluster.delete("crd", "baskets.shop.example.com")


def test_install_brings_the_kind_the_hooks_and_the_objects(release: Release) -> None:
    assert release.field("deployment/shop-web", "{.status.readyReplicas}") == "1"
    assert release.field("basket/shop-basket", "{.spec}") == '{"colour":"red","size":3}'
    assert release.field("pod/shop-pre-install", "{.status.phase}") == "Succeeded"
    assert "STATUS: deployed" in release("status", "shop").out


def test_the_chart_s_test_runs_in_a_pod_and_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release("test", "shop", "--timeout", "60s").out


def test_upgrade_and_rollback_change_what_is_wanted_and_keep_history(release: Release) -> None:
    release("upgrade", "shop", CHART, "--set", "replicas=2,greeting=salut", "--wait", "--timeout", "100s")
    assert release.field("configmap/shop-settings", "{.data.greeting}") == "salut"
    assert release.field("deployment/shop-web", "{.status.readyReplicas}") == "2"
    assert release.field("pod/shop-post-upgrade", "{.status.phase}") == "Succeeded"
    release("rollback", "shop", "1", "--wait", "--timeout", "100s")
    assert release.field("configmap/shop-settings", "{.data.greeting}") == "hello"
    assert release.field("deployment/shop-web", "{.spec.replicas}") == "1"
    assert [status for _, status in release.revisions()][-1] == "deployed"


def test_what_the_release_holds_can_be_read_back(release: Release) -> None:
    assert "greeting: " in release("get", "manifest", "shop").out
    assert [each["name"] for each in json.loads(release("list", "-o", "json").out)] == ["shop"]


def test_an_upgrade_that_the_server_refuses_fails_in_its_words_and_changes_nothing(release: Release) -> None:
    refused = release("upgrade", "shop", CHART, "--set", "replicas=-1", check=False)
    assert refused.code
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in refused.text
    assert release.field("deployment/shop-web", "{.spec.replicas}") == "1"


def test_uninstall_removes_what_was_installed_and_leaves_the_kind(release: Release) -> None:
    release("uninstall", "shop", "--wait", "--timeout", "100s")
    left = release.cluster.kubectl("-n", release.namespace, "get", "deployment,service,basket", "-o", "name").out
    assert left == ""
    kept = release.cluster.kubectl("get", "crd", "baskets.shop.example.com", "-o", "name").out
    assert kept.startswith("customresourcedefinition")
