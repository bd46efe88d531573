"""What is sent to the API server about pods and nodes, pull credentials, cgroups and admission."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.kubelet_bench import FakeApi, make_pod, node_bench

from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import FakeClock
from timonier.node.cri.contract import RuntimeUnavailable
from timonier.node.kubelet.admit import admit
from timonier.node.kubelet.cgroups import FileCgroups, SystemdCgroups
from timonier.node.kubelet.images import credentials
from timonier.node.kubelet.last_words import log_tail
from timonier.node.kubelet.report import Reports, difference

POD_IPS = [core_v1.PodIP(ip="10.0.0.1")]


def status(**fields: Any) -> core_v1.PodStatus:
    return msgspec.convert(fields, core_v1.PodStatus)


def test_same_status_is_not_sent() -> None:
    one = status(phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert difference(one, one) == {}


def test_only_what_differs_is_sent() -> None:
    old = status(phase="Pending", message="wait", conditions=[{"type": "Ready", "status": "False"},
                                                              {"type": "Initialized", "status": "True"}])
    new = status(phase="Running", conditions=[{"type": "Ready", "status": "True"},
                                              {"type": "Initialized", "status": "True"}])
    assert difference(old, new) == {"phase": "Running", "message": None,
                                    "conditions": [{"type": "Ready", "status": "True"}]}


def test_a_condition_that_holds_again_loses_its_reason() -> None:
    old = status(conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "[c]"}])
    new = status(conditions=[{"type": "Ready", "status": "True"}])
    assert difference(old, new) == {"conditions": [{"type": "Ready", "status": "True", "reason": None,
                                                    "message": None}]}


def test_conditions_of_others_are_never_written_back() -> None:
    old = status(conditions=[{"type": "example.com/lb", "status": "True"}])
    new = status(conditions=[{"type": "example.com/lb", "status": "False"}])
    assert difference(old, new) == {}


def test_a_condition_of_the_kubelet_that_holds_no_more_is_removed() -> None:
    old = status(conditions=[{"type": "PodResizePending", "status": "True"}, {"type": "example.com/lb",
                                                                             "status": "True"}])
    assert difference(old, status()) == {"conditions": [{"type": "PodResizePending", "$patch": "delete"}]}


def test_addresses_replace_those_before() -> None:
    old, new = status(podIPs=[{"ip": "10.0.0.1"}]), status(podIPs=[{"ip": "10.0.0.2"}])
    assert difference(old, new) == {"podIPs": [{"ip": "10.0.0.2"}, {"$patch": "replace"}]}
    assert difference(status(), new) == {"podIPs": [{"ip": "10.0.0.2"}]}


async def test_newest_status_wins_and_is_sent_until_it_arrives() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    pod = api.put(make_pod())
    async with asyncio.TaskGroup() as group:
        reports = Reports(api, clock, group)
        reports.seen(pod)
        api.down = True
        for phase in ("Pending", "Running", "Succeeded"):
            reports.write(pod.metadata.uid, status(phase=phase))
            await clock.advance(0.1)
        api.down = False
        await clock.advance(10)
        assert api.pods["default/web"].status.phase == "Succeeded"
        assert len(api.patches) == 1


async def test_status_of_a_pod_that_is_gone_is_given_up() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    async with asyncio.TaskGroup() as group:
        reports = Reports(api, clock, group)
        pod = make_pod()
        reports.seen(pod)
        reports.write(pod.metadata.uid, status(phase="Running"))
        await reports.written(pod.metadata.uid)
        assert api.patches != []


def pull_secret(**auths: Any) -> core_v1.Secret:
    data = json.dumps({"auths": {name.replace("_", "."): value for name, value in auths.items()}}).encode()
    return core_v1.Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": data})


def test_credentials_are_those_of_the_images_registry() -> None:
    both = base64.b64encode(b"me:pa:ss").decode()
    secret = pull_secret(ghcr_io={"auth": both}, quay_io={"username": "you", "password": "x"})
    [found] = credentials(secret, "ghcr.io/team/app:1")
    assert (found.username, found.password) == ("me", "pa:ss")
    assert list(credentials(secret, "nginx")) == []


def test_docker_hub_goes_by_several_names() -> None:
    secret = core_v1.Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": json.dumps(
        {"auths": {"https://index.docker.io/v1/": {"username": "me"}}}).encode()})
    assert [one.username for one in credentials(secret, "nginx:1")] == ["me"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"auths": 7}', b'{"auths": {"x": 7}}', b"null"])
def test_broken_pull_secret_holds_nothing(data: bytes) -> None:
    secret = core_v1.Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": data})
    assert list(credentials(secret, "x/y")) == []


async def test_pod_cgroups_v1_have_limits_in_each_controller(tmp_path: Path) -> None:
    for name in ("cpu", "memory", "pids", "devices"):
        (tmp_path / name).mkdir()
    groups = FileCgroups(tmp_path, "/node", unified=False, pids_limit=100)
    limits = {"requests": {"cpu": "500m", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "2Mi"}}
    pod = make_pod("web", {"resources": limits})
    path = groups.parent(pod).strip("/")
    for name, file in (("cpu", "cpu.shares"), ("cpu", "cpu.cfs_quota_us"), ("memory", "memory.limit_in_bytes"),
                       ("pids", "pids.max")):
        (tmp_path / name / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path / file).touch()
    await groups.ensure(pod)
    assert path == f"node/kubepods/burstable/pod{pod.metadata.uid}"
    assert (tmp_path / "cpu" / path / "cpu.shares").read_text() == "512"
    assert (tmp_path / "cpu" / path / "cpu.cfs_quota_us").read_text() == "100000"
    assert (tmp_path / "memory" / path / "memory.limit_in_bytes").read_text() == str(2 << 20)
    assert (tmp_path / "pids" / path / "pids.max").read_text() == "100"
    assert groups.existing() == {pod.metadata.uid}


async def test_pod_cgroups_v2_have_weight_and_max(tmp_path: Path) -> None:
    groups = FileCgroups(tmp_path, "/node", unified=True)
    pod = make_pod("web", {"resources": {"limits": {"cpu": "1", "memory": "2Mi"}}})
    (tmp_path / groups.parent(pod).strip("/")).mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "node", tmp_path / "node/kubepods"):
        (folder / "cgroup.controllers").write_text("cpu memory pids")
        (folder / "cgroup.subtree_control").write_text("")
    await groups.ensure(pod)
    own = tmp_path / groups.parent(pod).strip("/")
    assert groups.parent(pod) == f"/node/kubepods/pod{pod.metadata.uid}"
    assert (own / "cpu.weight").read_text() == "39"
    assert (own / "cpu.max").read_text() == "100000 100000"
    assert (own / "memory.max").read_text() == str(2 << 20)
    assert (tmp_path / "node/cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_systemd_slices_are_named_as_systemd_nests_them() -> None:
    groups = SystemdCgroups("/")
    assert groups.slice("a-b", "burstable") == "kubepods-burstable-poda_b.slice"


NODE = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1", labels={"zone": "a", "size": "5"}),
                    status=core_v1.NodeStatus(allocatable={"cpu": "2", "memory": "1Gi"}))


def affinity(**requirement: Any) -> dict[str, Any]:
    term = {"matchExpressions": [requirement]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [term]}}}}


@pytest.mark.parametrize(("spec", "reason"), [
    pytest.param({}, None, id="plain"),
    pytest.param({"nodeSelector": {"zone": "a"}}, None, id="selector-holds"),
    pytest.param({"nodeSelector": {"zone": "b"}}, "NodeAffinity", id="selector-does-not"),
    pytest.param(affinity(key="zone", operator="In", values=["a", "b"]), None, id="in"),
    pytest.param(affinity(key="zone", operator="NotIn", values=["a"]), "NodeAffinity", id="not-in"),
    pytest.param(affinity(key="size", operator="Gt", values=["4"]), None, id="gt"),
    pytest.param(affinity(key="zone", operator="Lt", values=["4"]), "NodeAffinity", id="lt-of-no-number"),
    pytest.param(affinity(key="gone", operator="DoesNotExist"), None, id="absent"),
    pytest.param({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "SysctlForbidden",
                 id="unsafe-sysctl"),
    pytest.param({"securityContext": {"supplementalGroupsPolicy": "Strict"}}, "SupplementalGroupsPolicyNotSupported",
                 id="strict-groups"),
    pytest.param({"os": {"name": "windows"}}, "PodOSNotSupported", id="other-os"),
])
def test_admission(spec: dict[str, Any], reason: str | None) -> None:
    ended = admit(make_pod(**spec), [], NODE, 110)
    assert (ended.reason if ended else None) == reason


def test_pod_that_does_not_fit_is_told_by_how_much() -> None:
    other = make_pod("other", {"resources": {"requests": {"cpu": "1500m"}}})
    ended = admit(make_pod("web", {"resources": {"requests": {"cpu": "1"}}}), [other], NODE, 110)
    assert ended is not None
    assert (ended.reason, ended.message) == (
        "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500, "
                    "capacity: 2000")


def test_end_of_a_log_is_read_without_its_frame(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text("".join(f"2026-01-01T00:00:00Z stdout F line {n}\n" for n in range(100))
                   + "2026-01-01T00:00:00Z stderr P part\n2026-01-01T00:00:00Z stderr F whole\n")
    text = log_tail(log)
    assert text.endswith("line 99\npartwhole\n")
    assert text.startswith("line 22\n")
    assert log_tail(tmp_path / "none") == ""


async def test_turns_of_the_nodes_conditions_are_told(tmp_path: Path) -> None:
    async with node_bench(tmp_path) as node:
        assert {told.split()[1] for told in node.node_events} == {
            "Starting", "NodeReady", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"}
        node.node_events.clear()
        node.runtime.failures["containers"] = [RuntimeUnavailable("UNAVAILABLE", "no such socket")] * 15
        await node.advance(10)
        await node.advance(10)
        assert node.node_events == ["Normal NodeNotReady Node n1 status is now: NodeNotReady"]
        await node.advance(30)
        assert node.node_events[1:] == ["Normal NodeReady Node n1 status is now: NodeReady"]
