"""kubectl, unmodified, the oldest and the newest: all that it does to objects without a node."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from support.cluster import Done
from support.control_plane import ControlPlane
from support.kubectl import NEWEST, OLDEST
from support.samples import keys

Kubectl = Callable[..., Done]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""
GENERATORS = {
    "clusterrole": ("clusterrole", "made-{}", "--verb=get", "--resource=pods"),
    "clusterrolebinding": ("clusterrolebinding", "made-{}", "--clusterrole=view", "--user=jane"),
    "configmap": ("configmap", "made", "--from-literal=a=b"),
    "cronjob": ("cronjob", "made", "--image=busybox", "--schedule=*/5 * * * *"),
    "deployment": ("deployment", "made", "--image=nginx"),
    "ingress": ("ingress", "made", "--rule=example.com/*=web:80"),
    "job": ("job", "made", "--image=busybox"),
    "namespace": ("namespace", "made-{}"),
    "poddisruptionbudget": ("pdb", "made", "--selector=app=web", "--min-available=1"),
    "priorityclass": ("priorityclass", "made-{}", "--value=7"),
    "quota": ("quota", "made", "--hard=count/widgets.example.com=1"),
    "role": ("role", "made", "--verb=get", "--resource=pods"),
    "rolebinding": ("rolebinding", "made", "--role=made", "--user=jane"),
    "secret-generic": ("secret", "generic", "made", "--from-literal=a=b"),
    "secret-docker-registry": ("secret", "docker-registry", "made-registry", "--docker-username=u",
                               "--docker-password=p", "--docker-server=example.com"),
    "service-clusterip": ("service", "clusterip", "made-ip", "--tcp=80"),
    "service-externalname": ("service", "externalname", "made-external", "--external-name=example.com"),
    "service-loadbalancer": ("service", "loadbalancer", "made-balancer", "--tcp=80"),
    "service-nodeport": ("service", "nodeport", "made-port", "--tcp=80"),
    "serviceaccount": ("serviceaccount", "made"),
    "token": ("token", "default"),
}


@pytest.fixture(params=[OLDEST, NEWEST])
def kubectl(request: pytest.FixtureRequest, plane: ControlPlane, namespace: str) -> Kubectl:
    def run(*arguments: str, **options: object) -> Done:
        return plane.kubectl("-n", namespace, *arguments, version=request.param, **options)  # type: ignore[arg-type]

    return run


def field(kubectl: Kubectl, what: str, path: str) -> str:
    return kubectl("get", what, "-o", f"jsonpath={{{path}}}").out


@pytest.mark.parametrize("generator", GENERATORS)
def test_create_makes_what_it_is_asked_for(kubectl: Kubectl, namespace: str, generator: str) -> None:
    made = kubectl("create", *(argument.format(namespace) for argument in GENERATORS[generator]))
    assert "created" in made.out or made.out.count(".") == 2  # a token is three parts


def test_create_makes_a_secret_of_a_certificate(kubectl: Kubectl, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    certificate.write_text(keys()[1])
    key.write_text(keys()[2])
    assert x509.load_pem_x509_certificate(certificate.read_bytes())
    kubectl("create", "secret", "tls", "made", f"--cert={certificate}", f"--key={key}")
    assert field(kubectl, "secret/made", ".type") == "kubernetes.io/tls"


def test_apply_on_the_client_s_side_and_on_the_server_s(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("apply", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: 3"))
    assert field(kubectl, "deployment/web", ".spec.replicas") == "3"
    kubectl("apply", "--server-side", "-f", "-", stdin=WEB)
    assert field(kubectl, "deployment/web", ".spec.replicas") == "2"
    refused = kubectl("apply", "--server-side", "--field-manager=another", "-f", "-", check=False,
                      stdin=WEB.replace("replicas: 2", "replicas: 5"))
    assert refused.code
    assert 'conflict with "kubectl"' in refused.err
    kubectl("apply", "--server-side", "--field-manager=another", "--force-conflicts", "-f", "-",
            stdin=WEB.replace("replicas: 2", "replicas: 5"))
    assert field(kubectl, "deployment/web", ".spec.replicas") == "5"


def test_diff_shows_what_apply_would_change_and_says_so_by_its_exit_code(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    assert kubectl("diff", "-f", "-", stdin=WEB).out == ""
    changed = kubectl("diff", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: 4"), check=False)
    assert changed.code == 1
    assert re.search(r"^-  replicas: 2\n\+  replicas: 4$", changed.out, re.MULTILINE)
    assert kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", stdin=WEB, check=False).code in (0, 1)


def test_edit_saves_what_the_editor_made_of_it(kubectl: Kubectl, plane: ControlPlane, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 2/replicas: 6/" "$1"\n')
    editor.chmod(0o755)
    before = plane.env
    plane.env = before | {"KUBE_EDITOR": str(editor)}
    try:
        kubectl("edit", "deployment/web")
    finally:
        plane.env = before
    assert field(kubectl, "deployment/web", ".spec.replicas") == "6"


def test_replace_puts_another_object_in_the_place(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=WEB)
    kubectl("replace", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: 1"))
    assert field(kubectl, "deployment/web", ".spec.replicas") == "1"
    first = field(kubectl, "deployment/web", ".metadata.uid")
    kubectl("replace", "--force", "-f", "-", stdin=WEB)
    assert field(kubectl, "deployment/web", ".metadata.uid") != first


@pytest.mark.parametrize(("kind", "patch"), [
    pytest.param("strategic", '{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "x:2"}]}}}}',
                 id="strategic"),
    pytest.param("merge", '{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "x:2"}]}}}}',
                 id="merge"),
    pytest.param("json", '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x:2"}]',
                 id="json"),
])
def test_patch_changes_a_part(kubectl: Kubectl, kind: str, patch: str) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("patch", "deployment/web", f"--type={kind}", "-p", patch)
    assert field(kubectl, "deployment/web", ".spec.template.spec.containers[*].image") == "x:2"


def test_auth_tells_who_may_what(kubectl: Kubectl, plane: ControlPlane, namespace: str) -> None:
    account = f"--as=system:serviceaccount:{namespace}:default"
    assert kubectl("auth", "can-i", "create", "pods").out.strip() == "yes"
    assert kubectl("auth", "can-i", "create", "pods", account, check=False).out.strip() == "no"
    assert "selfsubjectaccessreviews.authorization.k8s.io" in kubectl("auth", "can-i", "--list", account).out
    role = plane.kubectl("-n", namespace, "create", "role", "r", "--verb=get", "--resource=pods", "--dry-run=client",
                         "-o", "yaml").out
    assert "reconciled" in kubectl("auth", "reconcile", "-f", "-", stdin=role).out


def test_whoami_knows_the_administrator(plane: ControlPlane) -> None:
    assert "kubernetes-admin" in plane.kubectl("auth", "whoami").out


def test_explain_tells_of_built_in_kinds_and_of_defined_ones(kubectl: Kubectl, baskets: str) -> None:
    assert "Image" in kubectl("explain", "pod.spec.containers.image").out or \
        "image" in kubectl("explain", "pod.spec.containers.image").out
    assert "size" in kubectl("explain", "basket.spec").out
    assert "integer" in kubectl("explain", "basket.spec.size").out


def test_get_shows_a_defined_kind_with_labels_and_ages(kubectl: Kubectl, baskets: str) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps({
        "apiVersion": f"{baskets}/v1", "kind": "Basket", "metadata": {"name": "b", "labels": {"a": "b"}}}))
    header, row, *_ = kubectl("get", "bsk", "--show-labels").out.splitlines()
    assert header.split() == ["NAME", "AGE", "LABELS"]
    assert row.split()[0::2] == ["b", "a=b"]


def test_every_kind_of_client_error_has_its_exit_code(kubectl: Kubectl) -> None:
    missing = kubectl("get", "pod", "nobody", check=False)
    assert (missing.code, missing.err) == (1, 'Error from server (NotFound): pods "nobody" not found\n')
    bad = kubectl("apply", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: two"), check=False)
    assert bad.code == 1
    assert os.linesep in bad.err
