"""What a node may write, object by object."""

import pytest
from support.policy_world import World, thing

from timonier.api.errors import Forbidden
from timonier.api.kinds import find
from timonier.apiserver.admission.node_restriction import NodeRestriction
from timonier.apiserver.request import Attributes, User

N1 = User("system:node:n1", groups=("system:nodes",))


def pod(name="web", node="n1", **rest):
    spec = {"nodeName": node, "containers": []} | rest.pop("spec", {})
    return thing("v1/Pod", name, "ns", spec=spec, **rest)


WORLD = World(pod(), pod("theirs", "n2"))


async def write(obj, old=None, operation="CREATE", subresource="", kind=None, name="", user=N1):
    row = kind or find((obj or old)["apiVersion"], (obj or old)["kind"])
    metadata = (obj or old)["metadata"]
    await NodeRestriction(WORLD).admit(Attributes(
        user, operation.lower(), group=row.group, resource=row.plural, subresource=subresource, operation=operation,
        namespace=metadata.get("namespace", ""), name=name or metadata["name"]), obj, old)


async def refused(why, *args, **rest):
    with pytest.raises(Forbidden, match=why):
        await write(*args, **rest)


def node(name="n1", labels=None, **spec):
    return thing("v1/Node", name, metadata={"labels": labels or {}}, spec=spec)


async def test_a_node_registers_itself_alone():
    await write(node())
    await refused('node "n1" is not allowed to modify node "n2"', node("n2"))


async def test_a_node_does_not_choose_who_comes():
    await write(node(labels={"kubernetes.io/hostname": "n1", "example.com/rack": "7", "node.kubernetes.io/x": "y"}))
    await refused("not allowed to set labels: node-restriction.kubernetes.io/team",
                  node(labels={"node-restriction.kubernetes.io/team": "a"}))
    await refused("not allowed to modify labels: node-role.kubernetes.io/control-plane",
                  node(labels={"node-role.kubernetes.io/control-plane": ""}), node(), operation="UPDATE")
    await refused("not allowed to modify taints", node(), node(taints=[{"key": "a"}]), operation="UPDATE")


async def test_a_node_shows_its_static_pods_and_deletes_its_own():
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    await write(pod("static", metadata=mirror))
    await refused("can only create mirror pods", pod("static"))
    await refused("spec.nodeName set to itself", pod("static", "n2", metadata=mirror))
    await refused("reference secrets", pod("static", metadata=mirror, spec={"imagePullSecrets": [{"name": "s"}]}))
    await write(None, pod(), operation="DELETE")
    await refused("can only delete pods with spec.nodeName set to itself", None, pod("theirs", "n2"),
                  operation="DELETE")


async def test_a_node_reports_on_its_pods_and_leaves_their_labels():
    await write(pod(), pod(), operation="UPDATE", subresource="status")
    await refused("update pod status for pods with spec.nodeName", pod(node="n2"), pod(node="n2"), operation="UPDATE",
                  subresource="status")
    await refused("cannot update labels", pod(metadata={"labels": {"a": "b"}}), pod(), operation="UPDATE",
                  subresource="status")


@pytest.mark.parametrize(("ref", "why"), [
    (None, "not bound to a pod"), ({"kind": "Secret", "apiVersion": "v1", "name": "s"}, "not bound to a pod"),
    ({"kind": "Pod", "apiVersion": "v1", "name": "web"}, "without a uid"),
    ({"kind": "Pod", "apiVersion": "v1", "name": "gone", "uid": "x"}, "not found"),
    ({"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "x"}, "does not match"),
    ({"kind": "Pod", "apiVersion": "v1", "name": "theirs", "uid": "uid-of-theirs"}, "on a different node")])
async def test_a_node_gets_tokens_bound_to_its_own_pods(ref, why):
    asked = thing("v1/ServiceAccount", "sa", "ns", spec={"boundObjectRef": ref})
    await refused(why, asked, subresource="token")
    good = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "uid-of-web"}
    await write(asked | {"spec": {"boundObjectRef": good}}, subresource="token")


async def test_a_node_holds_one_lease():
    await write(thing("coordination.k8s.io/v1/Lease", "n1", "kube-node-lease"))
    await refused("same name as the requesting node", thing("coordination.k8s.io/v1/Lease", "n2", "kube-node-lease"))
    await refused("kube-node-lease", thing("coordination.k8s.io/v1/Lease", "n1", "kube-system"))


async def test_a_node_says_where_its_dns_is_and_nothing_more():
    def slice_of(service, *nodes):
        return thing("discovery.k8s.io/v1/EndpointSlice", "x", "kube-system", metadata={
            "labels": {"kubernetes.io/service-name": service}},
            endpoints=[{"addresses": ["10.0.0.1"], "nodeName": name} for name in nodes])

    await write(slice_of("kube-dns", "n1"))
    await refused("can only write endpoint slices", slice_of("kube-dns", "n2"))
    await refused("can only write endpoint slices", slice_of("other", "n1"))
    await refused("can only write endpoint slices", slice_of("kube-dns", "n1"), slice_of("kube-dns", "n2"),
                  operation="UPDATE")


async def test_others_are_not_restricted():
    await write(node("n2"), user=User("ann"))
