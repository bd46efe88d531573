"""Unmodified kubectl and server-side apply, against a control plane over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.control_plane import ControlPlane, control_plane
from support.kubectl import NEWEST, OLDEST, kubectl

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: nginx, ports: [{containerPort: 80}]}
"""


def web(replicas: int = 2) -> str:
    return MANIFEST.replace("REPLICAS", str(replicas))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane"), manager=False) as made:
        yield made


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("_", "-").replace("[", "-").strip("]")[-60:].strip("-")
    plane.kubectl("create", "namespace", name)
    return name


def managers(plane: ControlPlane, namespace: str, what: str = "deployment/web") -> dict[tuple[str, str], Any]:
    shown = plane.kubectl("-n", namespace, "get", what, "-o", "json", "--show-managed-fields").out
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"]
            for entry in json.loads(shown)["metadata"]["managedFields"]}


def test_a_pod_is_resized(plane: ControlPlane, namespace: str) -> None:
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
        "automountServiceAccountToken": False,
        "containers": [{"name": "app", "image": "nginx", "resources": {"requests": {"cpu": "1"}}}]}}
    plane.kubectl("-n", namespace, "create", "serviceaccount", "default")
    plane.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(made))
    patch = '{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"2"}}}]}}'
    said = plane.kubectl("-n", namespace, "patch", "pod", "web", "--subresource", "resize", "-p", patch).out
    assert said == "pod/web patched\n"
    shown = plane.kubectl("-n", namespace, "get", "pod", "web", "--subresource", "resize", "-o",
                          "jsonpath={.spec.containers[0].resources.requests.cpu}").out
    assert shown == "2"


@pytest.mark.parametrize("version", [pytest.param(OLDEST, id="oldest"), pytest.param(NEWEST, id="newest")])
def test_applying_from_the_server_creates_configures_and_leaves_alone(
        plane: ControlPlane, namespace: str, version: str) -> None:
    def apply(text: str) -> str:
        return plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=text, version=version).out
    assert apply(web()) == "deployment.apps/web serverside-applied\n"
    before = plane.kubectl("-n", namespace, "get", "deployment/web", "-o", "json").out
    apply(web())
    assert plane.kubectl("-n", namespace, "get", "deployment/web", "-o", "json").out == before
    assert set(managers(plane, namespace)) == {("kubectl", "Apply")}


def test_conflicts_are_told_and_can_be_forced(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=web())
    plane.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=5")
    refused = plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=web(3), check=False)
    assert refused.code == 1
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused.err
    assert "Please review the fields above--they currently have other managers." in refused.err
    plane.kubectl("-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=web(3))
    assert "f:replicas" in managers(plane, namespace)["kubectl", "Apply"]["f:spec"]


def test_a_diff_from_the_server_shows_what_an_apply_would_change(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=web())
    same = plane.kubectl("-n", namespace, "diff", "--server-side", "-f", "-", stdin=web(), check=False)
    assert (same.code, same.out) == (0, "")
    changed = plane.kubectl("-n", namespace, "diff", "--server-side", "-f", "-", stdin=web(4), check=False)
    assert changed.code == 1
    assert "-  replicas: 2" in changed.out
    assert "+  replicas: 4" in changed.out


def test_what_was_applied_from_the_client_goes_over_to_the_server(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=web())
    assert set(managers(plane, namespace)) == {("kubectl-client-side-apply", "Update")}
    without_label = web(3).replace(", labels: {app: web}}\nspec", "}\nspec", 1)
    plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=without_label)
    assert set(managers(plane, namespace)) == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}
    found = json.loads(plane.kubectl("-n", namespace, "get", "deployment/web", "-o", "json").out)
    assert found["spec"]["replicas"] == 3
    assert "labels" not in found["metadata"], "what the client's apply had set and this one does not mention is gone"


def test_client_side_apply_goes_on_working_beside_it(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=web())
    assert plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=web()).out == "deployment.apps/web unchanged\n"
    assert plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=web(3)).out == \
        "deployment.apps/web configured\n"


def test_a_dry_run_on_the_server_writes_nothing(plane: ControlPlane, namespace: str) -> None:
    done = plane.kubectl("-n", namespace, "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=web())
    assert done.out == "deployment.apps/web serverside-applied (server dry run)\n"
    assert plane.kubectl("-n", namespace, "get", "deployment", "-o", "name").out == ""


def test_unknown_fields_are_refused_in_kubernetes_words(plane: ControlPlane, namespace: str) -> None:
    wrong = web().replace("replicas: 2", "replicaz: 2")
    done = plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=wrong, check=False)
    assert done.code == 1
    assert f"failed to create typed patch object ({namespace}/web; apps/v1, Kind=Deployment): .spec.replicaz: " \
           "field not declared in schema" in done.err


def test_who_edits_manages_what_was_edited_and_the_rest_stays(
        plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    plane.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=web())
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 2/replicas: 6/" "$1"\n')
    editor.chmod(0o755)
    plane.run(str(kubectl()), "-n", namespace, "edit", "deployment/web", "--show-managed-fields", EDITOR=str(editor))
    owned = managers(plane, namespace)
    assert owned["kubectl-edit", "Update"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owned["kubectl", "Apply"]["f:spec"]


def test_an_apply_set_prunes_what_it_no_longer_holds(plane: ControlPlane, namespace: str) -> None:
    def config(name: str) -> str:
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n---\n"

    def apply(text: str) -> str:
        return plane.run(str(kubectl()), "-n", namespace, "apply", "--server-side", "--prune",
                         "--applyset=mine", "-f", "-", stdin=text, KUBECTL_APPLYSET="true").out
    plane.kubectl("-n", namespace, "create", "configmap", "bystander")
    apply(config("one") + config("two"))
    assert "configmap/two pruned" in apply(config("one"))
    names = plane.kubectl("-n", namespace, "get", "configmap", "-o", "name").out.split()
    assert set(names) == {"configmap/one", "configmap/bystander"}
