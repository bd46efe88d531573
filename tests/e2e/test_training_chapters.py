"""The chapters of the training documents, command by command: pod, several containers, services, deployment."""

from __future__ import annotations

import pytest
from support.cluster import RealCluster, eventually

pytestmark = pytest.mark.machine

NGINX_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: www
spec:
  containers:
  - name: www
    image: nginx:1.12.2
"""
WORDPRESS_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: wp
spec:
  containers:
  - image: wordpress:4.9-apache
    name: wordpress
    env:
    - name: WORDPRESS_DB_PASSWORD
      value: mysqlpwd
    - name: WORDPRESS_DB_HOST
      value: 127.0.0.1
  - image: mysql:5.7
    name: mysql
    env:
    - name: MYSQL_ROOT_PASSWORD
      value: mysqlpwd
    volumeMounts:
    - name: data
      mountPath: /var/lib/mysql
  volumes:
  - name: data
    emptyDir: {}
"""
VOTE_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: vote
  labels:
    app: vote
spec:
  containers:
  - name: vote
    image: instavote/vote
    ports:
    - containerPort: 80
"""
VOTE_SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: vote-service
spec:
  selector:
    app: vote
  type: {type}
  ports:
  - port: 80
    targetPort: 80
{extra}
"""
DEBUG_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: debug
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: debug
    image: alpine
    command:
    - "sleep"
    - "10000"
"""
VOTE_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: vote-deploy
spec:
  replicas: 3
  selector:
    matchLabels:
      app: vote
  template:
    metadata:
      labels:
        app: vote
    spec:
      containers:
      - name: vote
        image: instavote/vote
        ports:
        - containerPort: 80
"""


def test_the_life_of_a_pod(cluster: RealCluster) -> None:
    with cluster.namespace("pod-life") as ns:
        assert cluster.kubectl("-n", ns, "create", "-f", "-", stdin=NGINX_POD).out == "pod/www created\n"
        cluster.wait("-n", ns, "pod/www", "--for=condition=Ready")
        header, row = cluster.kubectl("-n", ns, "get", "pods").out.splitlines()
        assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        assert row.split()[:4] == ["www", "1/1", "Running", "0"]
        assert "nginx/1.12.2" in cluster.kubectl("-n", ns, "exec", "www", "--", "nginx", "-v").text
        assert cluster.kubectl("-n", ns, "exec", "-i", "www", "--", "/bin/bash", stdin="hostname\n").out == "www\n"
        described = cluster.kubectl("-n", ns, "describe", "po/www").out
        for event in ("Scheduled", "Pulled", "Created", "Started"):
            assert event in described
        assert f"Successfully assigned {ns}/www to node-" in described
        assert cluster.kubectl("-n", ns, "delete", "pod", "www").out.startswith('pod "www" deleted')
        assert "NotFound" in cluster.kubectl("-n", ns, "get", "pod", "www", check=False).err


def test_containers_of_a_pod_share_its_network_and_volumes(cluster: RealCluster) -> None:
    with cluster.namespace("several") as ns:
        cluster.kubectl("-n", ns, "create", "-f", "-", stdin=WORDPRESS_POD)
        cluster.wait("-n", ns, "pod/wp", "--for=condition=Ready")
        assert cluster.kubectl("-n", ns, "get", "pod", "wp").out.splitlines()[1].split()[1] == "2/2"
        assert cluster.kubectl("-n", ns, "logs", "wp", "-c", "wordpress").out == "database at 127.0.0.1\n"
        page = cluster.kubectl("-n", ns, "exec", "wp", "-c", "mysql", "--", "wget", "-qO-", "http://127.0.0.1/").out
        assert "WordPress" in page
        assert "ibdata1" in cluster.kubectl("-n", ns, "exec", "wp", "-c", "mysql", "--", "ls", "/var/lib/mysql").out


def test_a_cluster_ip_service_by_name_and_by_name_and_namespace(cluster: RealCluster) -> None:
    with cluster.namespace("cluster-ip") as ns:
        for manifest in (VOTE_POD, VOTE_SERVICE.format(type="ClusterIP", extra=""), DEBUG_POD):
            cluster.kubectl("-n", ns, "create", "-f", "-", stdin=manifest)
        cluster.wait("-n", ns, "pod/vote", "pod/debug", "--for=condition=Ready")
        for host in ("vote-service", f"vote-service.{ns}", f"vote-service.{ns}.svc.cluster.local"):
            look = ("-n", ns, "exec", "debug", "--", "curl", f"http://{host}")
            assert "Cats vs Dogs" in eventually(lambda look=look: cluster.kubectl(*look, check=False).out)


def test_a_node_port_service_on_every_node(cluster: RealCluster) -> None:
    with cluster.namespace("node-port") as ns:
        cluster.kubectl("-n", ns, "create", "-f", "-", stdin=VOTE_POD)
        cluster.kubectl("-n", ns, "create", "-f", "-",
                        stdin=VOTE_SERVICE.format(type="NodePort", extra="    nodePort: 31000"))
        cluster.wait("-n", ns, "pod/vote", "--for=condition=Ready")
        ports = cluster.kubectl("-n", ns, "get", "service", "vote-service").out.splitlines()[1].split()[4]
        assert ports == "80:31000/TCP"
        for node in cluster.get("nodes")["items"]:
            address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
            assert "Cats vs Dogs" in eventually(lambda address=address: fetch(f"http://{address}:31000/"))


def fetch(url: str) -> str:
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def test_the_deployment_chapter_with_updates_history_and_undo(cluster: RealCluster) -> None:
    with cluster.namespace("deploy") as ns:
        def k(*arguments: str) -> str:
            return cluster.kubectl("-n", ns, *arguments).out

        cluster.kubectl("-n", ns, "create", "-f", "-", stdin=VOTE_DEPLOYMENT)
        k("rollout", "status", "deployment/vote-deploy", "--timeout=60s")
        assert k("get", "deploy").splitlines()[1].split()[:4] == ["vote-deploy", "3/3", "3", "3"]
        assert k("get", "rs").splitlines()[1].split()[1:4] == ["3", "3", "3"]
        for tag in ("indent", "movies"):
            k("set", "image", "deployment/vote-deploy", f"vote=instavote/vote:{tag}")
            k("annotate", "deployment/vote-deploy", f"kubernetes.io/change-cause=vote {tag}", "--overwrite")
            k("rollout", "status", "deployment/vote-deploy", "--timeout=60s")
        sets = [line.split()[1:4] for line in k("get", "rs").splitlines()[1:]]
        assert sorted(sets) == [["0", "0", "0"], ["0", "0", "0"], ["3", "3", "3"]]
        history = k("rollout", "history", "deploy/vote-deploy")
        assert "vote indent" in history
        assert "vote movies" in history
        assert "Scaled up replica set" in k("describe", "deploy/vote-deploy")
        assert k("rollout", "undo", "deployment/vote-deploy") == "deployment.apps/vote-deploy rolled back\n"
        k("rollout", "status", "deployment/vote-deploy", "--timeout=60s")
        assert image(k) == "instavote/vote:indent"
        k("rollout", "undo", "deployment/vote-deploy", "--to-revision=1")
        k("rollout", "status", "deployment/vote-deploy", "--timeout=60s")
        assert image(k) == "instavote/vote"
        k("scale", "deployment/vote-deploy", "--replicas=1")
        eventually(lambda: k("get", "deploy").splitlines()[1].split()[1] == "1/1")


def image(k) -> str:  # type: ignore[no-untyped-def]
    return k("get", "deploy", "vote-deploy", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
