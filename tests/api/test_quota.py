"""Quotas: what objects use, which quotas count them, and what is said where they do not fit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api.quantity import parse
from timonier.api.quota import others, pods, scopes
from timonier.api.quota.charge import Write, charged
from timonier.api.quota.limited import Limited, Refused
from timonier.api.quota.usage import measure, resource_of
from timonier.api.times import rfc3339

NOW = 1_700_000_000.0


def pod(*containers: Any, phase: str = "Pending", metadata: Any = None, **spec: Any) -> dict[str, Any]:
    listed = [{"name": f"c{index}", "image": "i", "resources": each} for index, each in enumerate(containers or [{}])]
    return {"metadata": {"name": "web", "namespace": "ns"} | (metadata or {}), "status": {"phase": phase},
            "spec": {"containers": listed} | spec}


def requests(**amounts: str) -> dict[str, Any]:
    return {"requests": amounts}


def limits(**amounts: str) -> dict[str, Any]:
    return {"limits": amounts, "requests": amounts}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, name: str = "q", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"hard": hard} | spec,
            "status": {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}}


def create(obj: Any, resource: str = "pods", group: str = "", old: Any = None) -> Write:
    return Write(group, resource, obj, old, NOW)


@pytest.mark.parametrize(("spec", "part", "total"), [
    pytest.param(pod(requests(cpu="100m"), requests(cpu="200m", memory="1Gi")), "requests",
                 {"cpu": "300m", "memory": "1Gi"}, id="containers-add-up"),
    pytest.param(pod(requests(cpu="1"), initContainers=[{"name": "i", "resources": requests(cpu="3")},
                                                         {"name": "j", "resources": requests(cpu="2")}]), "requests",
                 {"cpu": "3"}, id="init-containers-run-alone"),
    pytest.param(pod(requests(cpu="1"), initContainers=[
        {"name": "s", "restartPolicy": "Always", "resources": requests(cpu="1")},
        {"name": "i", "resources": requests(cpu="2")}]), "requests", {"cpu": "3"}, id="init-beside-a-sidecar"),
    pytest.param(pod(requests(cpu="4"), initContainers=[
        {"name": "i", "resources": requests(cpu="2")},
        {"name": "s", "restartPolicy": "Always", "resources": requests(cpu="1")}]), "requests", {"cpu": "5"},
        id="sidecars-run-on"),
    pytest.param(pod(requests(cpu="1"), overhead={"cpu": "100m", "memory": "10Mi"}), "requests",
                 {"cpu": "1100m", "memory": "10Mi"}, id="overhead"),
    pytest.param(pod(limits(cpu="1"), overhead={"cpu": "100m", "memory": "10Mi"}), "limits", {"cpu": "1100m"},
                 id="overhead-adds-to-limits-that-there-are"),
    pytest.param(pod(requests(cpu="1", memory="1Gi"), resources=requests(cpu="3")), "requests",
                 {"cpu": "3", "memory": "1Gi"}, id="the-pod-says-itself"),
])
def test_a_pod_needs_what_it_needs_at_once(spec, part, total):
    assert pods.total(spec["spec"], part) == total


def test_a_pod_is_counted_under_every_name_that_quotas_have_for_it():
    used = pods.usage(pod({"requests": {"cpu": "1", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"},
                           "limits": {"memory": "1Gi", "example.com/gpu": "2"}}), NOW)
    assert used == {"count/pods": "1", "pods": "1", "cpu": "1", "requests.cpu": "1", "limits.memory": "1Gi",
                    "requests.example.com/gpu": "2", "hugepages-2Mi": "4Mi", "requests.hugepages-2Mi": "4Mi"}


@pytest.mark.parametrize("state", [
    pytest.param({"phase": "Succeeded"}, id="succeeded"), pytest.param({"phase": "Failed"}, id="failed"),
    pytest.param({"metadata": {"deletionTimestamp": rfc3339(NOW - 60), "deletionGracePeriodSeconds": 30}},
                 id="should-be-gone"),
])
def test_a_pod_that_has_ended_is_an_object_and_nothing_else(state):
    assert pods.usage(pod(requests(cpu="1"), **state), NOW) == {"count/pods": "1"}


@pytest.mark.parametrize(("reason", "cpu"), [
    pytest.param("Deferred", "3", id="wanted-more"), pytest.param("Infeasible", "2", id="cannot-have-more")])
def test_a_pod_that_is_resized_has_the_larger_of_both_until_it_is_done(reason, cpu):
    resized = pod(requests(cpu="3", memory="1Gi"))
    resized["status"] |= {
        "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
        "containerStatuses": [{"name": "c0", "resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}]}
    used = pods.usage(resized, NOW)
    assert (used["requests.cpu"], used["requests.memory"]) == (cpu, "2Gi")


def test_a_pod_that_is_just_being_deleted_still_counts():
    going = {"deletionTimestamp": rfc3339(NOW + 10), "deletionGracePeriodSeconds": 30}
    assert pods.usage(pod(requests(cpu="1"), metadata=going), NOW)["pods"] == "1"


@pytest.mark.parametrize(("spec", "ports", "balancers"), [
    pytest.param({"type": "ClusterIP", "ports": [{}]}, "0", "0", id="cluster-ip"),
    pytest.param({"type": "NodePort", "ports": [{}, {}]}, "2", "0", id="node-port"),
    pytest.param({"type": "LoadBalancer", "ports": [{}, {}]}, "2", "1", id="load-balancer"),
    pytest.param({"type": "LoadBalancer", "ports": [{"nodePort": 3}, {}], "allocateLoadBalancerNodePorts": False}, "1",
                 "1", id="load-balancer-without-node-ports"),
])
def test_a_service_uses_ports_and_balancers_by_its_type(spec, ports, balancers):
    assert others.service({"spec": spec}) == {"services": "1", "services.nodeports": ports,
                                              "services.loadbalancers": balancers}


def test_a_volume_claim_is_counted_altogether_and_by_its_class():
    obj = {"metadata": {"name": "c"}, "spec": {"storageClassName": "gold", "resources": requests(storage="1Gi")}}
    assert others.claim(obj) == {
        "persistentvolumeclaims": "1", "requests.storage": "1Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"}


def test_a_device_claim_is_charged_the_most_that_it_may_be_given():
    obj = {"spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}},
        {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
        {"name": "c", "firstAvailable": [{"deviceClassName": "gpu", "count": 1}, {"deviceClassName": "tpu"}]}]}}}
    assert others.devices(obj) == {"gpu.deviceclass.resource.k8s.io/devices": "3",
                                   "nic.deviceclass.resource.k8s.io/devices": "32",
                                   "tpu.deviceclass.resource.k8s.io/devices": "1"}


@pytest.mark.parametrize(("name", "place"), [
    ("cpu", ("", "pods")), ("limits.memory", ("", "pods")), ("requests.example.com/gpu", ("", "pods")),
    ("services.nodeports", ("", "services")), ("requests.storage", ("", "persistentvolumeclaims")),
    ("gold.storageclass.storage.k8s.io/requests.storage", ("", "persistentvolumeclaims")),
    ("configmaps", ("", "configmaps")), ("count/secrets", ("", "secrets")),
    ("count/deployments.apps", ("apps", "deployments")), ("count/widgets.example.com", ("example.com", "widgets")),
    ("nonsense", ("", ""))])
def test_every_name_in_a_quota_is_about_one_resource(name, place):
    assert resource_of(name) == place


def priority(operator: str, *values: str) -> dict[str, Any]:
    return {"scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": operator} | ({"values": list(values)} if values else {})]}}


AFFINE = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "namespaceSelector": {}}}]}}


@pytest.mark.parametrize(("spec", "obj", "counts"), [
    pytest.param({}, pod(), True, id="none"),
    pytest.param({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=5), True, id="terminating"),
    pytest.param({"scopes": ["Terminating"]}, pod(), False, id="not-terminating"),
    pytest.param({"scopes": ["NotTerminating", "BestEffort"]}, pod(), True, id="two"),
    pytest.param({"scopes": ["NotTerminating", "BestEffort"]}, pod(requests(cpu="1")), False, id="one-of-two"),
    pytest.param({"scopes": ["NotBestEffort"]}, pod(requests(cpu="1")), True, id="not-best-effort"),
    pytest.param({"scopes": ["CrossNamespacePodAffinity"]}, pod(affinity=AFFINE), True, id="cross-namespace"),
    pytest.param({"scopes": ["CrossNamespacePodAffinity"]}, pod(), False, id="not-cross-namespace"),
    pytest.param({"scopes": ["PriorityClass"]}, pod(priorityClassName="high"), True, id="priority"),
    pytest.param(priority("In", "high", "low"), pod(priorityClassName="high"), True, id="in"),
    pytest.param(priority("In", "low"), pod(priorityClassName="high"), False, id="not-in-list"),
    pytest.param(priority("NotIn", "low"), pod(priorityClassName="high"), True, id="not-in"),
    pytest.param(priority("NotIn", "low"), pod(), True, id="not-in-without-class"),
    pytest.param(priority("Exists"), pod(), False, id="exists"),
    pytest.param(priority("DoesNotExist"), pod(), True, id="does-not-exist"),
])
def test_scopes_choose_pods(spec, obj, counts):
    assert scopes.matches(spec, "", "pods", obj) is counts


def test_scopes_of_pods_leave_everything_else_out():
    assert not scopes.matches({"scopes": ["BestEffort"]}, "", "services", {"metadata": {}})


@pytest.mark.parametrize(("state", "counts"), [
    pytest.param({"spec": {"volumeAttributesClassName": "fast"}}, True, id="wanted"),
    pytest.param({"status": {"currentVolumeAttributesClassName": "fast"}}, True, id="current"),
    pytest.param({"spec": {"volumeAttributesClassName": "slow"}}, False, id="other")])
def test_volume_claims_are_chosen_by_their_attributes_class(state, counts):
    selector = {"scopeSelector": {"matchExpressions": [
        {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["fast"]}]}}
    assert scopes.matches(selector, "", "persistentvolumeclaims", {"metadata": {}} | state) is counts


def test_what_fits_is_added():
    limited = quota({"pods": "3", "requests.cpu": "1"}, {"pods": "2", "requests.cpu": "500m"})
    assert charged([limited], {}, create(pod(requests(cpu="250m")))) == {"q": {"pods": "3", "requests.cpu": "750m"}}


@pytest.mark.parametrize(("limited", "obj", "words"), [
    pytest.param(quota({"pods": "2"}, {"pods": "2"}), pod(),
                 "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", id="pods"),
    pytest.param(quota({"pods": "9", "memory": "1Gi", "cpu": "1"}, {"pods": "2", "memory": "900Mi", "cpu": "800m"}),
                 pod(requests(cpu="300m", memory="200Mi")),
                 "exceeded quota: q, requested: cpu=300m,memory=200Mi, used: cpu=800m,memory=900Mi, "
                 "limited: cpu=1,memory=1Gi", id="two"),
    pytest.param(quota({"limits.cpu": "1", "memory": "1"}), pod({}, requests(memory="1")),
                 "failed quota: q: must specify limits.cpu for: c0,c1; memory for: c0", id="unsaid"),
    pytest.param(quota({"pods": "2"}, {}), pod(), "status unknown for quota: q, resources: pods", id="unknown"),
])
def test_what_does_not_fit_is_refused_in_kubernetes_words(limited, obj, words):
    with pytest.raises(Refused) as caught:
        charged([limited], {}, create(obj))
    assert str(caught.value) == words


def test_a_quota_without_a_status_limits_nothing_yet():
    assert charged([{"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}], {}, create(pod())) == {}


def test_a_change_is_charged_what_it_adds():
    limited = quota({"services": "1", "services.nodeports": "2"}, {"services": "1", "services.nodeports": "0"})
    before = {"metadata": {"name": "web"}, "spec": {"type": "ClusterIP", "ports": [{}, {}]}}
    after = before | {"spec": before["spec"] | {"type": "NodePort"}}
    assert charged([limited], {}, create(after, "services", old=before)) == {
        "q": {"services": "1", "services.nodeports": "2"}}
    assert charged([limited], {}, create(before, "services", old=after)) == {}
    assert charged([limited], {}, create(pod(), old=pod())) == {}


HIGH = {"scopeName": "PriorityClass", "operator": "In", "values": ["high", "higher"]}


@pytest.mark.parametrize(("limit", "obj", "quotas", "words"), [
    pytest.param(Limited("", "pods", ("cpu",)), pod(requests(cpu="1")), [],
                 "insufficient quota to consume: cpu,requests.cpu", id="by-name"),
    pytest.param(Limited("", "pods", ("cpu",)), pod(requests(cpu="1")), [quota({"cpu": "2"})],
                 "insufficient quota to consume: requests.cpu", id="in-part"),
    pytest.param(Limited("", "pods", ("cpu",)), pod(requests(cpu="1")), [quota({"cpu": "2", "requests.cpu": "2"})],
                 "", id="covered"),
    pytest.param(Limited("", "pods", ("cpu",)), pod(), [], "", id="not-used"),
    pytest.param(Limited("", "services", ("cpu",)), pod(requests(cpu="1")), [], "", id="another-resource"),
    pytest.param(Limited("", "pods", scopes=(HIGH,)), pod(priorityClassName="high"), [quota({"pods": "2"})],
                 "insufficient quota to match these scopes: [{PriorityClass In [high higher]}]", id="by-scope"),
    pytest.param(Limited("", "pods", scopes=(HIGH,)), pod(priorityClassName="low"), [], "", id="another-scope"),
    pytest.param(Limited("", "pods", scopes=(HIGH,)), pod(priorityClassName="high"),
                 [quota({"pods": "2"}, scopeSelector={"matchExpressions": [HIGH]})], "", id="scope-covered"),
])
def test_what_is_limited_needs_a_quota_that_counts_it(limit, obj, quotas, words):
    write = Write("", "pods", obj, None, NOW, (limit,))
    if not words:
        charged(quotas, {}, write)
        return
    with pytest.raises(Refused) as caught:
        charged(quotas, {}, write)
    assert str(caught.value) == words


def test_a_change_that_uses_no_more_needs_no_quota():
    claim = {"metadata": {"name": "a"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    limits = (Limited("", "persistentvolumeclaims", ("storage",)),)
    assert charged([], {}, Write("", "persistentvolumeclaims", claim, claim, NOW, limits)) == {}
    larger = claim | {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(Refused, match=r"insufficient quota to consume: requests\.storage"):
        charged([], {}, Write("", "persistentvolumeclaims", larger, claim, NOW, limits))


def test_any_resource_can_be_counted():
    limited = quota({"count/widgets.example.com": "1"}, {"count/widgets.example.com": "1"})
    with pytest.raises(Refused, match=r"exceeded quota: q, requested: count/widgets\.example\.com=1"):
        charged([limited], {}, create({"metadata": {}}, "widgets", "example.com"))
    assert measure("", "events") is None


AMOUNTS = st.sampled_from(["0", "1", "100m", "250m", "1500m", "2", "1Gi", "512Mi", "1G", "3k"])


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=12), AMOUNTS)
def test_usage_is_the_exact_sum_of_what_was_let_in_and_never_more_than_the_limit(wanted, most):
    limited, used, total = quota({"requests.cpu": most, "pods": "6"}), {}, Fraction(0)
    count = 0
    for first, second in wanted:
        try:
            used |= charged([limited], used, create(pod(requests(cpu=first), requests(cpu=second))))
        except Refused:
            assert count == 6 or total + parse(first) + parse(second) > parse(most)
            continue
        count, total = count + 1, total + parse(first) + parse(second)
        assert parse(used["q"]["requests.cpu"]) == total <= parse(most)
        assert used["q"]["pods"] == str(count)
