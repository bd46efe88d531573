"""What breaks heals: containers, pods, agents, the API server under load, a whole node. On a cluster of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import RealCluster, eventually

from timonier.cluster import supervisor
from timonier.cluster.spec import load

pytestmark = pytest.mark.machine

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers:
      - {name: web, image: "nginx:1.12.2"}
"""


@pytest.fixture(scope="module")
def healing(tmp_path_factory: pytest.TempPathFactory, standins: Path) -> Iterator[RealCluster]:
    with RealCluster("healing", tmp_path_factory.mktemp("healing")).running("--nodes", "2", images=standins) as made:
        made.apply(WEB)
        made.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=70)
        yield made


def pods(cluster: RealCluster) -> dict[str, dict]:  # type: ignore[type-arg]
    return {pod["metadata"]["name"]: pod for pod in cluster.get("pods", "-l", "app=web")["items"]
            if "deletionTimestamp" not in pod["metadata"]}


def ready(pod: dict) -> bool:  # type: ignore[type-arg]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def pid_of(cluster: RealCluster, component: str) -> int:
    spec = load(cluster.name)
    assert spec is not None
    return supervisor.component_pids(spec).get(component, 0)


def container_pid(cluster: RealCluster, pod: dict) -> int:  # type: ignore[type-arg]
    spec = load(cluster.name)
    assert spec is not None
    node = next(n for n in spec.all_nodes if n.name == pod["spec"]["nodeName"])
    identifier = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    listed = subprocess.run(["ctr", "-a", str(spec.containerd_socket(node)), "-n", "k8s.io", "tasks", "list"],
                            capture_output=True, text=True, check=True, timeout=30).stdout
    return next(int(line.split()[1]) for line in listed.splitlines() if line.startswith(identifier))


def test_a_killed_container_is_restarted_and_counted(healing: RealCluster) -> None:
    name, pod = next(iter(pods(healing).items()))
    os.kill(container_pid(healing, pod), signal.SIGKILL)

    def restarted() -> bool:
        status = pods(healing)[name]["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]

    assert eventually(restarted)
    state = pods(healing)[name]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert state["exitCode"] == 137
    assert healing.kubectl("get", "pod", name).out.splitlines()[1].split()[3] == "1"


def test_a_deleted_pod_is_replaced(healing: RealCluster) -> None:
    before = pods(healing)
    victim = next(iter(before))
    healing.kubectl("delete", "pod", victim)
    eventually(lambda: victim not in pods(healing) and sum(map(ready, pods(healing).values())) == 3)
    assert set(pods(healing)) - set(before)


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_pods_run_on_while_their_agent_is_killed_and_it_returns(healing: RealCluster, node: str) -> None:
    def started() -> dict[str, str]:
        return {name: json.dumps(pod["status"]["containerStatuses"][0]["state"]["running"])
                for name, pod in pods(healing).items()}

    before, agent = started(), pid_of(healing, f"agent-{node}")
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: pid_of(healing, f"agent-{node}") not in (0, agent))
    name = next((name for name, pod in pods(healing).items() if pod["spec"]["nodeName"] == node), None)
    healing.kubectl("run", f"after-{node}", "--image=nginx:1.12.2",
                    "--overrides", json.dumps({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 1}}))
    healing.wait(f"pod/after-{node}", "--for=condition=Ready")
    if name is not None:
        assert eventually(lambda: healing.kubectl("exec", name, "--", "hostname", check=False).out.strip() == name)
    assert started() == before
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] <= 1 for pod in pods(healing).values())
    healing.kubectl("delete", "pod", f"after-{node}", "--now")


def test_a_killed_api_server_loses_nothing_that_it_acknowledged(healing: RealCluster) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"load-{worker}-{number}"
            done = healing.kubectl("create", "configmap", name, f"--from-literal=n={number}", check=False)
            if done.code == 0:
                acknowledged.append(name)

    writers = [threading.Thread(target=write, args=(worker,), name=f"writer-{worker}") for worker in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            reached = len(acknowledged) + 3
            eventually(lambda reached=reached: len(acknowledged) >= reached)
            server = pid_of(healing, "apiserver")
            os.kill(server, signal.SIGKILL)
            eventually(lambda server=server: pid_of(healing, "apiserver") not in (0, server))
    finally:
        stop.set()
        for writer in writers:
            writer.join(30)
    stored = eventually(lambda: {item["metadata"]["name"] for item in healing.get("configmaps")["items"]})
    assert set(acknowledged) - stored == set()
    healing.kubectl("scale", "deployment/web", "--replicas=4")
    eventually(lambda: sum(map(ready, pods(healing).values())) == 4)
    healing.kubectl("scale", "deployment/web", "--replicas=3")
    eventually(lambda: len(pods(healing)) == 3)


def test_a_killed_supervisor_is_replaced_by_starting_again(healing: RealCluster) -> None:
    spec = load(healing.name)
    assert spec is not None
    server, pid = pid_of(healing, "apiserver"), supervisor.running(spec)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: supervisor.running(spec) is None)
    assert healing.timonier("status", "--name", healing.name, check=False).code == 1
    healing.start()
    assert healing.timonier("status", "--name", healing.name).code == 0
    assert pid_of(healing, "apiserver") == server


def test_pods_move_away_from_a_node_that_stopped(healing: RealCluster) -> None:
    eventually(lambda: any(pod["spec"]["nodeName"] == "node-2" for pod in pods(healing).values()))
    healing.timonier("node", "stop", "--name", healing.name, "node-2")
    begin = time.monotonic()
    healing.wait("node/node-2", "--for=condition=Ready=Unknown", timeout=90)
    taints = [t["key"] for t in eventually(lambda: healing.get("node", "node-2")["spec"].get("taints"))]
    assert "node.kubernetes.io/unreachable" in taints

    def moved() -> bool:
        live = pods(healing).values()
        return len(live) == 3 and all(pod["spec"]["nodeName"] == "node-1" and ready(pod) for pod in live)

    eventually(moved, within=60)
    assert time.monotonic() - begin > 30, "a silent node is given its grace"
    healing.timonier("node", "start", "--name", healing.name, "node-2")
    healing.wait("node/node-2", "--for=condition=Ready")
