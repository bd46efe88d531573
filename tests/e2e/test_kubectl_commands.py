"""Every command of the issue's list with the oldest, an older and the newest kubectl, on a real cluster."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest
from support.cluster import RealCluster, eventually
from support.kubectl import NEWEST, OLDEST, VERSIONS, kubectl

pytestmark = pytest.mark.machine

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: nginx:1.12.2
"""


class Bench:
    """One version of kubectl in one namespace."""

    def __init__(self, cluster: RealCluster, namespace: str, version: str) -> None:
        self.cluster, self.namespace, self.version = cluster, namespace, version

    def __call__(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, version=self.version,
                                    check=check).text

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([str(kubectl(self.version)), "-n", self.namespace, *arguments], env=self.cluster.env,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)


@pytest.fixture(params=VERSIONS, scope="module")
def k(request: pytest.FixtureRequest, cluster: RealCluster) -> Iterator[Bench]:
    with cluster.namespace(f"kubectl-{request.param.replace('.', '-')}") as namespace:
        bench = Bench(cluster, namespace, request.param)
        bench("apply", "-f", "-", stdin=DEPLOYMENT)
        bench("rollout", "status", "deployment/web", "--timeout=60s")
        yield bench


def pod_of(k: Bench) -> str:
    return eventually(lambda: k("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o",
                                "jsonpath={.items[0].metadata.name}"))


