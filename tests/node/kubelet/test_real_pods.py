"""Pods with real containers: what only a kernel and a runtime can show."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.kubelet_bench import make_pod
from support.real_node import RealNode, real_node

from timonier.api.types import core_v1

pytestmark = pytest.mark.machine

IMAGE = "test-busybox:1"


@pytest.fixture
async def node(tmp_path: Path, containerd_socket: Path) -> AsyncIterator[RealNode]:
    async with real_node(tmp_path, containerd_socket) as running:
        yield running


def shell(script: str, **more: Any) -> dict[str, Any]:
    return {"image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]} | more


def kill_process(*command: str) -> None:
    """Kill the one process on this machine that runs exactly this command."""
    [pid] = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if command_of(entry) == list(command)]
    os.kill(pid, 9)


def command_of(process: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_text().rstrip("\0").split("\0")
    return []


def mount_points() -> str:
    return Path("/proc/mounts").read_text()


async def printed(node: RealNode, pod: core_v1.Pod) -> str:
    """What a pod's container prints that runs to its end."""
    pod.spec.restartPolicy = "Never"
    await node.create(pod)
    await node.ended(pod.metadata.name)
    return node.log(pod.metadata.name)


async def test_pod_runs_and_leaves_nothing_behind(node: RealNode) -> None:
    pod = await node.create(make_pod("web", shell("sleep 1000"), volumes=[
        {"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        terminationGracePeriodSeconds=1))
    uid = pod.metadata.uid
    await node.started("web")
    status = node.pod("web").status
    assert status.podIP.startswith("10.83.0.")
    assert status.containerStatuses[0].containerID.startswith("containerd://")
    assert uid in node.cgroups.existing()
    await node.delete("web")
    await node.eventually(lambda: node.gone("web"))
    assert uid not in mount_points()
    assert uid not in node.cgroups.existing()
    assert not (node.folder / "kubelet/pods" / uid).exists()
    assert await node.runtime.sandboxes() == []


async def test_environment_and_files_reach_the_container(node: RealNode) -> None:
    node.api.config_maps["conf"] = core_v1.ConfigMap(data={"color": "blue", "shape": "round"})
    node.api.secrets["hidden"] = core_v1.Secret(data={"key": b"s3cret"})
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "color"}}},
           {"name": "GREETING", "value": "$(COLOR)-$(NAME)-$$(X)"},
           {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    env.insert(0, {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    mounts = [{"name": "conf", "mountPath": "/conf"}, {"name": "secret", "mountPath": "/secret"},
              {"name": "info", "mountPath": "/info"}, {"name": "token", "mountPath": "/token"},
              {"name": "scratch", "mountPath": "/sub", "subPath": "deep/er"}]
    volumes = [{"name": "conf", "configMap": {"name": "conf"}},
               {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}},
               {"name": "info", "downwardAPI": {"items": [
                   {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
               {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
               {"name": "scratch", "emptyDir": {}}]
    script = ("echo $GREETING; cat /conf/shape; echo; cat /secret/key; echo; stat -Lc %a /secret/key; "
              "cat /info/labels; echo; cat /token/t; echo; touch /sub/x && echo sub; "
              "touch /conf/new 2>/dev/null || echo read-only; test -n \"$IP\" && echo has-ip")
    pod = make_pod("web", shell(script, env=env, volumeMounts=mounts), volumes=volumes)
    pod.metadata.labels = {"app": "web"}
    assert (await printed(node, pod)).splitlines() == [
        "blue-web-$(X)", "round", "s3cret", "400", 'app="web"', "token-1", "sub", "read-only", "has-ip"]


async def test_changed_config_map_appears_in_the_volume(tmp_path: Path, containerd_socket: Path) -> None:
    async with real_node(tmp_path, containerd_socket, sync_period=0.5) as node:
        node.api.config_maps["conf"] = core_v1.ConfigMap(data={"v": "one"})
        script = "while ! grep -q two /conf/v; do cat /conf/v; sleep 0.1; done; echo got two"
        mounts = [{"name": "conf", "mountPath": "/conf"}]
        pod = make_pod("web", shell(script, volumeMounts=mounts), restartPolicy="Never",
                       volumes=[{"name": "conf", "configMap": {"name": "conf"}}])
        await node.create(pod)
        await node.started("web")
        node.api.config_maps["conf"] = core_v1.ConfigMap(data={"v": "two"})
        await node.ended("web")
        assert node.pod("web").status.phase == "Succeeded"


async def test_names_in_the_pod_are_the_pods_own(node: RealNode) -> None:
    script = "hostname; cat /etc/resolv.conf; grep -c web /etc/hosts; grep example /etc/hosts"
    pod = make_pod("web", shell(script), dnsPolicy="ClusterFirst",
                   hostAliases=[{"ip": "10.1.2.3", "hostnames": ["example.com"]}],
                   dnsConfig={"options": [{"name": "ndots", "value": "2"}]})
    lines = (await printed(node, pod)).splitlines()
    assert lines[0] == "web"
    assert any(line.startswith("search default.svc.cluster.local svc.cluster.local cluster.local") for line in lines)
    assert "nameserver 10.96.0.10" in lines
    assert "options ndots:2" in lines
    assert "10.1.2.3\texample.com" in lines


async def test_security_context_holds(node: RealNode) -> None:
    context = {"runAsUser": 1000, "runAsGroup": 3000, "readOnlyRootFilesystem": True,
               "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    script = "id; touch /x 2>&1; grep -E 'CapEff|NoNewPrivs' /proc/self/status; stat -c '%g %a' /data"
    pod = make_pod("web", shell(script, securityContext=context, volumeMounts=[{"name": "d", "mountPath": "/data"}]),
                   volumes=[{"name": "d", "emptyDir": {}}],
                   securityContext={"fsGroup": 2000, "supplementalGroups": [4000]})
    out = await printed(node, pod)
    assert "uid=1000 gid=3000" in out
    assert "2000" in out.splitlines()[0]
    assert "4000" in out.splitlines()[0]
    assert "Read-only file system" in out
    assert "CapEff:\t0000000000000000" in out
    assert "NoNewPrivs:\t1" in out
    assert out.splitlines()[-1] == "2000 2777"


async def test_container_that_would_run_as_root_against_its_word_is_refused(node: RealNode) -> None:
    pod = await node.create(make_pod("web", shell("id"), securityContext={"runAsNonRoot": True}))
    await node.eventually(lambda: any("runAsNonRoot" in event for event in node.events))
    status = await node.eventually(lambda: node.pod("web").status.containerStatuses)
    waiting = status[0].state.waiting
    assert waiting.reason == "CreateContainerConfigError"
    assert waiting.message == ("container has runAsNonRoot and image will run as root (pod: "
                               f'"web_default({pod.metadata.uid})", container: c)')


async def test_limits_reach_the_kernel(node: RealNode) -> None:
    resources = {"limits": {"cpu": "500m", "memory": "32Mi"}, "requests": {"cpu": "250m", "memory": "16Mi"}}
    pod = await node.create(make_pod("web", shell("sleep 1000", resources=resources),
                                     terminationGracePeriodSeconds=1))
    await node.started("web")
    parent = node.cgroups.parent(pod).strip("/")
    if node.cgroups.unified:
        folder = Path("/sys/fs/cgroup") / parent
        assert (folder / "memory.max").read_text().strip() == str(32 << 20)
        assert (folder / "cpu.max").read_text().strip() == "50000 100000"
    else:
        assert (Path("/sys/fs/cgroup/memory") / parent / "memory.limit_in_bytes").read_text().strip() == str(32 << 20)
        assert (Path("/sys/fs/cgroup/cpu") / parent / "cpu.cfs_quota_us").read_text().strip() == "50000"
        assert (Path("/sys/fs/cgroup/cpu") / parent / "cpu.shares").read_text().strip() == "256"
    assert node.pod("web").status.qosClass == "Burstable"


async def test_container_over_its_memory_limit_is_killed_and_says_so(node: RealNode) -> None:
    script = "head -c 100000000 /dev/zero | tail"
    pod = make_pod("web", shell(script, resources={"limits": {"memory": "16Mi"}}), restartPolicy="Never")
    await node.create(pod)
    await node.ended("web")
    terminated = node.pod("web").status.containerStatuses[0].state.terminated  # type: ignore[union-attr]
    assert terminated is not None
    assert terminated.reason == "OOMKilled" or terminated.exitCode in (137, 1)


async def test_killed_container_is_restarted_within_a_second(node: RealNode) -> None:
    await node.create(make_pod("web", shell("exec sleep 86413"), terminationGracePeriodSeconds=1))
    await node.started("web")
    before = node.pod("web").status.containerStatuses[0].containerID
    kill_process("sleep", "86413")
    await node.eventually(lambda: node.pod("web").status.containerStatuses[0].restartCount == 1, within=3)
    await node.eventually(lambda: node.pod("web").status.containerStatuses[0].ready, within=3)
    assert node.pod("web").status.containerStatuses[0].containerID != before


async def test_kubelet_that_dies_is_not_missed_by_its_containers(node: RealNode) -> None:
    await node.create(make_pod("web", shell("sleep 1000"), terminationGracePeriodSeconds=1,
                               volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}]))
    await node.started("web")
    before = node.pod("web").status
    await node.restart()
    await asyncio.sleep(1)
    assert node.pod("web").status == before
    await node.delete("web")
    await node.eventually(lambda: node.gone("web"))


async def test_probes_reach_the_container(node: RealNode) -> None:
    ready = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    live = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    script = "mkdir -p /tmp; (sleep 1.5; touch /tmp/ready) & httpd -p 8080; sleep 1000"
    await node.create(make_pod("web", shell(script, readinessProbe=ready, livenessProbe=live),
                               terminationGracePeriodSeconds=1))
    await node.started("web")
    assert not node.pod("web").status.containerStatuses[0].ready
    await node.eventually(lambda: node.pod("web").status.containerStatuses[0].ready, within=6)
    assert node.pod("web").status.containerStatuses[0].restartCount == 0


async def test_exec_probe_that_takes_too_long_fails(node: RealNode) -> None:
    probe = {"exec": {"command": ["sleep", "10"]}, "timeoutSeconds": 1, "periodSeconds": 1}
    await node.create(make_pod("web", shell("sleep 1000", readinessProbe=probe), terminationGracePeriodSeconds=1))
    await node.eventually(lambda: any("timed out after 1s" in event for event in node.events), within=10)


async def test_command_that_does_not_exist_is_explained(node: RealNode) -> None:
    await node.create(make_pod("web", {"image": IMAGE, "imagePullPolicy": "Never", "command": ["/nope"]}))
    await node.eventually(lambda: any('exec: "/nope"' in event for event in node.events))
    await node.eventually(lambda: node.pod("web").status.containerStatuses[0].state.waiting)


async def test_sub_path_does_not_lead_out_of_the_volume(node: RealNode) -> None:
    mounts = [{"name": "v", "mountPath": "/data"}]
    inits = [{"name": "i", **shell("ln -s /etc /data/link", volumeMounts=mounts)}]
    pod = make_pod("web", shell("ls /sub", volumeMounts=[{"name": "v", "mountPath": "/sub", "subPath": "link"}]),
                   initContainers=inits, volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never")
    await node.create(pod)
    await node.eventually(lambda: any("outside of the volume" in event for event in node.events))


async def test_host_network_pod_has_the_nodes_addresses(node: RealNode) -> None:
    await node.create(make_pod("web", shell("sleep 1000"), hostNetwork=True, terminationGracePeriodSeconds=1))
    await node.started("web")
    assert node.pod("web").status.podIP == "10.89.0.2"


async def test_last_words_are_read(node: RealNode) -> None:
    pod = make_pod("web", shell("echo because > /dev/termination-log; exit 3"), restartPolicy="Never")
    await node.create(pod)
    await node.ended("web")
    terminated = node.pod("web").status.containerStatuses[0].state.terminated  # type: ignore[union-attr]
    assert terminated is not None
    assert (terminated.exitCode, terminated.reason, terminated.message) == (3, "Error", "because\n")
