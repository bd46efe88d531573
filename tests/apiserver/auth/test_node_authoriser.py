"""A node reads what its pods need, and nothing else."""

import pytest
from support.policy_world import World, judged, thing

from timonier.apiserver.auth.node import NodeAuthoriser
from timonier.apiserver.request import Attributes, User

N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))


def pod(name, node, **spec):
    return thing("v1/Pod", name, "ns", spec={"nodeName": node, "serviceAccountName": "sa", "containers": [], **spec})


WORLD = World(
    pod("mine", "n1", imagePullSecrets=[{"name": "pull"}],
        volumes=[{"name": "a", "secret": {"secretName": "vol"}}, {"name": "b", "configMap": {"name": "conf"}},
                 {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "data", "ephemeral": {}},
                 {"name": "d", "projected": {"sources": [{"secret": {"name": "proj"}},
                                                         {"configMap": {"name": "root"}}]}},
                 {"name": "e", "csi": {"nodePublishSecretRef": {"name": "csi"}}}, {"name": "f", "emptyDir": {}}],
        initContainers=[{"envFrom": [{"secretRef": {"name": "from"}}]}],
        containers=[{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}}, {"value": "x"}],
                     "envFrom": [{"configMapRef": {"name": "many"}}]}]),
    pod("theirs", "n2", serviceAccountName="other", volumes=[{"name": "a", "secret": {"secretName": "foreign"}}]),
    thing("v1/PersistentVolume", "pv2", spec={"claimRef": {"namespace": "ns", "name": "other"}}),
    thing("storage.k8s.io/v1/VolumeAttachment", "va1", spec={"nodeName": "n1"}),
    thing("storage.k8s.io/v1/VolumeAttachment", "va2", spec={"nodeName": "n2"}),
    thing("resource.k8s.io/v1/ResourceSlice", "s1", spec={"nodeName": "n1"}),
    thing("resource.k8s.io/v1/ResourceSlice", "s2", spec={"nodeName": "n2"}),
    thing("certificates.k8s.io/v1/PodCertificateRequest", "r1", "ns", spec={"nodeName": "n1"}),
    pod("claiming", "n1", resourceClaims=[{"name": "a", "resourceClaimName": "named"}, {"name": "b"}]) | {
        "status": {"resourceClaimStatuses": [{"name": "b", "resourceClaimName": "made"}],
                   "extendedResourceClaimStatus": {"resourceClaimName": "extended"}}},
    pod("static", "n1", volumes=[{"secret": {"secretName": "of-a-mirror"}}]) | {"metadata": {
        "name": "static", "namespace": "ns", "annotations": {"kubernetes.io/config.mirror": "x"}}},
    pod("nowhere", "", serviceAccountName="later", volumes=[{"name": "a", "secret": {"secretName": "unbound"}}]),
    thing("v1/PersistentVolume", "pv1", spec={
        "claimRef": {"namespace": "ns", "name": "claim"},
        "csi": {"nodePublishSecretRef": {"name": "mount", "namespace": "storage"},
                "controllerPublishSecretRef": {"name": "attach", "namespace": "storage"}}}))


def may(verb, resource, name="", *, namespace="ns", group="", subresource="", fields=None, user=N1):
    asked = Attributes(user, verb, group=group, resource=resource, subresource=subresource, namespace=namespace,
                       name=name, fields=fields or {})
    return judged(NodeAuthoriser(WORLD), asked).allowed


@pytest.mark.parametrize("name", ["pull", "vol", "proj", "csi", "from", "env"])
def test_a_node_reads_the_secrets_of_its_pods(name):
    assert may("get", "secrets", name)
    assert may("watch", "secrets", name)
    assert not may("update", "secrets", name)
    assert not may("get", "secrets", name, namespace="elsewhere")


@pytest.mark.parametrize("name", ["foreign", "unbound", "nothing", ""])
def test_a_node_reads_no_other_secrets(name):
    assert not may("get", "secrets", name)
    assert not may("list", "secrets", name)


