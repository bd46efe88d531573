"""What a node may write, object by object."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import name_of
from support.policy_world import World, thing

from timonier.api.errors import Forbidden
from timonier.api.kinds import find
from timonier.apiserver.admission.node_restriction import NodeRestriction
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.request import Attributes, User

N1 = User("system:node:n1", groups=("system:nodes",))


def pod(name="web", node="n1", **rest):
    spec = {"nodeName": node, "containers": []} | rest.pop("spec", {})
    return thing("v1/Pod", name, "ns", spec=spec, **rest)


WORLD = World(
    pod(spec={"volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]}),
    pod("theirs", "n2"),
    pod("mounting", spec={"serviceAccountName": "sa", "volumes": [
        {"name": "a", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}},
                                                {"serviceAccountToken": {"path": "token"}}]}},
        {"name": "b", "csi": {"driver": "inline"}}, {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}]}),
    thing("storage.k8s.io/v1/CSIDriver", "inline", spec={"tokenRequests": [{"audience": "for-inline"}]}),
    thing("storage.k8s.io/v1/CSIDriver", "bound", spec={"tokenRequests": [{"audience": "for-bound"}]}),
    thing("v1/PersistentVolumeClaim", "claim", "ns", spec={"volumeName": "pv"}),
    thing("v1/PersistentVolume", "pv", spec={"csi": {"driver": "bound"}}))


async def write(obj, old=None, operation="CREATE", subresource="", kind=None, name="", user=N1):
    row = kind or find((obj or old)["apiVersion"], (obj or old)["kind"])
    metadata = (obj or old)["metadata"]
    await NodeRestriction(WORLD, Authoriser(WORLD, ["Node", "RBAC"])).admit(Attributes(
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


def token(*audiences):
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "mounting", "uid": "uid-of-mounting"}
    return thing("v1/ServiceAccount", "sa", "ns", spec={"audiences": list(audiences), "boundObjectRef": ref})


@pytest.mark.parametrize("audience", ["vault", "for-inline", "for-bound", ""])
async def test_a_node_gets_tokens_for_the_audiences_of_a_pods_volumes(audience):
    await write(token(*([audience] if audience else [])), subresource="token")


async def test_a_node_gets_no_tokens_for_other_audiences():
    await refused('audience "other" not found in pod spec volume', token("other"), subresource="token")
    await refused("node may only request 0 or 1 audiences", token("vault", "for-inline"), subresource="token")


def signing(name, signer="kubernetes.io/kubelet-serving"):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(name_of(name, ["system:nodes"])).sign(
        key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return thing("certificates.k8s.io/v1/CertificateSigningRequest", "r", spec={
        "signerName": signer, "request": base64.b64encode(pem).decode()})


async def test_a_node_asks_for_certificates_of_its_own():
    await write(signing("system:node:n1"))
    await write(signing("ann", "kubernetes.io/kube-apiserver-client"))
    await refused("can only create a node CSR with CN=system:node:n1", signing("system:node:n2"))


def certificate(pod="mounting", node="n1", account="sa"):
    return thing("certificates.k8s.io/v1/PodCertificateRequest", "r", "ns", spec={
        "podName": pod, "podUID": f"uid-of-{pod}", "nodeName": node, "serviceAccountName": account})


async def test_a_node_asks_for_certificates_of_its_pods():
    await write(certificate())
    await refused("is not the requesting node", certificate(node="n2"))
    await refused('pod "gone" not found', certificate("gone"))
    await refused("contains nodeName", certificate("theirs"))
    await refused("contains serviceAccountName", certificate(account="other"))


async def test_a_node_tells_of_its_own_devices():
    mine, theirs = (thing("resource.k8s.io/v1/ResourceSlice", "s", spec={"nodeName": name}) for name in ("n1", "n2"))
    await write(mine)
    await refused("can only create ResourceSlice with the same NodeName", theirs)
    await refused("can only delete ResourceSlice with the same NodeName", None, theirs, operation="DELETE")
