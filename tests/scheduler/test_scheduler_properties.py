"""Decisions beside an exhaustive search that reads the objects themselves, slow and obvious."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.scheduling import node, pod, snapshot

from timonier.api.types import core_v1
from timonier.scheduler.decide import decide, possible_nodes
from timonier.scheduler.preempt import preempt
from timonier.scheduler.request import request_of

ZONES, APPS = ("", "a", "b", "c"), ("web", "db")
KEYS = st.sampled_from(["zone", "kubernetes.io/hostname"])


def terms() -> st.SearchStrategy[dict]:
    return st.builds(lambda app, key: {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key},
                     st.sampled_from(APPS), KEYS)


def affinities() -> st.SearchStrategy[dict]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return st.fixed_dictionaries({}, optional={
        "podAffinity": terms().map(lambda term: {required: [term]}),
        "podAntiAffinity": terms().map(lambda term: {required: [term]})})


def constraints() -> st.SearchStrategy[list[dict]]:
    return st.lists(st.builds(
        lambda app, key, skew, least, when: {
            "labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, "maxSkew": skew, "minDomains": least,
            "whenUnsatisfiable": when},
        st.sampled_from(APPS), KEYS, st.integers(1, 2), st.none() | st.integers(1, 3),
        st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])), max_size=1)


@st.composite
def pods(draw: st.DrawFn, on: str = "") -> core_v1.Pod:
    ports = draw(st.lists(st.sampled_from([80, 81]), max_size=1))
    return pod(
        labels={"app": draw(st.sampled_from(APPS))}, on=on, leaving=bool(on) and draw(st.booleans()),
        containers=[{"name": "c", "resources": {"requests": {"cpu": draw(st.sampled_from(["0", "500m", "1"]))}},
                     "ports": [{"containerPort": 1, "hostPort": port} for port in ports]}],
        affinity=draw(affinities()), topologySpreadConstraints=draw(constraints()), priority=draw(st.integers(0, 2)),
        nodeSelector=draw(st.sampled_from([{}, {}, {"zone": "a"}])),
        tolerations=draw(st.sampled_from([[], [{"key": "t", "operator": "Exists"}]])))


@st.composite
def clusters(draw: st.DrawFn) -> list[core_v1.Node | core_v1.Pod]:
    nodes = []
    for number in range(draw(st.integers(1, 5))):
        zone = draw(st.sampled_from(ZONES))
        nodes.append(node(f"n{number}", cpu=draw(st.sampled_from(["1", "2"])), pods=draw(st.sampled_from(["2", "9"])),
                          labels={"zone": zone} if zone else {},
                          unschedulable=draw(st.sampled_from([None, None, True])),
                          taints=draw(st.sampled_from([(), (), ("t=v:NoSchedule",)]))))
    running = [draw(pods(on=draw(st.sampled_from(nodes)).metadata.name)) for _ in range(draw(st.integers(0, 6)))]
    return [*nodes, *running]


class Search:
    """Every rule, read from the objects."""

    def __init__(self, things: list[core_v1.Node | core_v1.Pod]) -> None:
        self.nodes = [thing for thing in things if isinstance(thing, core_v1.Node)]
        self.pods = [thing for thing in things if isinstance(thing, core_v1.Pod)]

    def fitting(self, new: core_v1.Pod) -> set[str]:
        return {each.metadata.name for each in self.nodes if self.fits(new, each)}

    def fits(self, new: core_v1.Pod, there: core_v1.Node) -> bool:
        here = [each for each in self.pods if each.spec.nodeName == there.metadata.name]
        return (not there.spec.unschedulable
                and (not there.spec.taints or bool(new.spec.tolerations))
                and all(there.metadata.labels.get(key) == value for key, value in new.spec.nodeSelector.items())
                and not (ports(new) & {port for each in here for port in ports(each)})
                and (not cpu(new) or cpu(new) + sum(map(cpu, here)) <= 1000 * int(there.status.allocatable["cpu"]))
                and len(here) < int(there.status.allocatable["pods"])
                and self.near(new, there) and self.apart(new, there) and self.spread(new, there))

    def domain(self, there: core_v1.Node, key: str) -> list[core_v1.Pod]:
        value = there.metadata.labels.get(key)
        names = {each.metadata.name for each in self.nodes if value and each.metadata.labels.get(key) == value}
        return [each for each in self.pods if each.spec.nodeName in names]

    def near(self, new: core_v1.Pod, there: core_v1.Node) -> bool:
        affinity = new.spec.affinity.podAffinity
        for term in affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else ():
            if term.topologyKey not in there.metadata.labels:
                return False
            if any(matches(each, term) for each in self.domain(there, term.topologyKey)):
                continue
            anywhere = any(matches(each, term) for other in self.nodes for each in self.domain(other, term.topologyKey))
            if anywhere or not matches(new, term):
                return False
        return True

    def apart(self, new: core_v1.Pod, there: core_v1.Node) -> bool:
        for term in avoided(new):
            if any(matches(each, term) for each in self.domain(there, term.topologyKey)):
                return False
        return not any(matches(new, term) and each in self.domain(there, term.topologyKey)
                       for each in self.pods for term in avoided(each))

    def spread(self, new: core_v1.Pod, there: core_v1.Node) -> bool:
        for constraint in new.spec.topologySpreadConstraints:
            if constraint.whenUnsatisfiable != "DoNotSchedule":
                continue
            key = constraint.topologyKey
            if key not in there.metadata.labels:
                return False
            domains: dict[str, int] = {}
            for each in self.nodes:
                labels = each.metadata.labels
                if key in labels and all(labels.get(k) == v for k, v in new.spec.nodeSelector.items()):
                    domains.setdefault(labels[key], 0)
                    domains[labels[key]] += sum(
                        matches(one, constraint) and not one.metadata.deletionTimestamp
                        for one in self.pods if one.spec.nodeName == each.metadata.name)
            least = min(domains.values(), default=0) if len(domains) >= (constraint.minDomains or 1) else 0
            mine = domains.get(there.metadata.labels[key], 0) + matches(new, constraint)
            if mine - least > constraint.maxSkew:
                return False
        return True


def matches(each: core_v1.Pod, term: core_v1.PodAffinityTerm | core_v1.TopologySpreadConstraint) -> bool:
    return each.metadata.labels["app"] == term.labelSelector.matchLabels["app"]


def avoided(each: core_v1.Pod) -> list[core_v1.PodAffinityTerm]:
    affinity = each.spec.affinity.podAntiAffinity
    return affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else []


def ports(each: core_v1.Pod) -> set[int]:
    return {port.hostPort for port in each.spec.containers[0].ports}


def cpu(each: core_v1.Pod) -> int:
    return {"0": 0, "500m": 500, "1": 1000}[each.spec.containers[0].resources.requests["cpu"]]


@settings(max_examples=100)
@given(clusters(), pods())
def test_scheduler_agrees_with_exhaustive_search(cluster: list[core_v1.Node | core_v1.Pod], new: core_v1.Pod):
    possible, nodes = Search(cluster).fitting(new), snapshot(*cluster)
    mask = possible_nodes(request_of(new), nodes)
    assert {name for name, row in nodes.row_of.items() if mask[row]} == possible
    decision = decide(request_of(new), nodes)
    assert decision.node in possible if possible else decision.node is None
    if not possible:
        assert set(decision.reasons) == set(nodes.row_of)


@settings(max_examples=60)
@given(clusters(), st.lists(pods(), max_size=5), st.data())
def test_a_snapshot_kept_up_to_date_equals_one_made_anew(cluster: list[core_v1.Node | core_v1.Pod],
                                                         others: list[core_v1.Pod], data: st.DataObject):
    kept = snapshot(*cluster)
    names = [thing.metadata.name for thing in cluster if isinstance(thing, core_v1.Node)]
    for each in others:  # ask, so that groups are counted; add some; take some away; take a node away and put it back
        decide(request_of(each), kept)
        kept.add_pod(request_of(each), data.draw(st.sampled_from(names)))
    for each in others:
        if data.draw(st.booleans()):
            kept.remove_pod(each.metadata.uid)
    if data.draw(st.booleans()):
        kept.remove_node(names[0])
        kept.set_node(next(thing for thing in cluster if thing.metadata.name == names[0]))
    anew = snapshot(*cluster)
    for uid, (request, name) in kept.pods.items():
        if uid not in anew.pods:
            anew.add_pod(request, name)
    for each in others:
        masks = [possible_nodes(request_of(each), made) for made in (kept, anew)]
        found = [{name for name, row in made.row_of.items() if mask[row]}
                 for made, mask in zip((kept, anew), masks, strict=True)]
        assert found[0] == found[1]


@settings(max_examples=100)
@given(clusters(), pods())
def test_evicting_the_victims_makes_room_and_none_of_them_could_stay(cluster: list[core_v1.Node | core_v1.Pod],
                                                                      new: core_v1.Pod):
    nodes, request = snapshot(*cluster), request_of(new)
    decision = decide(request, nodes)
    if decision.node:
        return
    before = {uid: name for uid, (_, name) in nodes.pods.items()}
    plan = preempt(request, nodes, decision)
    assert {uid: name for uid, (_, name) in nodes.pods.items()} == before
    if plan.node is None:
        assert plan.message.startswith(f"0/{len(nodes.row_of)} nodes are available: ")
        return
    gone = {victim.uid for victim in plan.victims}
    assert gone
    assert all(victim.priority < request.priority for victim in plan.victims)
    left = [thing for thing in cluster if thing.metadata.uid not in gone]
    assert plan.node in Search(left).fitting(new)


