"""The built-in admission plugins, each by what it changes and refuses."""

import re

import pytest
from support.policy_world import World, thing

from timonier.api.errors import Forbidden, NotFound
from timonier.api.kinds import find
from timonier.apiserver.admission.escalation import EscalationCheck
from timonier.apiserver.admission.limit_ranger import LimitRanger
from timonier.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from timonier.apiserver.admission.priority import Priority
from timonier.apiserver.admission.runtime_class import RuntimeClass
from timonier.apiserver.admission.service_account import MOUNT_PATH, ServiceAccount
from timonier.apiserver.admission.tolerations import DefaultTolerationSeconds, TaintNodesByCondition
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.policy import objects
from timonier.apiserver.request import Attributes, User
from timonier.kit.clock import FakeClock

ANN = User("ann", groups=("system:authenticated",))


def pod(name="web", **spec):
    return thing("v1/Pod", name, "ns", spec={"containers": [{"name": "c", "image": "i"}]} | spec)


def asked(obj, operation="CREATE", *, user=ANN):
    row = find(obj["apiVersion"], obj["kind"])
    return Attributes(user, operation.lower(), group=row.group, version=row.version, resource=row.plural, kind=row,
                      namespace="ns" if row.namespaced else "", name=obj["metadata"]["name"], operation=operation)


async def admit(plugin, obj, old=None, **rest):
    attributes = asked(obj, **rest)
    await plugin.admit(attributes, obj, old)
    await plugin.validate(attributes, obj, old)
    return obj


def namespace(name="ns", **rest):
    return thing("v1/Namespace", name, **rest)


async def test_nothing_is_created_in_a_namespace_that_is_missing():
    with pytest.raises(NotFound, match=r'^namespaces "ns" not found$'):
        await admit(NamespaceLifecycle(World()), pod())


async def test_nothing_is_created_in_a_namespace_that_is_going():
    plugin = NamespaceLifecycle(World(namespace(status={"phase": "Terminating"})))
    with pytest.raises(Forbidden) as caught:
        await admit(plugin, pod())
    assert caught.value.message == \
        'pods "web" is forbidden: unable to create new content in namespace ns because it is being terminated'
    assert caught.value.details()["causes"] == [{
        "reason": "NamespaceTerminating", "message": "namespace ns is being terminated", "field": "metadata.namespace"}]
    await admit(plugin, pod(), pod(), operation="UPDATE")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_never_go(name):
    deleting = asked(namespace(name), "DELETE")
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await NamespaceLifecycle(World()).admit(deleting, None, None)
    await NamespaceLifecycle(World()).admit(asked(namespace("mine"), "DELETE"), None, None)


def account(name="default", **rest):
    return thing("v1/ServiceAccount", name, "ns", **rest)


async def test_a_pod_acts_as_the_default_account_and_finds_its_token():
    made = await admit(ServiceAccount(World(account())), pod(initContainers=[{"name": "a"}]))
    spec = made["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert re.fullmatch("kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}", volume["name"])
    token, authority, place = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {"expirationSeconds": 3607, "path": "token"}
    assert authority["configMap"]["name"] == "kube-root-ca.crt"
    assert place["downwardAPI"]["items"][0]["path"] == "namespace"
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}]


@pytest.mark.parametrize(("of_pod", "of_account", "mounted"), [
    (None, None, True), (None, False, False), (True, False, True), (False, True, False), (False, None, False)])
async def test_the_pods_word_on_mounting_comes_before_the_accounts(of_pod, of_account, mounted):
    given = pod() if of_pod is None else pod(automountServiceAccountToken=of_pod)
    holder = account() if of_account is None else account(automountServiceAccountToken=of_account)
    assert bool((await admit(ServiceAccount(World(holder)), given))["spec"].get("volumes")) is mounted


async def test_a_container_with_something_at_that_path_is_left_alone():
    mount = {"name": "mine", "mountPath": MOUNT_PATH}
    made = await admit(ServiceAccount(World(account())), pod(containers=[{"name": "c", "volumeMounts": [mount]}]))
    assert made["spec"]["containers"][0]["volumeMounts"] == [mount]
    assert "volumes" not in made["spec"]


async def test_pull_secrets_come_from_the_account_unless_the_pod_has_its_own():
    plugin = ServiceAccount(World(account(imagePullSecrets=[{"name": "theirs"}])))
    assert (await admit(plugin, pod()))["spec"]["imagePullSecrets"] == [{"name": "theirs"}]
    own = [{"name": "own"}]
    assert (await admit(plugin, pod(imagePullSecrets=own)))["spec"]["imagePullSecrets"] == own


