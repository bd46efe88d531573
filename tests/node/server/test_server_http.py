"""The kubelet's API: who may ask, what there is to ask, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from support.kubelet_api import HEADERS, FakeRuntime, kubelet, pod

from timonier.api.types import core_v1
from timonier.cluster.certificates import Authority, Identity
from timonier.component.authenticate import User, subject
from timonier.component.authorise import ALLOWED_SECONDS, REFUSED_SECONDS, Access
from timonier.kit.clock import FakeClock
from timonier.kit.http import Connections, Response
from timonier.node.kubelet.server.authorise import accesses


async def get(url: str, *, method: str = "GET", headers: dict[str, str] = HEADERS) -> Response:
    connections = Connections()
    try:
        return await connections.request(method, url, headers)
    finally:
        await connections.close()


async def refused(access: Access) -> bool:
    return False


@pytest.mark.parametrize("headers", [
    pytest.param({}, id="nobody"), pytest.param({"Authorization": "Bearer wrong"}, id="a-bad-token"),
    pytest.param({"Authorization": "Basic bGV0LW1lLWlu"}, id="another-scheme")])
async def test_who_is_not_known_is_turned_away(headers):
    async with kubelet(FakeRuntime()) as url:
        answer = await get(f"{url}/pods", headers=headers)
        assert (answer.status, answer.body) == (401, b"Unauthorized")


async def test_who_may_not_is_told_what_would_be_needed():
    async with kubelet(FakeRuntime(), review=refused) as url:
        answer = await get(f"{url}/exec/default/web/main", method="POST")
        assert answer.status == 403
        assert answer.body == b"Forbidden (user=tester, verb=create, resource=nodes, subresource(s)=[proxy])"


async def test_the_answer_of_a_review_is_remembered_for_a_while():
    asked, clock = [], FakeClock()

    async def review(access: Access) -> bool:
        asked.append(access)
        return access.subresource == "proxy"

    async with kubelet(FakeRuntime(), review=review, clock=clock) as url:
        for _ in range(3):
            assert (await get(f"{url}/pods")).status == 200
        assert [access.subresource for access in asked] == ["pods", "proxy"]
        await clock.advance(REFUSED_SECONDS + 1)
        await get(f"{url}/pods")
        assert [access.subresource for access in asked[2:]] == ["pods"]
        await clock.advance(ALLOWED_SECONDS)
        await get(f"{url}/pods")
        assert [access.subresource for access in asked[3:]] == ["pods", "proxy"]


@pytest.mark.parametrize(("method", "path", "verb", "subresources"), [
    ("GET", "/pods", "get", ["pods", "proxy"]), ("GET", "/metrics/resource", "get", ["metrics"]),
    ("GET", "/stats/summary", "get", ["stats"]), ("GET", "/logs/syslog", "get", ["log"]),
    ("GET", "/healthz", "get", ["healthz", "proxy"]), ("GET", "/configz", "get", ["configz", "proxy"]),
    ("GET", "/containerLogs/a/b/c", "get", ["proxy"]), ("POST", "/exec/a/b/c", "create", ["proxy"]),
    ("GET", "/exec/a/b/c", "create", ["proxy"]), ("GET", "//exec/a/b/c", "create", ["proxy"]),
    ("PUT", "/anything", "update", ["proxy"])])
def test_paths_are_subresources_of_the_node(method, path, verb, subresources):
    found = accesses(User("u"), method, path, "n1")
    assert {access.verb for access in found} == {verb}
    assert [access.subresource for access in found] == subresources


def test_a_certificate_names_the_user_and_the_groups(tmp_path):
    pair = Authority(tmp_path).issue("client", Identity("jane", ("dev", "ops")))
    user = subject(x509.load_pem_x509_certificate(pair.certificate.read_bytes()))
    assert user is not None
    assert user.name == "jane"
    assert {"dev", "ops", "system:authenticated"} == set(user.groups)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/nonsense", 404), ("POST", "/pods", 405), ("GET", "/run/default/web/main", 405),
    ("DELETE", "/exec/default/web/main", 405), ("GET", "/exec/default/web", 404), ("POST", "/exec/a/b/c/d/e", 404),
    ("POST", "/exec/default/nope/main", 404), ("POST", "/exec/default/web/nope", 404),
    ("POST", "/exec/default/web/other-uid/main", 404), ("GET", "/portForward/default/nope", 404)])
async def test_what_is_not_there_is_not_found(method, path, status):
    async with kubelet(FakeRuntime()) as url:
        assert (await get(url + path, method=method)).status == status


async def test_health_is_what_the_kubelet_says():
    async with kubelet(FakeRuntime()) as url:
        assert (await get(f"{url}/healthz")).body == b"ok"
    async with kubelet(FakeRuntime(), unhealthy=lambda: "the runtime is down") as url:
        answer = await get(f"{url}/healthz")
        assert (answer.status, answer.body) == (500, b"the runtime is down")


async def test_pods_configuration_and_stats_are_documents():
    async with kubelet(FakeRuntime(), configuration=lambda: {"maxPods": 110}) as url:
        pods = json.loads((await get(f"{url}/pods")).body)
        assert (pods["kind"], pods["items"][0]["kind"], pods["items"][0]["metadata"]["name"]) == (
            "PodList", "Pod", "web")
        running = json.loads((await get(f"{url}/runningpods/")).body)
        assert [each["name"] for each in running["items"][0]["spec"]["containers"]] == ["main"]
        assert json.loads((await get(f"{url}/configz")).body) == {"kubeletconfig": {"maxPods": 110}}
        stats = json.loads((await get(f"{url}/stats/summary")).body)
        assert stats["node"]["nodeName"] == "n1"
        assert stats["pods"][0]["podRef"] == {"name": "web", "namespace": "default", "uid": "u1"}
        assert stats["pods"][0]["containers"][0]["memory"]["workingSetBytes"] == 4096


async def test_metrics_are_those_that_monitoring_knows():
    async with kubelet(FakeRuntime(), metrics=lambda: b"own_metric 1\n") as url:
        text = (await get(f"{url}/metrics")).body.decode()
        assert "kubelet_running_pods 1.0" in text
        assert "own_metric 1" in text
        text = (await get(f"{url}/metrics/resource")).body.decode()
        labels = '{container="main",namespace="default",pod="web"}'
        assert f"container_cpu_usage_seconds_total{labels} 2 10000" in text
        assert 'pod_memory_working_set_bytes{namespace="default",pod="web"} 4096' in text


async def test_a_command_is_run_and_answers_with_all_it_wrote():
    async with kubelet(FakeRuntime()) as url:
        answer = await get(f"{url}/run/default/web/main?cmd=sh+0", method="POST")
        assert (answer.status, answer.body) == (200, b"outerr")
        answer = await get(f"{url}/run/default/web/u1/main?cmd=sh+3", method="POST")
        assert (answer.status, answer.body) == (500, b"outerrcommand 'sh 3' exited with 3")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a&b.log").write_bytes(b"x" * 600_000)
    (folder / "deep" / "inner.log").write_bytes(b"inner")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to(folder / "deep" / "inner.log")
    return folder


async def test_the_nodes_own_logs_are_listed_and_read(logs):
    async with kubelet(FakeRuntime(), log_dir=logs) as url:
        assert b'<a href="a%26b.log">a&amp;b.log</a>' in (await get(f"{url}/logs/")).body
        assert (await get(f"{url}/logs/a%26b.log")).body == b"x" * 600_000
        assert (await get(f"{url}/logs/deep/inner.log")).body == b"inner"
        assert (await get(f"{url}/logs/in")).body == b"inner"


@pytest.mark.parametrize("path", ["../secret", "deep/../../secret", "%2e%2e/secret", "..%2fsecret", "out", "none",
                                  "deep/..%2f..%2fsecret", "a%00b"])
async def test_nothing_outside_of_the_log_directory_is_read(logs, path):
    async with kubelet(FakeRuntime(), log_dir=logs) as url:
        answer = await get(f"{url}/logs/{path}")
        assert answer.status in (400, 404)
        assert b"secret" not in answer.body


LINES = b"2026-01-02T03:04:05Z stdout F one\n2026-01-02T03:04:06Z stderr F two\n"


def waiting(reason: str, **more: object) -> core_v1.Pod:
    state = core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=reason))
    return pod(state=state, containerID="", **more)


def ended(container: str) -> core_v1.ContainerState:
    return core_v1.ContainerState(terminated=core_v1.ContainerStateTerminated(containerID=container))


@pytest.mark.parametrize(("found", "query", "status", "text"), [
    (pod(), "", 200, b"one\ntwo\n"),
    (pod(), "?tailLines=1&timestamps=true", 200, b"2026-01-02T03:04:06.000000000Z two\n"),
    (pod(), "?stream=Stdout&limitBytes=2", 200, b"on"),
    (pod(state=ended("containerd://c2")), "", 200, b"one\ntwo\n"),
    (pod(lastState=ended("containerd://c1")), "?previous=true", 200, b"before\n"),
    (waiting("CrashLoopBackOff", lastState=ended("containerd://c1")), "", 200, b"before\n"),
    (waiting("ContainerCreating"), "", 400, b'container "main" in pod "web" is waiting to start: ContainerCreating'),
    (waiting("ErrImagePull"), "", 400, b'container "main" in pod "web" is waiting to start: image can\'t be pulled'),
    (waiting("ImagePullBackOff"), "", 400,
     b'container "main" in pod "web" is waiting to start: trying and failing to pull image'),
    (pod(), "?previous=true", 400, b'previous terminated container "main" in pod "web" not found'),
    (pod(state=ended("")), "", 400, b'container "main" in pod "web" is terminated'),
    (pod(state=None), "", 400, b'container "main" in pod "web" is waiting to start - no logs yet'),
    (pod(containerID="containerd://gone"), "", 400, b"unable to retrieve container logs for containerd://gone"),
    (pod(), "?tailLines=x", 400, b'invalid tailLines "x"'),
    (pod(), "?sinceTime=yesterday", 400, None),
    (pod(), "?stream=Both", 400, b'invalid stream "Both"'),
])
async def test_a_containers_log_or_why_there_is_none(tmp_path, found, query, status, text):
    (tmp_path / "0.log").write_bytes(LINES)
    (tmp_path / "previous.log").write_bytes(b"2026-01-02T03:04:04Z stdout F before\n")
    async with kubelet(FakeRuntime(log=tmp_path / "0.log"), found) as url:
        answer = await get(f"{url}/containerLogs/default/web/main{query}")
        assert answer.status == status
        assert text is None or answer.body == text


async def test_logs_of_what_has_none_yet(tmp_path):
    async with kubelet(FakeRuntime(log=tmp_path / "none")) as url:
        answer = await get(f"{url}/containerLogs/default/web/side")
        assert (answer.status, answer.body) == (400, b'container "side" in pod "web" is not available')
        answer = await get(f"{url}/containerLogs/default/web/nope")
        assert (answer.status, answer.body) == (404, b'container "nope" not found in pod "web"')
        answer = await get(f"{url}/containerLogs/default/web/main")
        assert (answer.status, answer.body) == (
            400, f'failed to open log file "{tmp_path}/none": no such file or directory'.encode())
