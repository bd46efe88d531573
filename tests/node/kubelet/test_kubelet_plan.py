"""The plan for any pod in any state: properties that hold whatever was observed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.kubelet_bench import make_pod

from timonier.api.types import core_v1
from timonier.node.cri import contract as c
from timonier.node.kubelet.observed import Knowledge, Observed, Run
from timonier.node.kubelet.plan import Plan, should_run, sync_plan

NOW = 1000.0
READY = c.SandboxStatus(c.Sandbox("box", "web", "u", "default", 0, c.SandboxState.READY, 1.0), ("10.0.0.1",))
LOST = c.SandboxStatus(c.Sandbox("box", "web", "u", "default", 0, c.SandboxState.NOT_READY, 1.0))
STATES = [None, c.ContainerState.RUNNING, c.ContainerState.EXITED, c.ContainerState.CREATED]


def run(name: str, state: c.ContainerState, code: int) -> Run:
    ended = 900.0 if state is c.ContainerState.EXITED else 0.0
    return Run("box", c.ContainerStatus(f"id-{name}", name, 0, state, 800.0, 810.0, ended, code, "app:1", "sha"))


@st.composite
def pods(draw: st.DrawFn) -> core_v1.Pod:
    inits = [{"name": f"i{n}", "image": "init:1"} | ({"restartPolicy": "Always"} if draw(st.booleans()) else {})
             for n in range(draw(st.integers(0, 3)))]
    containers: list[dict[str, Any]] = [{"name": f"c{n}"} for n in range(draw(st.integers(1, 3)))]
    return make_pod("web", *containers, initContainers=inits,
                    restartPolicy=draw(st.sampled_from(["Always", "OnFailure", "Never"])))


@st.composite
def situations(draw: st.DrawFn) -> tuple[core_v1.Pod, Observed, Knowledge]:
    pod = draw(pods())
    runs = {}
    for container in (*pod.spec.initContainers, *pod.spec.containers):
        state = draw(st.sampled_from(STATES))
        if state is not None:
            runs[container.name] = (run(container.name, state, draw(st.sampled_from([0, 1]))),)
    sandboxes = draw(st.sampled_from([(), (READY,), (LOST,)]))
    knowledge = Knowledge(unhealthy={f"id-{name}": "liveness" for name in draw(st.sets(st.sampled_from(
        [container.name for container in pod.spec.containers])))})
    return pod, Observed(sandboxes, runs if sandboxes else {}), knowledge


def regular_starts(pod: core_v1.Pod, plan: Plan) -> list[str]:
    return [container.name for container in pod.spec.containers if container.name in plan.start]


@given(situations())
def test_plan_is_one_of_a_kind(situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    plan = sync_plan(pod, observed, knowledge, NOW)
    assert not (plan.stop_pod and plan.start)
    assert not (plan.create_sandbox is not None and (plan.start or plan.kill))
    assert not plan.start or observed.sandbox


@given(situations())
def test_nothing_that_runs_is_started(situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    plan = sync_plan(pod, observed, knowledge, NOW)
    assert not {run.status.name for run in observed.running} & set(plan.start)


@given(situations())
def test_only_what_runs_is_killed(situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    assert all(kill.run.running for kill in sync_plan(pod, observed, knowledge, NOW).kill)


@given(situations())
def test_no_container_starts_before_all_init_containers_are_done(
        situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    if any(observed.newest(container.name) for container in pod.spec.containers):
        return
    if regular_starts(pod, sync_plan(pod, observed, knowledge, NOW)):
        for container in pod.spec.initContainers:
            done = observed.newest(container.name)
            assert done is not None
            assert done.running if container.restartPolicy else done.exited and done.status.exit_code == 0


@given(situations())
def test_what_has_ended_for_good_stays_so(situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    for name in regular_starts(pod, sync_plan(pod, observed, knowledge, NOW)):
        container = next(one for one in pod.spec.containers if one.name == name)
        assert should_run(pod, container, observed.newest(name))


@given(pods())
def test_pod_in_which_all_runs_needs_nothing(pod: core_v1.Pod) -> None:
    runs = {one.name: (run(one.name, c.ContainerState.RUNNING, 0),) for one in pod.spec.containers}
    for one in pod.spec.initContainers:
        state = c.ContainerState.RUNNING if one.restartPolicy else c.ContainerState.EXITED
        runs[one.name] = (run(one.name, state, 0),)
    assert sync_plan(pod, Observed((READY,), runs), Knowledge(), NOW) == Plan()


@given(situations())
def test_pod_that_is_over_is_only_ever_stopped(situation: tuple[core_v1.Pod, Observed, Knowledge]) -> None:
    pod, observed, knowledge = situation
    pod.status.phase = "Failed"
    plan = sync_plan(pod, observed, knowledge, NOW)
    assert (plan.start, plan.create_sandbox, plan.kill) == ((), None, ())
    assert plan.stop_pod == bool(observed.running or observed.sandbox)
