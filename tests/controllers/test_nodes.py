"""Nodes: silence is noticed, told in conditions and taints, and after a while acted on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api import times
from timonier.api.types import coordination_v1, core_v1, meta_v1
from timonier.controllers.nodeipam import NodeIpamController
from timonier.controllers.nodelifecycle import taints
from timonier.controllers.nodelifecycle.eviction import TaintEvictionController, eviction_time, tolerates
from timonier.controllers.nodelifecycle.health import BY_NODE, CONDITIONS, NodeHealthController, on_node
from timonier.controllers.nodelifecycle.taints import NOT_READY, UNREACHABLE, Zone, wanted
from timonier.controllers.podgc import BY_END, FINISHED_KEY, PodGarbageController
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = 1_800_000_000.0


def node(name: str = "n1", ready: str = "True", *held: core_v1.Taint, **spec) -> core_v1.Node:
    pressure = "Unknown" if ready == "Unknown" else "False"
    conditions = [core_v1.NodeCondition(type="Ready", status=ready),
                  *(core_v1.NodeCondition(type=type_, status=pressure) for type_ in CONDITIONS[1:3])] if ready else []
    if ready == "Unknown":
        conditions.append(core_v1.NodeCondition(type="PIDPressure", status="Unknown"))
    return core_v1.Node(metadata=meta_v1.ObjectMeta(name=name, uid=f"uid-{name}", resourceVersion="1",
                                                    creationTimestamp=times.rfc3339(NOW)),
                        spec=core_v1.NodeSpec(taints=[*held], **spec), status=core_v1.NodeStatus(conditions=conditions))


def lease(renewed: str, name: str = "n1") -> coordination_v1.Lease:
    return coordination_v1.Lease(metadata=meta_v1.ObjectMeta(name=name, namespace="kube-node-lease"),
                                 spec=coordination_v1.LeaseSpec(renewTime=renewed))


def pod(name: str = "web", node_name: str = "n1", ready: str = "True", phase: str = "Running", deleting: bool = False,
        tolerations: tuple[core_v1.Toleration, ...] = ()) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", uid=f"uid-{name}",
                                    creationTimestamp=times.rfc3339(NOW - 1000),
                                    deletionTimestamp=times.rfc3339(NOW) if deleting else ""),
        spec=core_v1.PodSpec(nodeName=node_name, tolerations=[*tolerations]),
        status=core_v1.PodStatus(phase=phase, conditions=[core_v1.PodCondition(type="Ready", status=ready)]))


def snapshot(*objects) -> Snapshot:
    ended = ("Succeeded", "Failed")
    indexes = {BY_NODE: on_node, BY_END: lambda each: ("ended",) if each.status.phase in ended else ()}
    return Snapshot({cls: Memory([each for each in objects if type(each) is cls], indexes)
                     for cls in (core_v1.Node, core_v1.Pod, coordination_v1.Lease)})


def keys(found: list[core_v1.Taint]) -> list[tuple[str, str]]:
    return [(taint.key.rpartition("/")[2], taint.effect) for taint in found]


def test_nodes_that_come_and_go_are_told_of_once():
    controller = NodeHealthController(40)
    told = [note for objects in ([node()], [node()], [], []) for note in
            controller.plan("n1", snapshot(*objects), NOW).events]
    assert [(note.reason, note.about.metadata.uid, note.message) for note in told] == [
        ("RegisteredNode", "uid-n1", "Node n1 event: Registered Node n1 in Controller"),
        ("RemovingNode", "uid-n1", "Node n1 event: Removing Node n1 from Controller")]


def test_a_node_that_renews_its_lease_is_left_alone():
    controller = NodeHealthController(40)
    for second in range(0, 200, 10):
        plan = controller.plan("n1", snapshot(node(), lease(str(second))), NOW + second)
        assert not plan
        assert plan.again == 40


def test_a_node_that_falls_silent_is_marked_after_the_grace_period():
    controller = NodeHealthController(40)
    assert not controller.plan("n1", snapshot(node(), lease("x")), NOW)
    assert not controller.plan("n1", snapshot(node(), lease("x")), NOW + 39)
    plan = controller.plan("n1", snapshot(node(), lease("x")), NOW + 41)
    assert isinstance(plan.status, core_v1.Node)
    told = {each.type: (each.status, each.reason, each.message) for each in plan.status.status.conditions}
    assert told["Ready"] == ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    assert told["PIDPressure"] == ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")


def test_pods_of_a_silent_node_are_not_ready_and_it_is_told_once():
    controller = NodeHealthController(40)
    controller.plan("n1", snapshot(node(), node("n2"), lease("x")), NOW)
    silent = snapshot(node("n1", "Unknown"), node("n2"), lease("x"), pod(), pod("sick", ready="False"))
    plan = controller.plan("n1", silent, NOW + 41)
    marked = [patch.patch["status"] for patch in plan.patch if patch.subresource == "status"]
    assert [each["conditions"][0]["status"] for each in marked] == ["False"]
    assert [(note.reason, note.message) for note in plan.events] == [
        ("NodeNotReady", "Node n1 status is now: NodeNotReady"), ("NodeNotReady", "Node is not ready")]
    again = controller.plan("n1", snapshot(node("n1", "Unknown"), node("n2"), lease("x"), pod(ready="False")), NOW + 46)
    assert not again.events


@pytest.mark.parametrize(("ready", "expected"), [
    pytest.param("True", [], id="ready"),
    pytest.param("False", [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")], id="not-ready"),
    pytest.param("Unknown", [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")], id="unreachable"),
])
def test_taints_say_what_the_conditions_say(ready, expected):
    assert keys(wanted(node("n1", ready), Zone(2, 1), NOW)) == expected


def test_taints_of_others_stay_and_ours_go_when_the_node_is_back():
    own = core_v1.Taint(key=UNREACHABLE, effect="NoExecute", timeAdded="2026-01-01T00:00:00Z")
    other = core_v1.Taint(key="dedicated", effect="NoExecute", value="x")
    assert keys(wanted(node("n1", "True", other, own), Zone(2, 2), NOW)) == [("dedicated", "NoExecute")]
    assert wanted(node("n1", "Unknown", own), Zone(2, 1), NOW)[0] == own


def test_a_node_that_has_said_nothing_keeps_what_it_registered_with():
    own = core_v1.Taint(key=NOT_READY, effect="NoSchedule")
    assert wanted(node("n1", "", own), Zone(2, 1), NOW) == [own]


def test_a_cordoned_node_is_tainted():
    assert keys(wanted(node(unschedulable=True), Zone(1, 1), NOW)) == [("unschedulable", "NoSchedule")]


def test_where_all_are_silent_nobody_is_evicted():
    own = core_v1.Taint(key=UNREACHABLE, effect="NoExecute")
    assert keys(wanted(node("n1", "Unknown", own), Zone(3, 0), NOW)) == [("unreachable", "NoSchedule")]


def test_where_most_are_silent_no_more_are_evicted():
    assert keys(wanted(node("n1", "Unknown"), Zone(4, 1), NOW)) == [("unreachable", "NoSchedule")]
    assert Zone(3, 1).disrupted is False


def test_nodes_lose_their_pods_one_after_another():
    controller = NodeHealthController(40)
    world = snapshot(node("n1", "Unknown"), node("n2", "Unknown"), node("n3"), node("n4"))
    first, second = controller.plan("n1", world, NOW), controller.plan("n2", world, NOW)
    assert len(first.patch) == 1
    assert (len(second.patch), second.again) == (0, 5.0)
    assert len(controller.plan("n2", world, NOW + 10).patch) == 1


def toleration(seconds: int | None = None, key: str = UNREACHABLE, **more) -> core_v1.Toleration:
    return core_v1.Toleration(key=key, operator="Exists", tolerationSeconds=seconds, **more)


TAINT = core_v1.Taint(key=UNREACHABLE, effect="NoExecute", timeAdded=times.rfc3339(NOW))


@pytest.mark.parametrize(("tolerations", "due"), [
    pytest.param((), NOW + 7, id="untolerated-goes-at-once"),
    pytest.param((toleration(300),), NOW + 300, id="tolerated-for-a-while"),
    pytest.param((toleration(),), float("inf"), id="tolerated-for-ever"),
    pytest.param((toleration(300), toleration(30)), NOW + 30, id="the-shortest-counts"),
    pytest.param((toleration(-5),), NOW, id="negative-is-at-once"),
    pytest.param((toleration(300, effect="NoSchedule"),), NOW + 7, id="another-effect"),
])
def test_a_pod_leaves_when_it_tolerates_no_longer(tolerations, due):
    assert eviction_time(pod(tolerations=tolerations), [TAINT], NOW + 7) == due


def test_eviction_waits_then_marks_and_deletes():
    controller = TaintEvictionController()
    world = snapshot(node("n1", "Unknown", TAINT), pod(tolerations=(toleration(300),)))
    assert controller.plan("default/web", world, NOW + 100).again == 200
    plan = controller.plan("default/web", world, NOW + 300)
    assert plan.delete[0].uid == "uid-web"
    assert plan.patch[0].patch["status"]["conditions"][0]["reason"] == "DeletionByTaintManager"
    assert plan.events[0].message == "Marking for deletion Pod default/web"


@given(st.sampled_from(["", "Exists", "Equal"]), st.sampled_from(["", "k", "other"]), st.sampled_from(["", "v", "w"]),
       st.sampled_from(["", "NoExecute", "NoSchedule"]))
def test_tolerations_match_as_documented(operator, key, value, effect):
    taint = core_v1.Taint(key="k", value="v", effect="NoExecute")
    exists, equal = operator == "Exists" and key in ("", "k"), operator != "Exists" and key == "k" and value == "v"
    expected = effect in ("", "NoExecute") and (exists or equal)
    assert tolerates(core_v1.Toleration(operator=operator, key=key, value=value, effect=effect), taint) is expected


def test_each_node_gets_a_range_of_its_own():
    controller = NodeIpamController("10.244.0.0/22", 24)
    taken = node("n0", podCIDR="10.244.1.0/24")
    nodes = [taken, *(node(f"n{n}") for n in range(1, 4))]
    given_ = [controller.plan(each.metadata.name, snapshot(*nodes), NOW).patch[0].patch["spec"]["podCIDR"]
              for each in nodes[1:]]
    assert given_ == ["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24"]
    again = controller.plan("n1", snapshot(*nodes), NOW)
    assert again.patch[0].patch["spec"]["podCIDRs"] == ["10.244.0.0/24"]
    plan = controller.plan("n9", snapshot(*nodes, node("n9")), NOW)
    assert (plan.patch, plan.events[0].reason) == ((), "CIDRNotAvailable")
    freed = controller.plan("n9", snapshot(taken, node("n9")), NOW)
    assert freed.patch[0].patch["spec"]["podCIDR"] == "10.244.0.0/24"


def test_pods_of_a_node_that_is_gone_fail_and_go_after_a_quarantine():
    controller = PodGarbageController(0)
    world = snapshot(pod())
    assert controller.plan("default/web", world, NOW).again == 40
    plan = controller.plan("default/web", world, NOW + 40)
    assert [each.name for each in plan.absent] == ["n1"]
    assert plan.patch[0].patch["status"]["phase"] == "Failed"
    assert plan.delete[0].grace == 0


def test_a_node_that_returns_saves_its_pods():
    controller = PodGarbageController(0)
    controller.plan("default/web", snapshot(pod()), NOW)
    assert not controller.plan("default/web", snapshot(pod(), node()), NOW + 20)
    assert controller.plan("default/web", snapshot(pod()), NOW + 60).again == 40


def test_a_pod_that_never_had_a_node_is_finished_at_once():
    plan = PodGarbageController(0).plan("default/web", snapshot(pod(node_name="", deleting=True)), NOW)
    assert plan.delete[0].grace == 0
    assert not PodGarbageController(0).plan("default/web", snapshot(pod(node_name="")), NOW)


def test_of_too_many_finished_pods_the_oldest_go():
    ended = [pod(f"p{n}", phase="Succeeded") for n in range(5)]
    for n, each in enumerate(ended):
        each.metadata.creationTimestamp = times.rfc3339(NOW - n)
    plan = PodGarbageController(3).plan(FINISHED_KEY, snapshot(*ended, pod("runs")), NOW)
    assert [each.name for each in plan.delete] == ["p4", "p3"]


def test_pressure_is_told_in_taints():
    assert set(taints.BY_CONDITION.values()) <= taints.OURS
