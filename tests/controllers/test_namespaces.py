"""Namespaces: what every one gets, and how one goes."""

from __future__ import annotations

from support.simulated_cluster import Cluster

from timonier.api.kinds import Kind, find
from timonier.api.types import core_v1, meta_v1
from timonier.client.wire import Partial
from timonier.controllers.namespace import NamespaceController, emptying
from timonier.controllers.rootca import RootCaController
from timonier.controllers.serviceaccount import ServiceAccountController
from timonier.controllers.shared.discovered import rows
from timonier.reconcile.snapshot import Memory, Snapshot

NOW = 1_800_000_000.0
POD, CONFIG_MAP = find("v1", "Pod"), find("v1", "ConfigMap")
assert POD is not None
assert CONFIG_MAP is not None


def namespace(*, going: bool = True, phase: str = "Terminating") -> core_v1.Namespace:
    return core_v1.Namespace(
        metadata=meta_v1.ObjectMeta(name="web", deletionTimestamp="2026-01-01T00:00:00Z" if going else ""),
        spec=core_v1.NamespaceSpec(finalizers=["kubernetes", "example.com/other"]),
        status=core_v1.NamespaceStatus(phase=phase))


def objects(*names: str, finalizers: tuple[str, ...] = ()) -> list[Partial]:
    return [Partial(metadata=meta_v1.ObjectMeta(name=name, namespace="web", uid=name, finalizers=[*finalizers]))
            for name in names]


def told(plan) -> dict[str, tuple[str, str, str]]:
    return {each.type: (each.status, each.reason, each.message) for each in plan.status.status.conditions}


def test_a_living_namespace_is_left_alone():
    world = Snapshot({core_v1.Namespace: Memory([namespace(going=False, phase="Active")])})
    assert not NamespaceController(None).plan("web", world, NOW)  # type: ignore[arg-type]


def test_pods_go_before_all_else():
    plan = emptying(namespace(), {POD: objects("p"), CONFIG_MAP: objects("c")}, "", NOW)
    assert [(each.kind.kind, each.name, each.uid) for each in plan.delete] == [("Pod", "p", "p")]
    plan = emptying(namespace(), {POD: [], CONFIG_MAP: objects("c")}, "", NOW)
    assert [each.name for each in plan.delete] == ["c"]


def test_what_remains_and_why_is_told():
    plan = emptying(namespace(), {CONFIG_MAP: objects("a", "b", finalizers=("example.com/x",))}, "", NOW)
    assert told(plan)["NamespaceContentRemaining"] == (
        "True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 2 resource instances")
    assert told(plan)["NamespaceFinalizersRemaining"] == (
        "True", "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/x in 2 resource instances")
    assert told(plan)["NamespaceDeletionDiscoveryFailure"][:2] == ("False", "ResourcesDiscovered")
    again = emptying(plan.status, {CONFIG_MAP: objects("a", "b", finalizers=("example.com/x",))}, "", NOW + 5)
    assert again.status is None


def test_an_empty_namespace_loses_our_finalizer_and_no_other():
    plan = emptying(namespace(), {POD: [], CONFIG_MAP: []}, "", NOW)
    assert plan.finalize.spec.finalizers == ["example.com/other"]


def test_a_namespace_of_which_not_all_could_be_seen_stays():
    plan = emptying(namespace(), {}, "widgets.example.com: unavailable", NOW)
    assert plan.finalize is None
    assert told(plan)["NamespaceDeletionDiscoveryFailure"] == ("True", "DiscoveryFailed",
                                                               "widgets.example.com: unavailable")


async def test_the_contents_are_asked_for_at_each_look():
    asked = []

    async def contents(name: str):
        asked.append(name)
        return {}, ""
    world = Snapshot({core_v1.Namespace: Memory([namespace()])})
    plan = await NamespaceController(contents).plan("web", world, NOW)
    assert (asked, plan.finalize is not None) == (["web"], True)


def test_every_namespace_gets_an_account_and_the_root_ca():
    cluster = Cluster()
    for name, phase in (("a", "Active"), ("b", "Terminating")):
        cluster.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name),
                                      status=core_v1.NamespaceStatus(phase=phase)))
    for controller in (ServiceAccountController(), RootCaController("PEM")):
        cluster.run(controller, core_v1.Namespace)
    assert [(each.metadata.namespace, each.metadata.name) for each in cluster.objects(core_v1.ServiceAccount)] == [
        ("a", "default")]
    assert [each.data for each in cluster.objects(core_v1.ConfigMap)] == [{"ca.crt": "PEM"}]


def test_a_changed_root_ca_is_restored():
    cluster = Cluster()
    cluster.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="a")))
    cluster.add(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="kube-root-ca.crt", namespace="a"),
                                  data={"ca.crt": "forged", "more": "x"}))
    cluster.run(RootCaController("PEM"), core_v1.Namespace)
    assert cluster.objects(core_v1.ConfigMap)[0].data == {"ca.crt": "PEM"}


def test_discovery_names_each_resource_once_in_the_preferred_version():
    def resource(plural: str, kind: str) -> dict:
        return {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ["list", "delete"]}
    document = {"items": [{"metadata": {"name": "autoscaling"}, "versions": [
        {"version": "v2", "resources": [resource("horizontalpodautoscalers", "HorizontalPodAutoscaler")]},
        {"version": "v1", "resources": [resource("horizontalpodautoscalers", "HorizontalPodAutoscaler")]}]},
        {"metadata": {"name": "example.com"}, "versions": [
            {"version": "v1", "resources": [resource("widgets", "Widget")]}]}]}
    found = [*rows(document)]
    assert [each.id for each in found] == ["autoscaling/v2/HorizontalPodAutoscaler", "example.com/v1/Widget"]
    assert isinstance(found[1], Kind)
    assert found[1].path("default") == "/apis/example.com/v1/namespaces/default/widgets"
