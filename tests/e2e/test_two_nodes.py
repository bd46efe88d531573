"""Pods on two nodes reach each other by address, by service name, and by NodePort of either node."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support.cluster import RealCluster, eventually

pytestmark = pytest.mark.machine

NODES = ("node-1", "node-2")
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {name}, tier: web}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: web, image: "nginx:1.12.2"}}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports: [{{port: 80}}]
---
"""
BOTH = """
apiVersion: v1
kind: Service
metadata:
  name: both
spec:
  clusterIP: None
  selector: {tier: web}
  ports: [{port: 80}]
"""


@pytest.fixture(scope="module")
def ns(cluster: RealCluster) -> Iterator[str]:
    with cluster.namespace("two-nodes") as namespace:
        manifest = "".join(POD.format(name=f"on-{node}", node=node) for node in NODES) + BOTH
        cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
        cluster.wait("-n", namespace, *(f"pod/on-{node}" for node in NODES), "--for=condition=Ready")
        yield namespace


def fetch(cluster: RealCluster, ns: str, node: str, url: str) -> str:
    return eventually(lambda: cluster.kubectl("-n", ns, "exec", f"on-{node}", "--", "curl", url, check=False).out)


@pytest.mark.parametrize("here", NODES)
@pytest.mark.parametrize("there", NODES)
class TestFrom:
    def test_by_pod_address(self, cluster: RealCluster, ns: str, here: str, there: str) -> None:
        address = cluster.get("-n", ns, "pod", f"on-{there}")["status"]["podIP"]
        assert "nginx" in fetch(cluster, ns, here, f"http://{address}/")

    def test_by_service_name(self, cluster: RealCluster, ns: str, here: str, there: str) -> None:
        assert "nginx" in fetch(cluster, ns, here, f"http://on-{there}.{ns}.svc.cluster.local/")

    @pytest.mark.parametrize("node", NODES)
    def test_by_node_port(self, cluster: RealCluster, ns: str, here: str, there: str, node: str) -> None:
        port = cluster.get("-n", ns, "service", f"on-{there}")["spec"]["ports"][0]["nodePort"]
        addresses = cluster.get("node", node)["status"]["addresses"]
        address = next(a["address"] for a in addresses if a["type"] == "InternalIP")
        assert "nginx" in fetch(cluster, ns, here, f"http://{address}:{port}/")


def test_a_headless_service_resolves_to_every_pod(cluster: RealCluster, ns: str) -> None:
    wanted = {pod["status"]["podIP"] for pod in cluster.get("-n", ns, "pods", "-l", "tier=web")["items"]}

    def resolved() -> bool:
        answer = cluster.kubectl("-n", ns, "exec", "on-node-1", "--", "nslookup", f"both.{ns}.svc.cluster.local",
                                 check=False).out
        return wanted <= {word for line in answer.splitlines() for word in line.split()}

    assert len(wanted) == 2
    assert eventually(resolved)


@pytest.mark.parametrize("url", ["http://198.51.100.2", "http://www.example.com"], ids=["address", "name"])
def test_what_is_beyond_the_machine_is_refused_and_nobody_waits(cluster: RealCluster, ns: str, url: str) -> None:
    started = time.monotonic()
    done = cluster.kubectl("-n", ns, "exec", "on-node-1", "--", "wget", "-q", "-O", "-", url, check=False)
    assert done.code == 1
    assert time.monotonic() - started < 3
