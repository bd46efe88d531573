"""Endpoints and their slices: who serves, at which port, in as few changed slices as possible."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated_cluster import Cluster

from timonier.api.types import core_v1, discovery_v1, meta_v1
from timonier.controllers import endpointslice, endpointslicemirroring
from timonier.controllers.endpoints import EndpointsController
from timonier.controllers.endpointslice import EndpointSliceController
from timonier.controllers.endpointslicemirroring import EndpointSliceMirroringController
from timonier.controllers.shared import slices
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import clone

INDEXES = {discovery_v1.EndpointSlice: {endpointslice.BY_SERVICE: endpointslice.service_of,
                                        endpointslicemirroring.BY_SERVICE: endpointslicemirroring.mirrored_for}}


def cluster(*objects) -> Cluster:
    made = Cluster(INDEXES)
    made.add(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1", labels={endpointslice.ZONE: "west"})))
    for each in objects:
        made.add(each)
    return made


def service(**spec) -> core_v1.Service:
    fields = {"selector": {"app": "web"}, "clusterIP": "10.96.0.5",
              "ports": [core_v1.ServicePort(name="http", port=80, targetPort="http", protocol="TCP")]} | spec
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name="web", namespace="default", labels={"team": "a"}),
                           spec=core_v1.ServiceSpec(**fields))


def pod(name: str, ip: str, *, ready: bool = True, port: int = 8080, node: str = "n1", going: bool = False,
        phase: str = "Running", **spec) -> core_v1.Pod:
    container = core_v1.Container(name="c", ports=[core_v1.ContainerPort(name="http", containerPort=port)])
    made = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"app": "web"}),
        spec=core_v1.PodSpec(nodeName=node, containers=[container], **spec),
        status=core_v1.PodStatus(phase=phase, podIP=ip, conditions=[
            core_v1.PodCondition(type="Ready", status="True" if ready else "False")]))
    if going:
        made.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    return made


def slices_of(made: Cluster) -> list[discovery_v1.EndpointSlice]:
    made.run(EndpointSliceController(), core_v1.Service)
    return made.objects(discovery_v1.EndpointSlice)


def endpoints_of(made: Cluster) -> core_v1.Endpoints:
    made.run(EndpointsController(), core_v1.Service)
    return made.objects(core_v1.Endpoints)[0]


def test_a_slice_names_its_service_and_its_maker():
    found = slices_of(cluster(service(), pod("a", "10.0.0.1")))[0]
    assert found.metadata.labels == {"team": "a", slices.SERVICE_NAME: "web",
                                     slices.MANAGED_BY: "endpointslice-controller.k8s.io"}
    assert found.metadata.ownerReferences[0].kind == "Service"
    endpoint = found.endpoints[0]
    assert (endpoint.addresses, endpoint.nodeName, endpoint.zone) == (["10.0.0.1"], "n1", "west")
    assert (endpoint.targetRef.kind, endpoint.targetRef.name) == ("Pod", "a")
    assert [(port.name, port.port, port.protocol) for port in found.ports] == [("http", 8080, "TCP")]


def test_conditions_say_whether_a_pod_is_ready_serves_or_goes():
    made = cluster(service(), pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready=False), pod("c", "10.0.0.3", going=True),
                   pod("d", "10.0.0.4", phase="Failed"), pod("e", ""))
    told = {each.targetRef.name: (each.conditions.ready, each.conditions.serving, each.conditions.terminating)
            for each in slices_of(made)[0].endpoints}
    assert told == {"a": (True, True, False), "b": (False, False, False), "c": (False, True, True)}


def test_publishing_those_that_are_not_ready_calls_them_ready():
    made = cluster(service(publishNotReadyAddresses=True), pod("b", "10.0.0.2", ready=False))
    assert slices_of(made)[0].endpoints[0].conditions.ready is True
    assert [each.ip for each in endpoints_of(made).subsets[0].addresses] == ["10.0.0.2"]


def test_a_service_without_pods_has_one_empty_slice_that_is_then_filled():
    made = cluster(service())
    empty = slices_of(made)
    assert [len(each.endpoints) for each in empty] == [0]
    made.add(pod("a", "10.0.0.1"))
    filled = slices_of(made)
    assert [(each.metadata.name, len(each.endpoints)) for each in filled] == [(empty[0].metadata.name, 1)]


def test_pods_that_disagree_about_a_named_port_are_in_different_slices():
    made = cluster(service(), pod("a", "10.0.0.1", port=8080), pod("b", "10.0.0.2", port=9090))
    assert sorted(each.ports[0].port for each in slices_of(made)) == [8080, 9090]
    assert sorted(subset.ports[0].port for subset in endpoints_of(made).subsets) == [8080, 9090]


def test_a_headless_service_needs_no_ports_and_gives_names():
    made = cluster(service(clusterIP="None", ports=[]), pod("a", "10.0.0.1", hostname="a-0", subdomain="web"))
    found = slices_of(made)[0]
    assert (found.endpoints[0].hostname, found.ports) == ("a-0", [])
    assert found.metadata.labels[slices.HEADLESS] == ""
    assert endpoints_of(made).subsets[0].addresses[0].hostname == "a-0"


def test_without_a_selector_nothing_is_written():
    made = cluster(service(selector={}), pod("a", "10.0.0.1"))
    assert slices_of(made) == []


def test_a_pod_on_an_unknown_node_waits():
    made = cluster(service(), pod("a", "10.0.0.1", node="n2"))
    assert EndpointSliceController().plan("default/web", made.snapshot, made.now).again == 30


def test_endpoints_tell_the_ready_from_the_others():
    made = cluster(service(), pod("b", "10.0.0.2", ready=False), pod("a", "10.0.0.1"), pod("c", "10.0.0.3", going=True))
    found = endpoints_of(made)
    assert [each.ip for each in found.subsets[0].addresses] == ["10.0.0.1"]
    assert [each.ip for each in found.subsets[0].notReadyAddresses] == ["10.0.0.2"]
    assert found.metadata.labels == {"team": "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def test_endpoints_beyond_a_thousand_are_cut_off_and_say_so():
    made = cluster(service(), *(pod(f"p{n}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(1005)))
    found = endpoints_of(made)
    assert len(found.subsets[0].addresses) == 1000
    assert found.metadata.annotations == {"endpoints.kubernetes.io/over-capacity": "truncated"}


def test_only_the_slice_of_a_changed_pod_changes():
    made = cluster(service(), *(pod(f"p{n:03}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(250)))
    before = {each.metadata.name: each.metadata.resourceVersion for each in slices_of(made)}
    assert sorted(len(each.endpoints) for each in made.objects(discovery_v1.EndpointSlice)) == [50, 100, 100]
    changed = clone(made.mirrors[core_v1.Pod].objects["default/p007"])
    changed.status.conditions[0].status = "False"
    made.put(changed)
    after = {each.metadata.name: each.metadata.resourceVersion for each in slices_of(made)}
    assert sum(before[name] != after[name] for name in before) == 1


IDENTITY = slices.Identity("web", "default", "m", meta_v1.OwnerReference(uid="u"))
PORTS: slices.Ports = (("http", 80, "TCP", ""),)


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 300)), min_size=1, max_size=4))
def test_slices_always_hold_exactly_what_is_wanted(rounds):
    made: dict[str, discovery_v1.EndpointSlice] = {}
    for wanted in rounds:
        endpoints = [discovery_v1.Endpoint(addresses=[f"10.0.{n // 256}.{n % 256}"]) for n in sorted(wanted)]
        plan = slices.reconcile(IDENTITY, [*made.values()], {("IPv4", PORTS): endpoints})
        carry_out(plan, made)
        listed = [each.addresses[0] for found in made.values() for each in found.endpoints]
        assert sorted(listed) == sorted(each.addresses[0] for each in endpoints)
        assert all(len(found.endpoints) <= slices.LARGEST for found in made.values())
        assert made
        assert not slices.reconcile(IDENTITY, [*made.values()], {("IPv4", PORTS): endpoints})


def carry_out(plan: Plan, made: dict[str, discovery_v1.EndpointSlice]) -> None:
    for each in plan.create:
        each.metadata.name = f"web-{len(made)}-{id(each)}"
        made[each.metadata.name] = each
    for each in plan.update:
        made[each.metadata.name] = each
    for each in plan.delete:
        del made[each.name]


def endpoints(**labels: str) -> core_v1.Endpoints:
    return core_v1.Endpoints(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", labels=labels),
        subsets=[core_v1.EndpointSubset(addresses=[core_v1.EndpointAddress(ip="192.0.2.1"),
                                                   core_v1.EndpointAddress(ip="2001:db8::1")],
                                        notReadyAddresses=[core_v1.EndpointAddress(ip="192.0.2.2")],
                                        ports=[core_v1.EndpointPort(port=80, protocol="TCP")])])


def test_endpoints_written_by_hand_are_mirrored_by_family():
    made = cluster(service(selector={}), endpoints())
    made.run(EndpointSliceMirroringController(), core_v1.Endpoints)
    found = {each.addressType: [(e.addresses[0], e.conditions.ready) for e in each.endpoints]
             for each in made.objects(discovery_v1.EndpointSlice)}
    assert found == {"IPv4": [("192.0.2.1", True), ("192.0.2.2", False)], "IPv6": [("2001:db8::1", True)]}


def test_mirrors_go_when_they_are_not_wanted_any_more():
    made = cluster(service(selector={}), endpoints())
    made.run(EndpointSliceMirroringController(), core_v1.Endpoints)
    changed = clone(made.objects(core_v1.Endpoints)[0])
    changed.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true"
    made.put(changed)
    made.run(EndpointSliceMirroringController(), core_v1.Endpoints)
    assert made.objects(discovery_v1.EndpointSlice) == []


def test_endpoints_of_a_selecting_service_are_not_mirrored():
    made = cluster(service(), endpoints())
    made.run(EndpointSliceMirroringController(), core_v1.Endpoints)
    assert made.objects(discovery_v1.EndpointSlice) == []
