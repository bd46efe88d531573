"""RBAC: decisions agree with reading every binding and rule, one after the other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.policy_world import World, judged, thing

from timonier.api.errors import Forbidden
from timonier.apiserver.auth.aggregation import gathered, outdated
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.apiserver.auth.controller_roles import CONTROLLERS
from timonier.apiserver.auth.decision import refusal
from timonier.apiserver.auth.policy import objects
from timonier.apiserver.auth.rbac import Index, Rbac
from timonier.apiserver.request import Attributes, User

V1 = "rbac.authorization.k8s.io/v1"
NAMES = st.sampled_from(["a", "b"])
SUBJECTS = st.one_of(
    st.builds(lambda kind, name: {"kind": kind, "name": name}, st.sampled_from(["User", "Group"]), NAMES),
    st.builds(lambda name: {"kind": "ServiceAccount", "name": name, "namespace": "ns1"}, NAMES))


def some(*values):
    return st.lists(st.sampled_from(values), max_size=2)


RULES = st.one_of(
    st.fixed_dictionaries({"verbs": some("get", "list", "*"), "apiGroups": some("", "apps", "*"),
                           "resources": some("pods", "pods/log", "*", "*/log"), "resourceNames": some("x", "y")}),
    st.fixed_dictionaries({"verbs": some("get", "*"), "nonResourceURLs": some("/healthz", "/health*", "*", "/api/*")}))
ROLES = st.builds(lambda name, space, rules: thing(f"{V1}/{'Role' if space else 'ClusterRole'}", name, space,
                                                   rules=rules),
                  NAMES, st.sampled_from(["", "ns1", "ns2"]), st.lists(RULES, max_size=3))


@st.composite
def bindings(draw):
    space = draw(st.sampled_from(["", "ns1", "ns2"]))
    kind = draw(st.sampled_from(["Role", "ClusterRole"] if space else ["ClusterRole"]))
    return thing(f"{V1}/{'RoleBinding' if space else 'ClusterRoleBinding'}", draw(NAMES), space,
                 roleRef={"kind": kind, "name": draw(NAMES)}, subjects=draw(st.lists(SUBJECTS, max_size=2)))


USERS = st.builds(lambda name, groups: User(name, groups=tuple(groups)),
                  st.sampled_from(["a", "b", "system:serviceaccount:ns1:a"]), some("a", "b"))
REQUESTS = st.one_of(
    st.builds(lambda user, verb, group, sub, space, name: Attributes(
        user, verb, group=group, resource="pods", subresource=sub, namespace=space, name=name),
        USERS, st.sampled_from(["get", "list", "delete"]), st.sampled_from(["", "apps", "batch"]),
        st.sampled_from(["", "log", "exec"]), st.sampled_from(["", "ns1", "ns2"]), st.sampled_from(["", "x", "z"])),
    st.builds(lambda user, path: Attributes(user, "get", is_resource=False, path=path), USERS,
              st.sampled_from(["/healthz", "/healthz/ping", "/api/v1", "/"])))


def slowly(objs, asked):
    """Every binding, every subject, every rule: what the documentation says, word for word."""
    roles = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in objs if "rules" in o}
    latest = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in objs if "roleRef" in o}
    for binding in latest.values():
        space = binding["metadata"].get("namespace", "")
        if space and space != asked.namespace:
            continue
        if not any(is_subject(subject, asked.user) for subject in binding["subjects"]):
            continue
        ref = binding["roleRef"]
        role = roles.get((ref["kind"], space if ref["kind"] == "Role" else "", ref["name"]))
        if role and any(allows(rule, asked) for rule in role["rules"]):
            return True
    return False


def is_subject(subject, user):
    match subject["kind"]:
        case "User":
            return subject["name"] == user.name
        case "Group":
            return subject["name"] in user.groups
    return user.name == f"system:serviceaccount:{subject['namespace']}:{subject['name']}"


def allows(rule, asked):
    if not {asked.verb, "*"} & set(rule["verbs"]):
        return False
    if not asked.is_resource:
        return any(url in ("*", asked.path) or (url[-1] == "*" and asked.path.startswith(url[:-1]))
                   for url in rule.get("nonResourceURLs", []))
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    wanted = {full, "*"} | ({f"*/{asked.subresource}"} if asked.subresource else set())
    return bool({asked.group, "*"} & set(rule.get("apiGroups", [])) and wanted & set(rule.get("resources", []))
                and (not rule.get("resourceNames") or asked.name in rule["resourceNames"]))


@given(st.lists(st.one_of(ROLES, bindings()), max_size=8), REQUESTS)
def test_decisions_agree_with_reading_everything(objs, asked):
    index = Index()
    for obj in objs:
        index.put(obj)
    assert judged(Rbac(index), asked).allowed == slowly(objs, asked)


@given(st.lists(st.one_of(ROLES, bindings()), max_size=8), REQUESTS, st.data())
def test_what_was_removed_gives_no_rights(objs, asked, data):
    index = Index()
    for obj in objs:
        index.put(obj)
    gone = data.draw(st.lists(st.sampled_from(objs), max_size=4)) if objs else []
    for obj in gone:
        index.remove(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    keys = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in gone}
    left = [o for o in objs if (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) not in keys]
    assert judged(Rbac(index), asked).allowed == slowly(left, asked)
    assert not (not left and index.bound)


ANN = User("ann", groups=("dev", "system:authenticated"))


@pytest.mark.parametrize(("asked", "message"), [
    (Attributes(ANN, "list", resource="pods", namespace="default"),
     'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"'),
    (Attributes(ANN, "get", group="apps", resource="deployments", namespace="x", name="web"),
     'deployments.apps "web" is forbidden: User "ann" cannot get resource "deployments" in API group "apps" in the '
     'namespace "x"'),
    (Attributes(ANN, "create", resource="pods", subresource="exec", namespace="x", name="web"),
     'pods "web" is forbidden: User "ann" cannot create resource "pods/exec" in API group "" in the namespace "x"'),
    (Attributes(ANN, "list", resource="nodes"),
     'nodes is forbidden: User "ann" cannot list resource "nodes" in API group "" at the cluster scope'),
    (Attributes(ANN, "get", is_resource=False, path="/metrics"),
     'forbidden: User "ann" cannot get path "/metrics"')])
def test_refusals_read_as_kubernetes_writes_them(asked, message):
    assert refusal(asked).message == message


async def test_a_binding_to_a_missing_role_says_so():
    world = World(thing(f"{V1}/RoleBinding", "b", "ns", roleRef={"kind": "Role", "name": "gone"},
                        subjects=[{"kind": "User", "name": "ann"}]))
    with pytest.raises(Forbidden, match=r'RBAC: role\.rbac\.authorization\.k8s\.io "gone" not found'):
        await Authoriser(world).demand(Attributes(ANN, "get", resource="pods", namespace="ns"))


async def test_the_authoriser_sees_changes_at_once():
    world = World(thing(f"{V1}/ClusterRole", "r", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]))
    authoriser, asked = Authoriser(world), Attributes(ANN, "get", resource="pods", namespace="ns")
    assert not (judged(authoriser, asked)).allowed
    world.add(thing(f"{V1}/ClusterRoleBinding", "b", roleRef={"kind": "ClusterRole", "name": "r"},
                    subjects=[{"kind": "Group", "name": "dev"}]))
    assert (judged(authoriser, asked)).allowed
    world.remove(f"{V1}/ClusterRoleBinding", "", "b")
    assert not (judged(authoriser, asked)).allowed


@pytest.fixture(scope="module")
def defaults():
    return World(*objects())


def able(defaults, user, verb, resource, *, group="", namespace="", name="", subresource="", groups=()):
    asked = Attributes(User(user, groups=(*groups, "system:authenticated")), verb, group=group, resource=resource,
                       namespace=namespace, name=name, subresource=subresource)
    return judged(Authoriser(defaults), asked).allowed


@pytest.mark.parametrize(("user", "verb", "resource", "expected"), [
    ("system:kube-scheduler", "create", "pods/binding", True), ("system:kube-scheduler", "get", "secrets", False),
    ("system:kube-scheduler", "patch", "pods/status", True), ("system:kube-scheduler", "create", "pods", False),
    ("system:kube-controller-manager", "create", "pods", True),
    ("system:kube-controller-manager", "update", "replicasets.apps/status", True),
    ("system:kube-controller-manager", "create", "clusterrolebindings.rbac.authorization.k8s.io", False),
    ("system:kube-controller-manager", "create", "pods/exec", False),
    ("system:kube-proxy", "list", "endpointslices.discovery.k8s.io", True), ("system:kube-proxy", "get", "pods", False),
    ("kube-apiserver-kubelet-client", "create", "nodes/proxy", True),
    ("kube-apiserver-kubelet-client", "get", "secrets", False),
    ("somebody", "create", "selfsubjectaccessreviews.authorization.k8s.io", True), ("somebody", "get", "pods", False)])
def test_components_have_the_rights_that_they_need_and_no_more(defaults, user, verb, resource, expected):
    whole, _, sub = resource.partition("/")
    name, _, group = whole.partition(".")
    assert able(defaults, user, verb, name, group=group, subresource=sub, namespace="default", name="x") == expected


@pytest.mark.parametrize(("path", "expected"), [("/healthz", True), ("/version", True), ("/api", False),
                                                ("/openapi/v2", False), ("/metrics", False)])
def test_nobody_in_particular_sees_health_and_version_alone(defaults, path, expected):
    nobody = User("system:anonymous", groups=("system:unauthenticated",))
    assert judged(Authoriser(defaults), Attributes(nobody, "get", is_resource=False, path=path)).allowed == expected
    assert not judged(Authoriser(defaults), Attributes(nobody, "list", resource="pods")).allowed


def test_masters_need_no_policy():
    asked = Attributes(User("root", groups=("system:masters",)), "delete", resource="nodes", name="n")
    assert judged(Authoriser(World()), asked).allowed


def test_every_controller_has_a_role_bound_to_its_account(defaults):
    for name in CONTROLLERS:
        authoriser = Authoriser(defaults)
        authoriser.refresh()
        assert list(authoriser.index.rules_of(User(f"system:serviceaccount:kube-system:{name}"), ""))


def test_default_aggregated_roles_are_what_aggregation_would_make():
    assert outdated(obj for obj in objects() if obj["kind"] == "ClusterRole") == []


def test_a_labelled_role_is_gathered_into_those_that_select_it():
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rule = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}
    roles = [obj for obj in objects() if obj["kind"] == "ClusterRole"]
    roles.append(thing(f"{V1}/ClusterRole", "things", metadata={"labels": label}, rules=[rule]))
    assert [role["metadata"]["name"] for role in outdated(roles)] == ["view"]
    assert rule in gathered(next(role for role in roles if role["metadata"]["name"] == "view"), roles)


async def test_bootstrap_adds_what_is_missing_and_takes_nothing_away():
    world = World()
    await bootstrap(world)
    assert len(world.objects) == len(list(objects()))
    revision = world.revision
    await bootstrap(world)
    assert world.revision == revision
    key = (f"{V1}/ClusterRole", "", "system:basic-user")
    extra = {"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}
    world.add(world.objects[key] | {"rules": [extra]})
    await bootstrap(world)
    assert extra in world.objects[key]["rules"]
    assert len(world.objects[key]["rules"]) == 3


async def test_bootstrap_carries_new_roles_into_aggregated_ones():
    world = World()
    await bootstrap(world)
    world.add(thing(f"{V1}/ClusterRole", "a-thing", metadata={"labels": {
        "rbac.authorization.k8s.io/aggregate-to-view": "true"}}, rules=[
            {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}]))
    await bootstrap(world)
    for name in ("view", "edit", "admin"):
        rules = world.objects[f"{V1}/ClusterRole", "", name]["rules"]
        assert any(rule["apiGroups"] == ["example.com"] for rule in rules), name


def test_a_decision_keeps_to_its_namespace(defaults):
    world = World(*objects(), thing(f"{V1}/RoleBinding", "b", "ns", roleRef={"kind": "ClusterRole", "name": "view"},
                                    subjects=[{"kind": "User", "name": "ann"}]))
    asked = Attributes(ANN, "list", resource="pods", namespace="ns")
    assert judged(Authoriser(world), asked).allowed
    assert not judged(Authoriser(world), replace(asked, namespace="other")).allowed
    assert not judged(Authoriser(world), replace(asked, namespace="")).allowed
    assert not judged(Authoriser(world), replace(asked, resource="secrets")).allowed