async def test_a_pod_of_no_account_is_refused():
    with pytest.raises(Forbidden) as caught:
        await admit(ServiceAccount(World()), pod(serviceAccountName="gone"))
    assert caught.value.message == \
        'pods "web" is forbidden: error looking up service account ns/gone: serviceaccount "gone" not found'


async def test_the_default_account_of_a_new_namespace_is_waited_for():
    class Soon(FakeClock):
        async def sleep(self, seconds):
            world.add(account())

    world = World()
    made = await admit(ServiceAccount(world, Soon()), pod())
    assert made["spec"]["serviceAccountName"] == "default"


def priority_class(name, value, **rest):
    return thing("scheduling.k8s.io/v1/PriorityClass", name, value=value, **rest)


async def test_a_priority_class_becomes_a_number():
    plugin = Priority(World(priority_class("high", 1000, preemptionPolicy="Never")))
    spec = (await admit(plugin, pod(priorityClassName="high")))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    assert (await admit(plugin, pod()))["spec"]["priority"] == 0


async def test_the_default_class_is_taken_where_none_is_named():
    spec = (await admit(Priority(World(priority_class("normal", 10, globalDefault=True))), pod()))["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("normal", 10)


@pytest.mark.parametrize(("spec", "message"), [
    ({"priorityClassName": "gone"}, "no PriorityClass with name gone was found"),
    ({"priorityClassName": "high", "priority": 7}, "the integer value of priority (7) must not be provided in pod "
     "spec; priority admission controller computed 1000 from the given PriorityClass name")])
async def test_priorities_are_not_chosen_freely(spec, message):
    with pytest.raises(Forbidden) as caught:
        await admit(Priority(World(priority_class("high", 1000))), pod(**spec))
    assert caught.value.message == f'pods "web" is forbidden: {message}'


async def test_only_one_class_is_the_default():
    plugin = Priority(World(priority_class("a", 1, globalDefault=True)))
    with pytest.raises(Forbidden, match="PriorityClass a is already marked as default"):
        await admit(plugin, priority_class("b", 2, globalDefault=True))
    await admit(plugin, priority_class("a", 1, globalDefault=True), operation="UPDATE")


async def test_pods_leave_dead_nodes_after_five_minutes_unless_they_say_otherwise():
    own = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "tolerationSeconds": 5}
    made = await admit(DefaultTolerationSeconds(), pod(tolerations=[own]))
    assert made["spec"]["tolerations"] == [own, {
        "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
    everything = [{"operator": "Exists"}]
    assert (await admit(DefaultTolerationSeconds(), pod(tolerations=everything)))["spec"]["tolerations"] == everything


async def test_a_new_node_takes_no_pods_yet():
    made = await admit(TaintNodesByCondition(), thing("v1/Node", "n1"))
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def limits(**item):
    return thing("v1/LimitRange", "limits", "ns", spec={"limits": [item]})


def container(**resources):
    return {"name": "c", "image": "i", "resources": resources}


async def test_limit_ranges_fill_in_what_containers_leave_open():
    plugin = LimitRanger(World(limits(type="Container", default={"cpu": "500m", "memory": "1Gi"},
                                      defaultRequest={"cpu": "100m"})))
    made = await admit(plugin, pod(containers=[container(limits={"cpu": "2"})]))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == \
        "LimitRanger plugin set: cpu request for container c; memory limit for container c"


@pytest.mark.parametrize(("item", "resources", "message"), [
    ({"min": {"cpu": "100m"}}, {"requests": {"cpu": "50m"}},
     "minimum cpu usage per Container is 100m, but request is 50m"),
    ({"min": {"cpu": "100m"}}, {}, "minimum cpu usage per Container is 100m.  No request is specified"),
    ({"max": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}},
     "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
    ({"max": {"memory": "1Gi"}}, {}, "maximum memory usage per Container is 1Gi.  No limit is specified"),
    ({"maxLimitRequestRatio": {"cpu": "2"}}, {"limits": {"cpu": "4"}, "requests": {"cpu": "1"}},
     "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000"),
    ({"min": {"cpu": "100m"}, "max": {"cpu": "1"}}, {"limits": {"cpu": "2"}, "requests": {"cpu": "10m"}},
     "[minimum cpu usage per Container is 100m, but request is 10m, maximum cpu usage per Container is 1, "
     "but limit is 2]"),
])
async def test_limit_ranges_refuse_what_is_out_of_bounds(item, resources, message):
    plugin = LimitRanger(World(limits(type="Container", **item)))
    with pytest.raises(Forbidden) as caught:
        await admit(plugin, pod(containers=[container(**resources)]))
    assert caught.value.message == f'pods "web" is forbidden: {message}'


async def test_the_whole_pod_is_bounded_by_the_sum_of_its_containers():
    plugin = LimitRanger(World(limits(type="Pod", max={"cpu": "3"})))
    two = [container(limits={"cpu": "2"}) | {"name": name} for name in "ab"]
    with pytest.raises(Forbidden, match="maximum cpu usage per Pod is 3, but limit is 4"):
        await admit(plugin, pod(containers=two))
    await admit(plugin, pod(containers=two[:1], initContainers=[container(limits={"cpu": "3"})]))


async def test_claims_are_bounded_too():
    plugin = LimitRanger(World(limits(type="PersistentVolumeClaim", max={"storage": "1Gi"})))
    claim = thing("v1/PersistentVolumeClaim", "data", "ns", spec={"resources": {"requests": {"storage": "2Gi"}}})
    with pytest.raises(Forbidden, match="maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"):
        await admit(plugin, claim)


def runtime(name, **rest):
    return thing("node.k8s.io/v1/RuntimeClass", name, handler="h", **rest)


async def test_a_runtime_class_must_exist_and_gives_its_overhead_and_place():
    plugin = RuntimeClass(World(runtime("vm", overhead={"podFixed": {"memory": "100Mi"}}, scheduling={
        "nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]})))
    spec = (await admit(plugin, pod(runtimeClassName="vm")))["spec"]
    assert spec["overhead"] == {"memory": "100Mi"}
    assert spec["nodeSelector"] == {"vm": "yes"}
    assert spec["tolerations"] == [{"key": "vm", "operator": "Exists"}]
    with pytest.raises(Forbidden, match='pod rejected: RuntimeClass "gone" not found'):
        await admit(plugin, pod(runtimeClassName="gone"))
    with pytest.raises(Forbidden, match="Pod Overhead set without corresponding RuntimeClass"):
        await admit(plugin, pod(overhead={"cpu": "1"}))
    with pytest.raises(Forbidden, match="conflict"):
        await admit(plugin, pod(runtimeClassName="vm", nodeSelector={"vm": "no"}))


V1 = "rbac.authorization.k8s.io/v1"
SECRETS = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}


def grant(name, role, kind="ClusterRole", space="ns"):
    return thing(f"{V1}/RoleBinding", name, space, roleRef={"kind": kind, "name": role},
                 subjects=[{"kind": "User", "name": "ann"}])


@pytest.fixture
def guard():
    world = World(*objects(), grant("b", "admin"), namespace())
    return EscalationCheck(Authoriser(world)), world


async def test_nobody_writes_a_role_with_rights_that_they_lack(guard):
    plugin, world = guard
    await admit(plugin, thing(f"{V1}/Role", "ok", "ns", rules=[PODS]))
    nodes = PODS | {"resources": ["nodes"]}
    with pytest.raises(Forbidden) as caught:
        await admit(plugin, thing(f"{V1}/Role", "more", "ns", rules=[PODS, nodes]))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "ann" (groups=["system:authenticated"]) is '
        'attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}')
    world.add(thing(f"{V1}/ClusterRole", "escalator", rules=[
        {"verbs": ["escalate"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}]))
    world.add(grant("c", "escalator"))
    await admit(plugin, thing(f"{V1}/Role", "more", "ns", rules=[PODS, nodes]))


async def test_nobody_binds_a_role_with_rights_that_they_lack(guard):
    plugin, world = guard
    await admit(plugin, grant("ok", "view"))
    with pytest.raises(Forbidden, match="not currently held"):
        await admit(plugin, grant("more", "cluster-admin"))
    with pytest.raises(NotFound, match='"gone" not found'):
        await admit(plugin, grant("none", "gone"))
    world.add(thing(f"{V1}/ClusterRole", "binder", rules=[{
        "verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
        "resourceNames": ["cluster-admin"]}]))
    world.add(grant("c", "binder"))
    await admit(plugin, grant("more", "cluster-admin"))


async def test_unchanged_rights_may_be_written_by_who_could_not_give_them(guard):
    plugin, _ = guard
    old = grant("b", "cluster-admin")
    await admit(plugin, {**old, "metadata": old["metadata"] | {"labels": {"a": "b"}}}, old, operation="UPDATE")


async def test_masters_give_what_they_like(guard):
    plugin, _ = guard
    await admit(plugin, grant("x", "cluster-admin"), user=User("root", groups=("system:masters",)))
