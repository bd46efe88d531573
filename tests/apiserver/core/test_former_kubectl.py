"""Unmodified kubectl with manifests of former days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.control_plane import ControlPlane, control_plane
from support.kubectl import NEWEST, OLDEST

INGRESS = """
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: www-domain}
spec:
  rules:
  - host: www.example.com
    http:
      paths:
      - backend: {serviceName: www, servicePort: 80}
"""
DEPLOYMENT = """
apiVersion: apps/v1beta1
kind: Deployment
metadata: {name: www}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: www}}
    spec:
      containers: [{name: www, image: 'nginx:1'}]
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(Path(tmp_path_factory.mktemp("plane")), manager=False) as made:
        yield made


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubectl_applies_an_old_manifest_and_sees_what_became_of_it(plane: ControlPlane, version: str) -> None:
    first = plane.kubectl("apply", "-f", "-", stdin=f"{INGRESS}---{DEPLOYMENT}", version=version)
    assert "ingress.extensions/www-domain created" in first.out
    assert "Warning: extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; " \
           "use networking.k8s.io/v1 Ingress" in first.err
    again = plane.kubectl("apply", "-f", "-", stdin=f"{INGRESS.replace('80', '81')}---{DEPLOYMENT}", version=version)
    assert again.out.splitlines() == ["ingress.extensions/www-domain configured", "deployment.apps/www unchanged"]
    number = plane.kubectl("get", "ingress", "www-domain", "-o",
                           "jsonpath={.apiVersion} {.spec.rules[0].http.paths[0].backend.service.port.number}")
    assert number.out == "networking.k8s.io/v1 81"
    listed = plane.kubectl("get", "all", "-o", "name", version=version).out.splitlines()
    assert "deployment.apps/www" in listed
    assert not any("extensions" in name for name in listed)
    plane.kubectl("delete", "-f", "-", stdin=f"{INGRESS}---{DEPLOYMENT}", version=version)


def test_kubectl_replaces_and_explains_old_versions(plane: ControlPlane) -> None:
    plane.kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    plane.kubectl("replace", "-f", "-", stdin=DEPLOYMENT.replace("replicas: 2", "replicas: 3"))
    assert plane.kubectl("get", "deploy", "www", "-o", "jsonpath={.spec.replicas}").out == "3"
    told = plane.kubectl("explain", "ingress.spec.backend.servicePort", "--api-version=extensions/v1beta1").out
    assert "IntOrString" in told
    wrong = plane.kubectl("apply", "-f", "-", stdin=INGRESS.replace("serviceName", "service"), check=False)
    assert 'unknown field "spec.rules[0].http.paths[0].backend.service"' in wrong.err
    plane.kubectl("delete", "deployment.v1beta1.apps", "www")
