"""What a pod can do with the service-account token that it finds mounted: reach the API, and no more than RBAC says."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
from support.cluster import RealCluster, eventually

pytestmark = pytest.mark.machine

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec:
  serviceAccountName: robot
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "nginx:1.12.2"}
"""


def ask(cluster: RealCluster, authority: str, token: str, path: str) -> tuple[int, Any]:
    """The API's answer to a holder of the token who trusts the mounted CA alone."""
    request = urllib.request.Request(f"https://127.0.0.1:{cluster.port}{path}",
                                     headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_pod_acts_with_the_rights_of_its_service_account_while_it_lives(cluster: RealCluster) -> None:
    with cluster.namespace("robots") as ns:
        cluster.kubectl("-n", ns, "create", "serviceaccount", "robot")
        cluster.kubectl("-n", ns, "create", "role", "reader", "--verb=list", "--resource=pods")
        cluster.kubectl("-n", ns, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={ns}:robot")
        cluster.apply(POD, "-n", ns)
        cluster.wait("-n", ns, "pod/caller", "--for=condition=Ready")

        def inside(*command: str) -> str:
            return cluster.kubectl("-n", ns, "exec", "caller", "--", *command).out

        assert inside("cat", f"{MOUNT}/namespace") == ns
        assert "open" in inside("sh", "-c", "nc -w 2 kubernetes.default.svc 443 </dev/null && echo open")
        authority, token = inside("cat", f"{MOUNT}/ca.crt"), inside("cat", f"{MOUNT}/token")
        pods = f"/api/v1/namespaces/{ns}/pods"
        code, listed = ask(cluster, authority, token, pods)
        assert (code, [pod["metadata"]["name"] for pod in listed["items"]]) == (200, ["caller"])
        code, refused = ask(cluster, authority, token, f"/api/v1/namespaces/{ns}/secrets")
        assert (code, refused["message"]) == (
            403, f'secrets is forbidden: User "system:serviceaccount:{ns}:robot" cannot list resource "secrets" in API '
                 f'group "" in the namespace "{ns}"')
        cluster.kubectl("-n", ns, "delete", "pod", "caller")
        assert eventually(lambda: ask(cluster, authority, token, pods)[0] == 401), "the token dies with its pod"