def test_config_maps_claims_and_volumes_follow_the_pods():
    assert all(may("get", "configmaps", name) for name in ("conf", "root", "many"))
    assert not may("get", "configmaps", "vol")
    assert may("get", "persistentvolumeclaims", "claim")
    assert may("get", "persistentvolumeclaims", "mine-data")
    assert may("get", "persistentvolumes", "pv1", namespace="")
    assert not may("get", "persistentvolumes", "pv2", namespace="")


def test_a_node_gets_tokens_for_the_accounts_of_its_pods_alone():
    assert may("create", "serviceaccounts", "sa", subresource="token")
    assert not may("create", "serviceaccounts", "other", subresource="token")
    assert not may("delete", "serviceaccounts", "sa")


def test_a_node_lists_and_reads_its_own_pods():
    assert may("list", "pods", namespace="", fields={"spec.nodeName": "n1"})
    assert not may("list", "pods", namespace="", fields={"spec.nodeName": "n2"})
    assert not may("list", "pods", namespace="")
    assert may("get", "pods", "mine")
    assert not may("get", "pods", "theirs")
    assert may("patch", "pods", "mine", subresource="status")
    assert not may("create", "pods", "mine", subresource="exec")


def test_a_node_renews_its_own_lease_and_changes_its_own_node():
    lease = {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}
    assert may("update", "leases", "n1", **lease)
    assert may("create", "leases", "", **lease)
    assert not may("update", "leases", "n2", **lease)
    assert not may("update", "leases", "n1", group="coordination.k8s.io", namespace="kube-system")
    assert may("patch", "nodes", "n1", namespace="", subresource="status")
    assert may("get", "nodes", "n1", namespace="")
    assert not may("get", "nodes", "n2", namespace="")
    assert not may("list", "nodes", namespace="")
    assert not may("delete", "nodes", "n1", namespace="")


def test_only_members_of_the_nodes_group_are_nodes():
    assert not may("get", "secrets", "vol", user=User("system:node:n1", groups=("system:authenticated",)))


def test_what_a_deleted_pod_needed_is_closed_again():
    world = World(pod("a", "n1", volumes=[{"secret": {"secretName": "s"}}]),
                  pod("b", "n1", volumes=[{"secret": {"secretName": "s"}}]))
    authoriser = NodeAuthoriser(world)
    asked = Attributes(N1, "get", resource="secrets", namespace="ns", name="s")
    assert judged(authoriser, asked).allowed
    world.remove("v1/Pod", "ns", "a")
    assert judged(authoriser, asked).allowed
    world.remove("v1/Pod", "ns", "b")
    refused = judged(authoriser, asked)
    assert not refused.allowed
    assert "no relationship found between node 'n1' and this object" in refused.reason


def test_a_node_reads_the_secrets_that_mount_the_volumes_of_its_pods():
    assert may("get", "secrets", "mount", namespace="storage")
    assert not may("get", "secrets", "attach", namespace="storage")


def test_a_pod_that_only_shows_a_static_one_opens_nothing():
    assert may("get", "pods", "static")
    assert not may("get", "secrets", "of-a-mirror")


@pytest.mark.parametrize(("name", "allowed"), [("named", True), ("made", True), ("extended", True), ("b", False)])
def test_resource_claims_follow_the_pods(name, allowed):
    assert may("get", "resourceclaims", name, group="resource.k8s.io") is allowed


def test_attachments_slices_and_requests_say_themselves_whose_they_are():
    assert may("get", "volumeattachments", "va1", namespace="", group="storage.k8s.io")
    assert not may("get", "volumeattachments", "va2", namespace="", group="storage.k8s.io")
    slices = {"namespace": "", "group": "resource.k8s.io"}
    assert may("patch", "resourceslices", "s1", **slices)
    assert not may("patch", "resourceslices", "s2", **slices)
    assert may("create", "resourceslices", **slices)
    assert may("list", "resourceslices", fields={"spec.nodeName": "n1"}, **slices)
    assert not may("deletecollection", "resourceslices", **slices)
    assert may("get", "podcertificaterequests", "r1", group="certificates.k8s.io")
    assert not may("get", "podcertificaterequests", "r2", group="certificates.k8s.io")
    assert not may("update", "podcertificaterequests", "r1", subresource="status", group="certificates.k8s.io")
