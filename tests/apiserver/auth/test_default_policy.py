"""The roles and bindings of a new cluster: Kubernetes's own, and what starting again makes of changes to them."""

import pytest
from support.policy_world import World

from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.apiserver.auth.controller_roles import CONTROLLERS
from timonier.apiserver.auth.policy import objects

V1 = "rbac.authorization.k8s.io/v1"
USERS_OF_ROLES = {
    "cluster-admin": "system:masters", "system:basic-user": "system:authenticated",
    "system:cluster-trust-bundle-discovery": "system:serviceaccounts", "system:discovery": "system:authenticated",
    "system:kube-controller-manager": "system:kube-controller-manager", "system:kube-dns": "kube-dns",
    "system:kube-scheduler": "system:kube-scheduler", "system:monitoring": "system:monitoring", "system:node": "",
    "system:node-proxier": "system:kube-proxy",
    "system:public-info-viewer": "system:authenticated system:unauthenticated",
    "system:service-account-issuer-discovery": "system:serviceaccounts",
    "system:volume-scheduler": "system:kube-scheduler"}
"""Whom Kubernetes's ClusterRoleBindings bind, but for those of controllers."""
UNBOUND = {
    "admin", "edit", "view", "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
    "system:auth-delegator", "system:heapster", "system:kube-aggregator", "system:kubelet-api-admin",
    "system:node-bootstrapper", "system:node-problem-detector", "system:persistent-volume-provisioner",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    "system:certificates.k8s.io:kube-apiserver-client-approver",
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
    "system:certificates.k8s.io:kubelet-serving-approver", "system:certificates.k8s.io:legacy-unknown-approver"}


@pytest.fixture(scope="module")
def defaults():
    return {(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in objects()}


def names(defaults, kind):
    return {name for found, _, name in defaults if found == kind and not name.startswith("timonier:")}


def test_the_roles_and_whom_they_are_bound_to_are_those_of_kubernetes(defaults):
    controllers = {f"system:controller:{name}" for name in CONTROLLERS}
    assert names(defaults, "ClusterRole") == {*USERS_OF_ROLES, *UNBOUND, *controllers}
    assert names(defaults, "ClusterRoleBinding") == {*USERS_OF_ROLES, *controllers}
    for name, users in USERS_OF_ROLES.items():
        found = defaults["ClusterRoleBinding", "", name]
        assert [subject["name"] for subject in found.get("subjects", ())] == users.split()
        assert found["roleRef"]["name"] == name


def test_every_default_object_is_marked_as_one_and_its_rules_are_in_order(defaults):
    for obj in defaults.values():
        assert obj["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
        assert obj["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}
        for rule in obj.get("rules", ()):
            assert all(values == sorted(values) for values in rule.values())


def rules(defaults, name):
    return [(" ".join(rule["verbs"]), ",".join(rule.get("apiGroups", ())), " ".join(rule.get("resources", ())))
            for rule in defaults["ClusterRole", "", name]["rules"]]


def test_rules_read_as_kubernetes_writes_them(defaults):
    assert rules(defaults, "system:controller:disruption-controller") == [
        ("get list watch", "apps,extensions", "deployments"), ("get list watch", "apps,extensions", "replicasets"),
        ("get list watch", "", "replicationcontrollers"), ("get list watch", "policy", "poddisruptionbudgets"),
        ("get list watch", "apps", "statefulsets"), ("update", "policy", "poddisruptionbudgets/status"),
        ("patch update", "", "pods/status"), ("get", "*", "*/scale"),
        ("create patch update", ",events.k8s.io", "events")]
    assert rules(defaults, "system:auth-delegator") == [
        ("create", "authentication.k8s.io", "tokenreviews"),
        ("create", "authorization.k8s.io", "subjectaccessreviews")]
    assert rules(defaults, "system:node")[-4:] == [
        ("deletecollection", "resource.k8s.io", "resourceslices"),
        ("get list watch", "certificates.k8s.io", "clustertrustbundles"), ("get", "", "serviceaccounts"),
        ("create get list watch", "certificates.k8s.io", "podcertificaterequests")]


async def changed(kind, name, **parts):
    """A world that was bootstrapped, changed, and bootstrapped again; and its object."""
    world = World()
    await bootstrap(world)
    key = (f"{V1}/{kind}", "", name)
    world.add(world.objects[key] | parts)
    await bootstrap(world)
    return world.objects[key]


async def test_starting_again_mends_labels_and_keeps_those_of_others():
    metadata = {"name": "system:basic-user", "labels": {"mine": "yes"}, "annotations": {}}
    labels = (await changed("ClusterRole", "system:basic-user", metadata=metadata))["metadata"]["labels"]
    assert labels == {"mine": "yes", "kubernetes.io/bootstrapping": "rbac-defaults"}


async def test_starting_again_lets_alone_what_is_not_to_be_updated():
    metadata = {"name": "system:basic-user", "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}
    found = await changed("ClusterRole", "system:basic-user", metadata=metadata, rules=[])
    assert found["rules"] == []


async def test_starting_again_binds_the_right_role_again():
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    found = await changed("ClusterRoleBinding", "system:basic-user", roleRef=reference)
    assert found["roleRef"]["name"] == "system:basic-user"


async def test_starting_again_adds_the_selector_of_an_aggregated_role():
    found = await changed("ClusterRole", "view", aggregationRule={"clusterRoleSelectors": [
        {"matchLabels": {"mine": "yes"}}]})
    assert found["aggregationRule"]["clusterRoleSelectors"] == [
        {"matchLabels": {"mine": "yes"}}, {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}]
