"""What makes one node better than another, one preference a test."""

import pytest
from support.scheduling import decided, node, pod, snapshot

from timonier.scheduler.columns import Mask
from timonier.scheduler.decide import decide
from timonier.scheduler.request import request_of
from timonier.scheduler.scores import SCORES
from timonier.scheduler.snapshot import Snapshot


def rated(name: str, new, nodes: Snapshot) -> dict[str, int]:
    score = next(each for each in SCORES if each.name == name)
    points = score.rate(request_of(new), nodes, candidates(nodes))
    return {each: int(points[row]) for each, row in nodes.row_of.items()}


def candidates(nodes: Snapshot) -> Mask:
    return nodes.exists.copy()


def test_the_emptier_node_is_chosen():
    assert decided(pod(requests={"cpu": "1"}), node("a"), node("b"), pod(on="a", requests={"cpu": "2"})).node == "b"


def test_free_shares_of_cpu_and_memory_are_averaged():
    nodes = snapshot(node("a", cpu="4", memory="8Gi"), pod(on="a", requests={"cpu": "1", "memory": "2Gi"}))
    assert rated("NodeResourcesFit", pod(requests={"cpu": "1", "memory": "4Gi"}), nodes) == {"a": (50 + 25) // 2}


def test_containers_that_state_nothing_are_taken_for_something():
    nodes = snapshot(node("a"), node("b"), pod(on="a"))
    points = rated("NodeResourcesFit", pod(), nodes)
    assert points["a"] < points["b"]


def test_cpu_and_memory_should_fill_up_alike():
    nodes = snapshot(node("a"), node("b"), pod(on="a", requests={"cpu": "2"}), pod(on="b", requests={"memory": "4Gi"}))
    points = rated("NodeResourcesBalancedAllocation", pod(requests={"memory": "4Gi"}), nodes)
    assert points["a"] == 100
    assert points["b"] == 50


def test_preferred_node_affinity_adds_the_weights_of_matching_terms():
    wanted = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}},
        {"weight": 30, "preference": {"matchExpressions": [{"key": "fast", "operator": "Exists"}]}}]}})
    nodes = snapshot(node("none"), node("ssd", labels={"disk": "ssd"}),
                     node("both", labels={"disk": "ssd", "fast": ""}))
    assert rated("NodeAffinity", wanted, nodes) == {"none": 0, "ssd": 25, "both": 100}


def test_soft_taints_are_avoided():
    nodes = snapshot(node("none"), node("one", taints=("a=:PreferNoSchedule",)),
                     node("two", taints=("a=:PreferNoSchedule", "b=:PreferNoSchedule")))
    assert rated("TaintToleration", pod(), nodes) == {"none": 100, "one": 50, "two": 0}


def test_replicas_of_a_controller_spread_over_nodes_by_themselves():
    running = [pod(owner="rs", on="a", requests={"cpu": "100m"}), pod(on="b", requests={"cpu": "100m"})]
    assert decided(pod(owner="rs"), node("a"), node("b"), *running).node == "b"


def test_replicas_fill_a_cluster_evenly():
    nodes, placed = snapshot(*(node(f"n{number}") for number in range(5))), []
    for turn in range(20):
        request = request_of(pod(owner="rs", requests={"cpu": "100m"}))
        chosen = decide(request, nodes, turn).node
        assert chosen is not None
        nodes.add_pod(request, chosen)
        placed.append(chosen)
    assert sorted(placed.count(f"n{number}") for number in range(5)) == [4] * 5


def test_a_soft_constraint_prefers_the_emptier_domain():
    wanted = pod(labels={"app": "web"}, topologySpreadConstraints=[{
        "topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "web"}}}])
    zones = node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"}), node("bare")
    points = rated("PodTopologySpread", wanted, snapshot(*zones, pod(labels={"app": "web"}, on="a")))
    assert points["b"] > points["a"]
    assert points["bare"] == 0


@pytest.mark.parametrize(("kind", "chosen"), [("podAffinity", "a"), ("podAntiAffinity", "b")])
def test_preferred_pod_affinity_draws_or_repels(kind: str, chosen: str):
    wanted = pod(affinity={kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
        "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}}]}})
    zones = node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"})
    assert decided(wanted, *zones, pod(labels={"app": "db"}, on="a")).node == chosen


def test_running_pods_draw_those_that_they_want():
    fond = pod(on="a", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}]}})
    nodes = snapshot(node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"}), fond)
    assert rated("InterPodAffinity", pod(labels={"app": "web"}), nodes) == {"a": 100, "b": 0}
    assert rated("InterPodAffinity", pod(labels={"app": "other"}), nodes) == {"a": 0, "b": 0}


def test_a_node_that_has_the_image_is_preferred():
    wanted = pod(containers=[{"name": "c", "image": "docker.io/library/big"}])
    nodes = snapshot(node("a", images={"docker.io/library/big:latest": 500 << 20}), node("b"))
    points = rated("ImageLocality", wanted, nodes)
    assert points["a"] > points["b"] == 0


def test_equally_good_nodes_are_taken_in_turn():
    nodes = snapshot(node("a"), node("b"), node("c"))
    assert {decide(request_of(pod()), nodes, turn).node for turn in range(3)} == {"a", "b", "c"}
