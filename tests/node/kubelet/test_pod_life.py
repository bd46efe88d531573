"""A pod's life on the simulated runtime: what runs, what is reported, and what the user is told."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from support.kubelet_bench import NodeBench, conditions, make_pod, node_bench, state

from timonier.api.types import core_v1
from timonier.node.cri.contract import ExecResult
from timonier.node.cri.simulated import Behaviour
from timonier.node.kubelet.probes.attempt import Outcome


async def test_pod_comes_up_running_and_ready(node: NodeBench) -> None:
    pod = await node.create(make_pod())
    assert pod.status.phase == "Running"
    assert conditions(pod) == {"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True",
                               "ContainersReady": "True", "PodScheduled": "True"}
    assert pod.status.podIP == "10.244.0.2"
    assert pod.status.hostIP == "10.89.0.2"
    assert pod.status.qosClass == "BestEffort"
    assert pod.status.containerStatuses[0].containerID.startswith("simulated://")
    assert node.events == [
        'Normal Pulling Pulling image "app:1"',
        'Normal Pulled Successfully pulled image "app:1" in 0s (0s including waiting). Image size: 1000000 bytes.',
        "Normal Created Container created", "Normal Started Container started"]


async def test_container_that_keeps_failing_backs_off_longer_each_time(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=1, exit_code=1)]
    pod = await node.create(make_pod())
    await node.advance(1)
    assert node.pod("web").status.containerStatuses[0].restartCount == 1
    await node.advance(1)
    pod = node.pod("web")
    assert state(pod) == "waiting CrashLoopBackOff"
    waiting = pod.status.containerStatuses[0].state.waiting  # type: ignore[union-attr]
    assert waiting is not None
    assert waiting.message == ("back-off 10s restarting failed container=c "
                               f"pod=web_default({pod.metadata.uid})")
    assert pod.status.containerStatuses[0].lastState.terminated.exitCode == 1  # type: ignore[union-attr]
    assert pod.status.phase == "Running"
    assert f"Warning BackOff Back-off restarting failed container c in pod web_default({pod.metadata.uid})" \
        in node.events
    await node.advance(10)
    assert state(node.pod("web")) == "running"
    await node.advance(1)
    assert "back-off 20s" in node.pod("web").status.containerStatuses[0].state.waiting.message  # type: ignore


async def test_back_off_starts_anew_after_ten_quiet_minutes(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=1, exit_code=1), Behaviour(runs=1000, exit_code=1),
                                    Behaviour(runs=1, exit_code=1)]
    await node.create(make_pod())
    await node.advance(1)
    assert state(node.pod("web")) == "running"
    await node.advance(1000)
    assert state(node.pod("web")) == "running"
    assert node.pod("web").status.containerStatuses[0].restartCount == 2


@pytest.mark.parametrize(("policy", "code", "phase", "restarts"), [
    pytest.param("Never", 0, "Succeeded", 0, id="never-and-clean"),
    pytest.param("Never", 3, "Failed", 0, id="never-and-failed"),
    pytest.param("OnFailure", 0, "Succeeded", 0, id="on-failure-and-clean"),
    pytest.param("OnFailure", 3, "Running", 1, id="on-failure-and-failed"),
    pytest.param("Always", 0, "Running", 1, id="always-and-clean"),
])
async def test_restart_policy_decides_what_follows_an_exit(node: NodeBench, policy: str, code: int, phase: str,
                                                           restarts: int) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=5, exit_code=code), Behaviour()]
    await node.create(make_pod(restartPolicy=policy))
    await node.advance(5)
    pod = node.pod("web")
    assert (pod.status.phase, pod.status.containerStatuses[0].restartCount) == (phase, restarts)
    if phase in ("Succeeded", "Failed"):
        assert conditions(pod)["Ready"] == "False"
        assert [box.state.value for box in await node.runtime.sandboxes()] == ["not-ready"]


async def test_init_containers_run_one_after_the_other(node: NodeBench) -> None:
    node.runtime.behaviours |= {"a": [Behaviour(runs=3)], "b": [Behaviour(runs=4)]}
    inits = [{"name": "a", "image": "init:1"}, {"name": "b", "image": "init:1"}]
    pod = await node.create(make_pod(initContainers=inits))
    assert (state(pod, "a"), state(pod, "b"), state(pod)) == \
        ("running", "waiting PodInitializing", "waiting PodInitializing")
    assert pod.status.phase == "Pending"
    condition = next(c for c in pod.status.conditions if c.type == "Initialized")
    assert condition.message == "containers with incomplete status: [a b]"
    await node.advance(3)
    assert (state(node.pod("web"), "a"), state(node.pod("web"), "b")) == ("terminated Completed 0", "running")
    await node.advance(4)
    pod = node.pod("web")
    assert (state(pod, "b"), state(pod)) == ("terminated Completed 0", "running")
    assert conditions(pod)["Initialized"] == "True"


async def test_failed_init_container_fails_a_pod_that_never_restarts(node: NodeBench) -> None:
    node.runtime.behaviours["a"] = [Behaviour(runs=1, exit_code=7)]
    await node.create(make_pod(initContainers=[{"name": "a", "image": "init:1"}], restartPolicy="Never"))
    await node.advance(1)
    assert node.pod("web").status.phase == "Failed"
    assert node.runtime.named("c") == []


async def test_init_containers_that_did_their_work_stay_ready_when_the_pod_has_ended(node: NodeBench) -> None:
    node.runtime.behaviours |= {"a": [Behaviour(runs=1)], "b": [Behaviour(runs=1, exit_code=7)]}
    inits = [{"name": "a", "image": "init:1"}, {"name": "b", "image": "init:1"}]
    await node.create(make_pod(initContainers=inits, restartPolicy="Never"))
    await node.advance(1)
    await node.advance(1)
    pod = node.pod("web")
    assert pod.status.phase == "Failed"
    assert [one.ready for one in pod.status.initContainerStatuses] == [True, False]
    condition = next(c for c in pod.status.conditions if c.type == "Initialized")
    assert condition.message == "containers with incomplete status: [b]"


async def test_failed_init_container_is_tried_again_with_back_off(node: NodeBench) -> None:
    node.runtime.behaviours["a"] = [Behaviour(runs=1, exit_code=7), Behaviour(runs=1, exit_code=7), Behaviour(runs=1)]
    await node.create(make_pod(initContainers=[{"name": "a", "image": "init:1"}]))
    await node.advance(1)
    await node.advance(1)
    assert state(node.pod("web"), "a") == "waiting CrashLoopBackOff"
    assert node.pod("web").status.phase == "Pending"
    await node.advance(10)
    await node.advance(1)
    assert state(node.pod("web")) == "running"


async def test_sidecar_runs_on_beside_the_containers_and_is_restarted(node: NodeBench) -> None:
    node.runtime.behaviours["side"] = [Behaviour(runs=20, exit_code=1), Behaviour()]
    await node.create(make_pod(initContainers=[{"name": "side", "image": "side:1", "restartPolicy": "Always"}]))
    pod = node.pod("web")
    assert (state(pod, "side"), state(pod)) == ("running", "running")
    await node.advance(20)
    assert [one.restartCount for one in node.pod("web").status.initContainerStatuses] == [1]
    assert node.pod("web").status.phase == "Running"


async def test_sidecar_ends_with_the_last_container(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=5)]
    sidecar = {"name": "side", "image": "side:1", "restartPolicy": "Always"}
    await node.create(make_pod(initContainers=[sidecar], restartPolicy="Never"))
    await node.advance(5)
    assert node.pod("web").status.phase == "Succeeded"
    assert state(node.pod("web"), "side") == "terminated Error 143"


async def test_containers_wait_for_a_sidecars_startup_probe(node: NodeBench) -> None:
    node.network.answers["*"] = Outcome(False, "not yet")
    sidecar = {"name": "side", "image": "side:1", "restartPolicy": "Always",
               "startupProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 2, "failureThreshold": 30}}
    pod = await node.create(make_pod(initContainers=[sidecar]))
    assert state(pod) == "waiting PodInitializing"
    node.network.answers["*"] = Outcome(True)
    await node.advance(2)
    assert state(node.pod("web")) == "running"


async def test_failing_post_start_hook_costs_the_container_its_life(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(execute=lambda command: ExecResult(1, b"no", b"")), Behaviour()]
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "false"]}}}
    await node.create(make_pod("web", {"lifecycle": hook}))
    await node.advance(30)
    assert 'Warning FailedPostStartHook Exec lifecycle hook ([sh -c false]) for Container "c" in Pod ' \
        f'"web_default({node.pod("web").metadata.uid})" failed - error: command \'sh -c false\' exited with 1: , ' \
        'message: "no"' in node.events
    assert node.pod("web").status.containerStatuses[0].restartCount >= 1


async def test_failing_liveness_probe_restarts_the_container(node: NodeBench) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5, "failureThreshold": 2}
    await node.create(make_pod("web", {"livenessProbe": probe}))
    node.network.answers["http://10.244.0.2:8080/healthz"] = \
        Outcome(False, "HTTP probe failed with statuscode: 500")
    await node.advance(5)
    assert "Warning Unhealthy Liveness probe failed: HTTP probe failed with statuscode: 500" in node.events
    node.network.answers.clear()
    assert node.pod("web").status.containerStatuses[0].restartCount == 0
    node.network.answers["*"] = Outcome(False, "HTTP probe failed with statuscode: 500")
    await node.advance(5)
    node.network.answers.clear()
    assert "Normal Killing Container c failed liveness probe, will be restarted" in node.events
    assert node.pod("web").status.containerStatuses[0].restartCount == 1


async def test_readiness_probe_decides_about_ready_and_nothing_else(node: NodeBench) -> None:
    node.network.answers["*"] = Outcome(False, "refused")
    probe = {"tcpSocket": {"port": 80}, "periodSeconds": 1, "initialDelaySeconds": 3}
    pod = await node.create(make_pod("web", {"readinessProbe": probe}))
    assert (state(pod), conditions(pod)["Ready"]) == ("running", "False")
    await node.advance(5)
    assert "Warning Unhealthy Readiness probe failed: refused" in node.events
    node.network.answers.clear()
    await node.advance(1)
    assert conditions(node.pod("web"))["Ready"] == "True"
    node.network.answers["*"] = Outcome(False, "refused")
    await node.advance(3)
    pod = node.pod("web")
    assert conditions(pod)["Ready"] == "False"
    ready = next(c for c in pod.status.conditions if c.type == "Ready")
    assert (ready.reason, ready.message) == ("ContainersNotReady", "containers with unready status: [c]")
    assert pod.status.containerStatuses[0].restartCount == 0


async def test_startup_probe_holds_the_liveness_probe_back(node: NodeBench) -> None:
    node.network.answers["10.244.0.2:1"] = Outcome(False, "starting")
    node.network.answers["10.244.0.2:2"] = Outcome(False, "dead")
    probes = {"startupProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 10, "failureThreshold": 3},
              "livenessProbe": {"tcpSocket": {"port": 2}, "periodSeconds": 1, "failureThreshold": 1}}
    pod = await node.create(make_pod("web", probes))
    assert pod.status.containerStatuses[0].started is False or pod.status.containerStatuses[0].started is None
    await node.advance(9)
    assert "10.244.0.2:2" not in node.network.asked
    await node.advance(12)
    assert "Normal Killing Container c failed startup probe, will be restarted" in node.events


async def test_exec_probe_reports_what_the_command_printed(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(execute=lambda command: ExecResult(1, b"", b"cat: no such file"))]
    await node.create(make_pod("web", {"readinessProbe": {"exec": {"command": ["cat", "/x"]}}}))
    assert "Warning Unhealthy Readiness probe failed: cat: no such file" in node.events


async def test_missing_config_map_is_a_config_error_until_it_is_there(node: NodeBench) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}]
    pod = await node.create(make_pod("web", {"env": env}))
    assert state(pod) == "waiting CreateContainerConfigError"
    assert pod.status.containerStatuses[0].state.waiting.message == 'configmap "x" not found'  # type: ignore
    assert 'Warning Failed Error: configmap "x" not found' in node.events
    node.api.config_maps["x"] = core_v1.ConfigMap(data={"k": "v"})
    await node.advance(10)
    assert state(node.pod("web")) == "running"
    assert dict(node.runtime.named("c")[-1].config.env)["A"] == "v"


async def test_missing_config_map_volume_keeps_the_pod_from_starting(node: NodeBench) -> None:
    volumes = [{"name": "v", "configMap": {"name": "x"}}]
    pod = await node.create(make_pod(volumes=volumes))
    assert state(pod) == "waiting ContainerCreating"
    assert 'Warning FailedMount MountVolume.SetUp failed for volume "v" : configmap "x" not found' in node.events
    assert conditions(pod)["PodReadyToStartContainers"] == "False"
    node.api.config_maps["x"] = core_v1.ConfigMap(data={"k": "v"})
    await node.advance(2)
    assert state(node.pod("web")) == "running"


async def test_volume_that_is_not_supported_is_said_to_be(node: NodeBench) -> None:
    await node.create(make_pod(volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]))
    assert 'Warning FailedMount MountVolume.SetUp failed for volume "data" : persistentVolumeClaim volumes are not ' \
        "supported by this node" in node.events


async def test_failing_create_and_start_are_told_apart(node: NodeBench) -> None:
    node.runtime.behaviours |= {"a": [Behaviour(create_error="bad mount")],
                                "b": [Behaviour(start_error='exec: "nope": executable file not found in $PATH')]}
    pod = await node.create(make_pod("web", {"name": "a"}, {"name": "b"}))
    assert state(pod, "a") == "waiting CreateContainerError"
    assert "Warning Failed Error: bad mount" in node.events
    assert 'Warning Failed Error: exec: "nope": executable file not found in $PATH' in node.events
    await node.advance(1)
    assert state(node.pod("web"), "b") in ("waiting RunContainerError", "waiting CrashLoopBackOff")


async def test_active_deadline_fails_the_pod(node: NodeBench) -> None:
    await node.create(make_pod(activeDeadlineSeconds=30))
    await node.advance(30)
    pod = node.pod("web")
    assert (pod.status.phase, pod.status.reason) == ("Failed", "DeadlineExceeded")
    assert state(pod) == "terminated Error 143"


async def test_lost_sandbox_is_replaced_and_containers_start_again(node: NodeBench) -> None:
    await node.create(make_pod())
    await node.runtime.stop_sandbox(next(iter(node.runtime.boxes)))
    await node.settle()
    await node.advance(11)
    assert "Normal SandboxChanged Pod sandbox changed, it will be killed and re-created." in node.events
    pod = node.pod("web")
    assert state(pod) == "running"
    assert pod.status.containerStatuses[0].restartCount == 1


async def test_kubelet_that_returns_leaves_running_containers_alone(node: NodeBench) -> None:
    probe = {"tcpSocket": {"port": 80}, "periodSeconds": 5}
    before = await node.create(make_pod("web", {"readinessProbe": probe}))
    assert conditions(before)["Ready"] == "True"
    started = list(node.runtime.calls)
    patches = len(node.api.patches)
    await node.restart()
    await node.advance(20)
    assert node.runtime.calls == started
    assert len(node.api.patches) == patches
    assert node.pod("web").status == before.status


async def test_exit_while_no_kubelet_ran_is_noticed_by_the_next(node: NodeBench) -> None:
    await node.create(make_pod())
    await node.crash()
    node.runtime.crash(node.runtime.named("c")[0].id, 9)
    await node.restart()
    pod = node.pod("web")
    assert state(pod) == "running"
    assert pod.status.containerStatuses[0].restartCount == 1
    assert pod.status.containerStatuses[0].lastState.terminated.exitCode == 9  # type: ignore[union-attr]


async def test_pod_deleted_while_no_kubelet_ran_is_removed_by_the_next(node: NodeBench) -> None:
    pod = await node.create(make_pod(volumes=[{"name": "v", "emptyDir": {}}]))
    await node.crash()
    node.api.pods.clear()
    await node.restart()
    await node.advance(1)
    assert node.runtime.records == {}
    assert node.runtime.boxes == {}
    assert not (node.folder / "kubelet/pods" / pod.metadata.uid).exists()
    assert not list((node.folder / "logs").iterdir())


async def test_statuses_arrive_once_the_api_server_is_back(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=5)]
    await node.create(make_pod(restartPolicy="Never"))
    node.api.down = True
    await node.advance(6)
    assert node.pod("web").status.phase == "Running"
    node.api.down = False
    await node.advance(15)
    assert node.pod("web").status.phase == "Succeeded"


async def test_termination_message_is_reported(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=1, exit_code=1, message="out of fuel")]
    await node.create(make_pod(restartPolicy="Never"))
    await node.advance(1)
    terminated = node.pod("web").status.containerStatuses[0].state.terminated  # type: ignore[union-attr]
    assert terminated is not None
    assert terminated.message == "out of fuel"


async def test_oom_killed_container_says_so(node: NodeBench) -> None:
    node.runtime.behaviours["c"] = [Behaviour(runs=1, exit_code=1, oom_killed=True)]
    await node.create(make_pod(restartPolicy="Never"))
    await node.advance(1)
    assert state(node.pod("web")) == "terminated OOMKilled 137"


async def test_readiness_gate_holds_ready_back(node: NodeBench) -> None:
    pod = await node.create(make_pod(readinessGates=[{"conditionType": "example.com/lb"}]))
    ready = next(c for c in pod.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "ReadinessGatesNotReady")
    assert ready.message == 'corresponding condition of pod readiness gate "example.com/lb" does not exist.'
    assert conditions(pod)["ContainersReady"] == "True"
    pod.status.conditions.append(core_v1.PodCondition(type="example.com/lb", status="True"))
    await node.create(pod)
    assert conditions(node.pod("web"))["Ready"] == "True"


async def test_image_change_restarts_the_container_with_the_new_image(node: NodeBench) -> None:
    pod = await node.create(make_pod())
    pod.spec.containers[0].image = "app:2"
    await node.create(pod)
    await node.advance(1)
    assert "Normal Killing Container c definition changed, will be restarted" in node.events
    running = [record for record in node.runtime.named("c") if not record.finished_at]
    image = await node.runtime.image_status(running[0].config.image)
    assert image is not None
    assert image.tags == ("docker.io/library/app:2",)


async def test_resize_is_told_to_be_infeasible_and_changes_nothing(node: NodeBench) -> None:
    small = core_v1.ResourceRequirements(requests={"cpu": "100m"})
    wanted = make_pod()
    wanted.spec.containers[0].resources, wanted.metadata.generation = small, 1
    pod = await node.create(wanted)
    assert pod.status.containerStatuses[0].resources == small
    pod = copy.deepcopy(pod)
    pod.spec.containers[0].resources = core_v1.ResourceRequirements(requests={"cpu": "1"})
    pod.metadata.generation = 2
    await node.create(pod)
    for _ in range(2):
        pod = node.pod("web")
        told = {one.type: one for one in pod.status.conditions}["PodResizePending"]
        assert (told.status, told.reason, told.observedGeneration) == ("True", "Infeasible", 2)
        assert told.message == "In-place resize of containers is not supported by this node"
        assert pod.status.containerStatuses[0].resources == small
        assert pod.status.containerStatuses[0].allocatedResources == {"cpu": "100m"}
        await node.restart()
        await node.advance(1)
    assert [event for event in node.events if "Resize" in event] == [
        'Warning ResizeInfeasible Pod resize Infeasible: {"containers":[{"name":"c","resources":{"requests":'
        '{"cpu":"1"}}}],"generation":2,"error":"In-place resize of containers is not supported by this node"}']
    assert len(node.runtime.named("c")) == 1
    pod = copy.deepcopy(pod)
    pod.spec.containers[0].resources, pod.metadata.generation = small, 3
    await node.create(pod)
    assert "PodResizePending" not in conditions(node.pod("web"))


async def test_ephemeral_container_starts_once_in_a_running_pod(node: NodeBench) -> None:
    pod = await node.create(make_pod())
    node.runtime.behaviours["debug"] = [Behaviour(runs=5, exit_code=1)]
    pod.spec.ephemeralContainers = [core_v1.EphemeralContainer(name="debug", image="tools:1", targetContainerName="c")]
    await node.create(pod)
    [debug] = node.runtime.named("debug")
    assert debug.config.security.namespaces.target == node.runtime.named("c")[0].id
    status = node.pod("web").status.ephemeralContainerStatuses[0]
    assert status.state.running  # type: ignore[union-attr]
    assert (status.ready, status.started) == (False, False)
    await node.advance(5)
    await node.advance(60)
    assert node.pod("web").status.ephemeralContainerStatuses[0].state.terminated  # type: ignore[union-attr]
    assert len(node.runtime.named("debug")) == 1
    assert node.pod("web").status.phase == "Running"


@pytest.mark.parametrize(("spec", "why"), [
    ({"hostUsers": False}, "user namespaces (hostUsers: false) are not supported by this node"),
    ({"runtimeClassName": "gvisor"}, 'runtimeclasses.node.k8s.io "gvisor" not found'),
])
async def test_what_the_node_cannot_do_is_said(node: NodeBench, spec: dict[str, Any], why: str) -> None:
    pod = await node.create(make_pod(**spec))
    assert pod.status.phase == "Pending"
    assert any(event.startswith("Warning FailedCreatePodSandBox") and why in event for event in node.events)


async def test_unchanged_pod_costs_no_writes(node: NodeBench) -> None:
    await node.create(make_pod())
    patches = len(node.api.patches)
    await node.advance(300)
    assert len(node.api.patches) == patches


MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: fixed}
spec: {containers: [{name: c, image: "app:1"}]}
"""


async def test_static_pod_runs_is_mirrored_and_ends_with_its_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "fixed.yaml").write_text(MANIFEST)
    (folder / "broken.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: 7}\n")
    async with node_bench(tmp_path, manifests_dir=folder) as node:
        mirror = node.pod("fixed-n1")
        assert mirror.status.phase == "Running"
        assert mirror.metadata.annotations["kubernetes.io/config.source"] == "file"
        await node.restart()
        assert len(node.runtime.named("c")) == 1
        node.api.drop("default/fixed-n1")
        await node.advance(1)
        assert node.pod("fixed-n1").status.phase == "Running"
        assert len(node.runtime.named("c")) == 1
        (folder / "fixed.yaml").unlink()
        await node.advance(20)
        assert node.gone("fixed-n1")
        assert node.runtime.records == {}
