"""Each filter's words, one situation a test; the words are Kubernetes's."""

import pytest
from support.scheduling import decided, node, pod, snapshot

from timonier.api.types import core_v1
from timonier.scheduler.decide import NO_NODES, decide
from timonier.scheduler.request import request_of


def affinity(kind: str, *terms: dict) -> dict:
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [*terms]}}}


def near(app: str, key: str = "zone", **more: object) -> dict:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def chosen(term: dict) -> dict:
    return {"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}}


def test_without_nodes_there_is_nothing_to_explain():
    assert decided(pod()).message() == NO_NODES == "no nodes available to schedule pods"


def test_each_node_gives_the_reasons_of_its_first_failing_filter():
    decision = decided(
        pod(requests={"cpu": "2", "memory": "4Gi"}), node("cordoned", unschedulable=True, cpu="1"),
        node("tainted", taints=("gpu=yes:NoSchedule",)), node("small", cpu="1", memory="1Gi"), node("slow", cpu="1"))
    assert decision.node is None
    assert {name: why.texts for name, why in decision.reasons.items()} == {
        "cordoned": ("node(s) were unschedulable",), "tainted": ("node(s) had untolerated taint(s)",),
        "small": ("Insufficient cpu", "Insufficient memory"), "slow": ("Insufficient cpu",)}
    assert decision.message() == (
        "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable, 2 Insufficient cpu.")


@pytest.mark.parametrize(("toleration", "fits"), [
    pytest.param({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True, id="equal"),
    pytest.param({"key": "gpu", "value": "no"}, False, id="other-value"),
    pytest.param({"key": "gpu", "operator": "Exists"}, True, id="exists"),
    pytest.param({"operator": "Exists"}, True, id="everything"),
    pytest.param({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False, id="other-effect"),
])
def test_tolerations(toleration: dict, fits: bool):
    decision = decided(pod(tolerations=[toleration]), node("a", taints=("gpu=yes:NoSchedule",)))
    assert (decision.node == "a") is fits


def test_a_cordoned_node_takes_pods_that_tolerate_it():
    tolerant = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert decided(tolerant, node("a", unschedulable=True)).node == "a"


@pytest.mark.parametrize(("expression", "names"), [
    pytest.param(("tier", "In", "front", "back"), {"front", "back"}, id="in"),
    pytest.param(("tier", "NotIn", "front"), {"back", "bare"}, id="not-in-takes-those-without"),
    pytest.param(("tier", "Exists"), {"front", "back"}, id="exists"),
    pytest.param(("tier", "DoesNotExist"), {"bare"}, id="does-not-exist"),
    pytest.param(("cores", "Gt", "8"), {"back"}, id="greater"),
    pytest.param(("cores", "Lt", "9"), {"front"}, id="less"),
    pytest.param(("cores", "Gt", "many"), set(), id="not-a-number"),
])
def test_node_affinity_operators(expression: tuple[str, ...], names: set[str]):
    key, operator, *values = expression
    wanted = pod(**chosen({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
    decision = decided(wanted, node("front", labels={"tier": "front", "cores": "8"}),
                       node("back", labels={"tier": "back", "cores": "16"}), node("bare", labels={"cores": "x"}))
    assert ({"front", "back", "bare"} - names == set(decision.reasons)) if not names else decision.node in names


def test_an_empty_node_selector_term_chooses_nothing():
    decision = decided(pod(**chosen({})), node("a"))
    assert decision.message() == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."


def test_a_node_may_be_chosen_by_name():
    wanted = pod(**chosen({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}))
    assert decided(wanted, node("a"), node("b")).node == "b"


def test_a_host_port_is_taken_once():
    taken = pod("first", on="a", containers=[{"name": "c", "ports": [{"containerPort": 80, "hostPort": 8080}]}])
    wanted = pod(containers=[{"name": "c", "ports": [{"containerPort": 1, "hostPort": 8080, "hostIP": "127.0.0.1"}]}])
    other = pod(containers=[{"name": "c", "ports": [{"containerPort": 1, "hostPort": 8080, "protocol": "UDP"}]}])
    assert decided(wanted, node("a"), taken).message() == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
    assert decided(other, node("a"), taken).node == "a"


def test_every_node_has_a_number_of_pods():
    assert decided(pod(), node("a", pods="1"), pod("first", on="a")).message() == (
        "0/1 nodes are available: 1 Too many pods.")


def test_resources_of_any_name_are_counted():
    wanted = pod(requests={"example.com/gpu": "2"})
    assert decided(wanted, node("a"), node("b", example_com__gpu="1")).message() == (
        "0/2 nodes are available: 2 Insufficient example.com/gpu.")
    assert decided(wanted, node("a"), node("b", example_com__gpu="2")).node == "b"


def test_init_containers_count_while_they_run_and_sidecars_all_the_time():
    request = request_of(pod(
        containers=[{"name": "c", "resources": {"requests": {"cpu": "1"}}}],
        initContainers=[{"name": "i", "resources": {"requests": {"cpu": "3"}}},
                        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                        {"name": "j", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}],
        overhead={"cpu": "10m"}))
    assert request.resources == {"cpu": 3010, "memory": 1 << 30}


@pytest.mark.parametrize(("reason", "cpu"), [
    pytest.param("Deferred", 3000, id="wanted-more"), pytest.param("Infeasible", 2000, id="cannot-have-more")])
def test_a_pod_that_is_resized_has_the_larger_of_both_until_it_is_done(reason, cpu):
    resized = pod(requests={"cpu": "3", "memory": "1Gi"})
    [container] = resized.spec.containers
    resized.status.containerStatuses = [core_v1.ContainerStatus(name=container.name, resources=(
        core_v1.ResourceRequirements(requests={"cpu": "2", "memory": "2Gi"})))]
    resized.status.conditions = [core_v1.PodCondition(type="PodResizePending", status="True", reason=reason)]
    assert request_of(resized).resources == {"cpu": cpu, "memory": 2 << 30}


def test_a_request_of_the_whole_pod_replaces_the_sum():
    assert request_of(pod(requests={"cpu": "1"}, resources={"requests": {"cpu": "2"}})).resources == {"cpu": 2000}


def test_a_pod_that_claims_devices_is_told_that_it_cannot_have_them():
    decision = decided(pod(resourceClaims=[{"name": "gpu"}]), node("a"))
    assert "does not support" in decision.message()


ZONES = (node("a1", labels={"zone": "a"}), node("a2", labels={"zone": "a"}), node("b1", labels={"zone": "b"}),
         node("bare"))


def test_affinity_takes_the_domain_of_the_pods_it_wants():
    wanted = pod(**affinity("podAffinity", near("db")))
    decision = decided(wanted, *ZONES, pod("db", labels={"app": "db"}, on="b1"))
    assert decision.node == "b1"
    assert decided(wanted, *ZONES).message() == (
        "0/4 nodes are available: 4 node(s) didn't match pod affinity rules.")


def test_the_first_of_pods_that_want_each_other_may_go_anywhere_with_the_label():
    first = pod(labels={"app": "web"}, **affinity("podAffinity", near("web")))
    assert decided(first, *ZONES).node in {"a1", "a2", "b1"}


def test_anti_affinity_avoids_whole_domains():
    wanted = pod(**affinity("podAntiAffinity", near("web")))
    running = pod("one", labels={"app": "web"}, on="a1")
    assert decided(wanted, *ZONES, running).node in {"b1", "bare"}
    assert decided(wanted, *ZONES[:2], running).message() == (
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.")


def test_running_pods_keep_away_those_that_they_avoid():
    shy = pod("shy", on="a1", **affinity("podAntiAffinity", near("web")))
    assert decided(pod(labels={"app": "web"}), *ZONES[:2], shy).message() == (
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.")
    assert decided(pod(labels={"app": "other"}), *ZONES[:2], shy).node in {"a1", "a2"}


def test_terms_look_at_the_namespaces_that_they_name():
    running = pod("db", namespace="data", labels={"app": "db"}, on="a1")
    for more, fits in (({}, False), ({"namespaces": ["data"]}, True), ({"namespaceSelector": {}}, True),
                       ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, True),
                       ({"namespaceSelector": {"matchLabels": {"team": "y"}}}, False)):
        nodes = snapshot(*ZONES, running)
        nodes.namespaces = {"data": {"team": "x"}, "default": {}}
        decision = decide(request_of(pod(**affinity("podAffinity", near("db", **more)))), nodes)
        assert (decision.node is not None) is fits, more


def spread(key: str = "zone", skew: int = 1, when: str = "DoNotSchedule", **more: object) -> dict:
    return {"topologySpreadConstraints": [{
        "topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}}, **more}]}


def test_spreading_keeps_domains_within_the_skew():
    running = [pod(name, labels={"app": "web"}, on="a1") for name in "xy"]
    wanted = pod(labels={"app": "web"}, **spread())
    assert decided(wanted, *ZONES, *running).node == "b1"
    full = node("c", labels={"zone": "c"}, pods="0")
    assert decided(wanted, ZONES[0], ZONES[3], full, *running).message() == (
        "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label).")


def test_too_few_domains_count_as_an_empty_one():
    wanted = pod(labels={"app": "web"}, **spread(minDomains=3))
    running = [pod(name, labels={"app": "web"}, on=on) for name, on in (("x", "a1"), ("y", "b1"))]
    assert decided(wanted, *ZONES[:3], *running).message() == (
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.")


def test_pods_that_are_leaving_do_not_count_for_spreading():
    leaving = pod("x", labels={"app": "web"}, on="a1", leaving=True)
    also = pod("y", labels={"app": "web"}, on="b1")
    assert decided(pod(labels={"app": "web"}, **spread()), *ZONES[:3], leaving, also).node in {"a1", "a2"}


def test_match_label_keys_narrow_to_the_pods_of_one_revision():
    wanted = pod(labels={"app": "web", "rev": "2"}, **spread(matchLabelKeys=["rev"]))
    older = [pod(name, labels={"app": "web", "rev": "1"}, on="a1") for name in "xyz"]
    newer = pod("n", labels={"app": "web", "rev": "2"}, on="b1")
    assert decided(wanted, *ZONES[:3], *older, newer).node in {"a1", "a2"}


def test_what_repels_changes_with_the_node():
    nodes = snapshot(node("a", taints=("x=1:NoSchedule",)))
    tolerant = pod(tolerations=[{"key": "x", "operator": "Exists"}])
    assert decide(request_of(tolerant), nodes).node == "a"
    nodes.set_node(node("a", taints=("y=2:NoExecute",)))
    assert decide(request_of(tolerant), nodes).message() == (
        "0/1 nodes are available: 1 node(s) had untolerated taint(s).")
    nodes.set_node(node("a"))
    assert decide(request_of(pod()), nodes).node == "a"