def test_apply_says_what_changed(k: Bench) -> None:
    assert "unchanged" in k("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("name: web\nspec", "name: web\n  labels: {tier: front}\nspec")
    assert "configured" in k("apply", "-f", "-", stdin=changed)


def test_create_checks_fields_before_anything_is_stored(k: Bench) -> None:
    wrong = DEPLOYMENT.replace("replicas", "replicaz").replace("name: web\nspec", "name: wrong\nspec")
    assert 'unknown field "spec.replicaz"' in k("create", "-f", "-", stdin=wrong, check=False) or k.version == OLDEST
    assert "NotFound" in k("get", "deployment", "wrong", check=False)


def test_get_in_every_format(k: Bench) -> None:
    wide = k("get", "pods", "-o", "wide").splitlines()
    assert wide[0].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert "kind: Deployment" in k("get", "deployment", "web", "-o", "yaml")
    assert '"kind": "Deployment"' in k("get", "deployment", "web", "-o", "json")
    assert k("get", "deployment", "web", "-o", "name").strip() == "deployment.apps/web"
    assert "deployment.apps/web" in k("get", "all")


def test_describe_shows_conditions_and_events(k: Bench) -> None:
    assert "ScalingReplicaSet" in k("describe", "deployment", "web")
    assert "Ready" in k("describe", "pod", pod_of(k))
    assert "Allocatable" in k("describe", "node", "node-1")


def test_logs_are_followed(k: Bench) -> None:
    k("run", "talker", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh", "-c",
      "for i in 1 2 3; do echo line $i; sleep 0.3; done")
    eventually(lambda: "line 1" in k("logs", "talker", check=False))
    assert k("logs", "-f", "talker").splitlines() == ["line 1", "line 2", "line 3"]
    assert k("logs", "talker", "--tail=1") == "line 3\n"
    k("delete", "pod", "talker", "--now")


def test_exec_with_input_exit_code_and_terminal(k: Bench) -> None:
    pod = pod_of(k)
    assert k("exec", pod, "--", "hostname").strip() == pod
    assert k("exec", "-i", pod, "--", "cat", stdin="through") == "through"
    failed = k.cluster.kubectl("-n", k.namespace, "exec", pod, "--", "sh", "-c", "exit 7", version=k.version,
                               check=False)
    assert failed.code == 7
    typed = subprocess.run(["script", "-qec", f"{kubectl(k.version)} -n {k.namespace} exec -it {pod} -- sh -c "
                            "'tty && stty size'", "/dev/null"], env=k.cluster.env, capture_output=True, text=True,
                           timeout=30, check=False)
    assert "/dev/pts/" in typed.stdout


def test_port_forward_carries_http(k: Bench) -> None:
    forward = k.start("port-forward", f"pod/{pod_of(k)}", ":80")
    try:
        assert forward.stdout is not None
        port = forward.stdout.readline().split("127.0.0.1:")[1].split()[0]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert b"nginx" in answer.read()
    finally:
        forward.kill()
        forward.communicate()


def test_cp_copies_both_ways(k: Bench, tmp_path) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(bytes(range(256)) * 4096)
    pod = pod_of(k)
    k("cp", str(sent), f"{pod}:/tmp/file")
    k("cp", f"{pod}:/tmp/file", str(back))
    assert back.read_bytes() == sent.read_bytes()


def test_scale_and_set_image_and_roll_back(k: Bench) -> None:
    assert "scaled" in k("scale", "deployment/web", "--replicas=2")
    k("set", "image", "deployment/web", "web=nginx:1.14.2")
    assert "successfully rolled out" in k("rollout", "status", "deployment/web", "--timeout=60s")
    assert len([line for line in k("rollout", "history", "deployment/web").splitlines() if line[:1].isdigit()]) == 2
    assert "rolled back" in k("rollout", "undo", "deployment/web")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    assert k("get", "deployment", "web", "-o", "jsonpath={..image}") == "nginx:1.12.2"
    k("scale", "deployment/web", "--replicas=1")


def test_label_annotate_and_wait(k: Bench) -> None:
    assert "labeled" in k("label", "deployment", "web", "colour=green")
    assert k("get", "deployments", "-l", "colour=green", "-o", "name").strip() == "deployment.apps/web"
    assert "annotate" in k("annotate", "deployment", "web", "note=hello", "--overwrite")
    assert "condition met" in k("wait", "deployment/web", "--for=condition=Available", "--timeout=30s")
    k("label", "deployment", "web", "colour-")


def test_explain_and_api_resources(k: Bench) -> None:
    assert "DESCRIPTION" in k("explain", "pod.spec.containers").upper()
    assert "livenessProbe" in k("explain", "pod.spec.containers")
    resources = k("api-resources")
    assert any(line.split()[:2] == ["deployments", "deploy"] for line in resources.splitlines())
    assert "apps/v1" in k("api-versions")


def test_run_and_delete(k: Bench) -> None:
    assert "pod/one created" in k("run", "one", "--image=nginx:1.12.2")
    assert "condition met" in k("wait", "pod/one", "--for=condition=Ready", "--timeout=30s")
    assert 'pod "one"' in k("delete", "pod", "one", "--now")


def test_create_by_generators(k: Bench) -> None:
    k("create", "configmap", "settings", "--from-literal=a=b")
    k("create", "secret", "generic", "keys", "--from-literal=a=b")
    k("create", "serviceaccount", "robot")
    k("create", "role", "reader", "--verb=get,list", "--resource=pods")
    k("create", "rolebinding", "readers", "--role=reader", f"--serviceaccount={k.namespace}:robot")
    assert k("get", "configmap", "settings", "-o", "jsonpath={.data.a}") == "b"
    may = ("auth", "can-i", "list", "pods", f"--as=system:serviceaccount:{k.namespace}:robot")
    assert k(*may).strip() == "yes"
    assert k(*(part.replace("list", "delete") for part in may), check=False).splitlines()[0] == "no"
    k("delete", "configmap/settings", "secret/keys", "role/reader", "rolebinding/readers", "serviceaccount/robot")


def test_what_is_not_there_is_said_as_kubernetes_says_it(cluster: RealCluster) -> None:
    missing = cluster.kubectl("get", "pod", "nothing", version=NEWEST, check=False)
    assert missing.err == 'Error from server (NotFound): pods "nothing" not found\n'
    assert missing.code == 1
    assert 'the server doesn\'t have a resource type "nonsense"' in cluster.kubectl("get", "nonsense", check=False).err


def test_watch_shows_changes_as_they_come(cluster: RealCluster) -> None:
    with cluster.namespace("watching") as ns:
        watch = subprocess.Popen([str(kubectl()), "-n", ns, "get", "configmaps", "--watch-only", "-o", "name"],
                                 env=cluster.env, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1)  # until it watches
            cluster.kubectl("-n", ns, "create", "configmap", "seen")
            assert watch.stdout is not None
            assert eventually(lambda: "configmap/seen" in watch.stdout.readline())
        finally:
            watch.kill()
            watch.communicate()
