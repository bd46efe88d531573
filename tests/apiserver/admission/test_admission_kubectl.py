"""What kubectl's user meets of admission: standards of pods, quotas, webhooks, namespaces that go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.control_plane import ControlPlane, control_plane

PATIENCE = 30.0
WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: dead}
webhooks:
- name: dead.example.com
  clientConfig: {service: {name: gone, namespace: web}}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [secrets]}]
  matchConditions: [{name: others, expression: "object.metadata.name != 'spared'"}]
  sideEffects: None
  admissionReviewVersions: [v1]
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder: Path = tmp_path_factory.mktemp("plane")
    with control_plane(folder) as made:
        until(made, "get", "serviceaccount", "default", shows="default")
        made.kubectl("create", "namespace", "web")
        until(made, "get", "serviceaccount", "default", "-n", "web", shows="default")
        yield made


def until(plane: ControlPlane, *arguments: str, shows: str) -> None:
    """Wait until kubectl prints something."""
    deadline = time.monotonic() + PATIENCE
    while shows not in (done := plane.kubectl(*arguments, check=False)).out:
        assert time.monotonic() < deadline, done
        time.sleep(0.2)


def test_pods_are_held_to_the_standard_of_their_namespace_and_templates_are_warned_of(plane):
    plane.kubectl("label", "namespace", "web", "pod-security.kubernetes.io/enforce=restricted",
                  "pod-security.kubernetes.io/warn=restricted")
    done = plane.kubectl("run", "-n", "web", "a", "--image=nginx", check=False)
    assert 'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false ' \
           '(container "a" must set securityContext.allowPrivilegeEscalation=false)' in done.err
    done = plane.kubectl("create", "deployment", "-n", "web", "d", "--image=nginx")
    assert 'Warning: would violate PodSecurity "restricted:latest"' in done.err
    plane.kubectl("label", "namespace", "web", "pod-security.kubernetes.io/enforce-",
                  "pod-security.kubernetes.io/warn-")


def test_a_quota_is_counted_held_and_given_back(plane):
    plane.kubectl("create", "quota", "-n", "web", "q", "--hard=configmaps=2,count/secrets=5")
    until(plane, "get", "quota", "q", "-n", "web", "-o", "jsonpath={.status.used.configmaps}", shows="1")
    plane.kubectl("create", "configmap", "-n", "web", "one")
    done = plane.kubectl("create", "configmap", "-n", "web", "two", check=False)
    assert "exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2" in done.err
    plane.kubectl("delete", "configmap", "-n", "web", "one")
    until(plane, "get", "quota", "q", "-n", "web", "-o", "jsonpath={.status.used.configmaps}", shows="1")


def test_a_webhook_that_is_gone_is_named_and_its_conditions_spare_from_it(plane):
    plane.kubectl("apply", "-f", "-", stdin=WEBHOOK)
    done = plane.kubectl("create", "secret", "generic", "other", "-n", "web", check=False)
    assert 'failed calling webhook "dead.example.com": failed to call webhook: Post ' \
           '"https://gone.web.svc:443/?timeout=10s": service "gone" not found' in done.err
    plane.kubectl("create", "secret", "generic", "spared", "-n", "web")
    plane.kubectl("delete", "validatingwebhookconfiguration", "dead")
    plane.kubectl("create", "secret", "generic", "other", "-n", "web")


def test_a_namespace_that_goes_takes_nothing_in(plane):
    plane.kubectl("create", "namespace", "going")
    patch = '{"metadata": {"finalizers": ["example.com/held"]}}'
    until(plane, "get", "configmap", "-n", "going", shows="kube-root-ca.crt")
    plane.kubectl("create", "configmap", "-n", "going", "held")
    plane.kubectl("patch", "configmap", "held", "-n", "going", "--type=merge", "-p", patch)
    plane.kubectl("delete", "namespace", "going", "--wait=false")
    done = plane.kubectl("create", "configmap", "-n", "going", "late", check=False)
    assert "unable to create new content in namespace going because it is being terminated" in done.err
    plane.kubectl("patch", "configmap", "held", "-n", "going", "--type=json",
                  '-p=[{"op": "remove", "path": "/metadata/finalizers"}]')
    done = plane.kubectl("delete", "namespace", "kube-system", check=False)
    assert 'namespaces "kube-system" is forbidden: this namespace may not be deleted' in done.err


def test_a_claim_in_use_is_held_until_it_is_not(plane):
    plane.kubectl("apply", "-f", "-", stdin="""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: web}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: user, namespace: web}
spec:
  nodeName: n1
  containers: [{name: c, image: i}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]
""")
    plane.kubectl("delete", "pvc", "data", "-n", "web", "--wait=false")
    until(plane, "get", "pvc", "data", "-n", "web", "-o", "jsonpath={.metadata.finalizers}", shows="pvc-protection")
    plane.kubectl("delete", "pod", "user", "-n", "web", "--force", "--grace-period=0")
    deadline = time.monotonic() + PATIENCE
    while "NotFound" not in plane.kubectl("get", "pvc", "data", "-n", "web", check=False).err:
        assert time.monotonic() < deadline
        time.sleep(0.2)
