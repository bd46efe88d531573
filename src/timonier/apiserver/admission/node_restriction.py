"""NodeRestriction: a node writes its own Node, Lease and slices, and the pods bound to it, and nothing of others.

What a node may do at all is decided by the Node authoriser; this plugin sees the objects, and refuses what would let a
node take over others: labels that steer pods to it, taints, pods and tokens of other nodes.
Source: Kubernetes documentation, "NodeRestriction".
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from timonier.api.errors import NotFound
from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.certificates import signer_of, subject_of
from timonier.apiserver.admission.contract import CREATE, DELETE, UPDATE, Plugin, Registry, name_of, refuse
from timonier.apiserver.admission.service_account import MIRROR
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.node import LEASES, node_of
from timonier.apiserver.auth.references import of_pod
from timonier.apiserver.request import Attributes, Object

POD, CLAIM, VOLUME = (BY_ID[f"v1/{kind}"] for kind in ("Pod", "PersistentVolumeClaim", "PersistentVolume"))
DRIVER = BY_ID["storage.k8s.io/v1/CSIDriver"]
NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
RESERVED = "node-restriction.kubernetes.io"
OWN_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region", "topology.kubernetes.io/zone"})
OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
DNS_SERVICE, SERVICE_LABEL = "kube-dns", "kubernetes.io/service-name"

Check = Callable[[Any, str, Attributes, "Object | None", "Object | None"], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class NodeRestriction(Plugin):
    registry: Registry
    authoriser: Authoriser

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        node = node_of(attributes.user)
        check = CHECKS.get((attributes.group, attributes.resource)) if node else None
        if check is not None:
            await check(self, node, attributes, obj, old)

    async def pod(self, node: str, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if attributes.subresource == "eviction":
            await self.own_pod(node, attributes, "evict")
        elif attributes.subresource == "status" and obj is not None:
            check_pod_status(node, attributes, obj, old or {})
        elif attributes.operation == CREATE and obj is not None:
            check_mirror_pod(node, attributes, obj)
        elif attributes.operation == DELETE:
            bound = ((old or {}).get("spec") or {}).get("nodeName")
            if bound != node:
                raise refuse(attributes, f'node "{node}" can only delete pods with spec.nodeName set to itself')
        else:
            raise refuse(attributes, f"unexpected operation {attributes.operation}, node {node} can only create and "
                                     "delete mirror pods")

    async def own_pod(self, node: str, attributes: Attributes, verb: str) -> None:
        pod = await self.find_pod(attributes.namespace, attributes.name)
        if pod is None or pod["spec"].get("nodeName") != node:
            raise refuse(attributes, f'node "{node}" can only {verb} pods with spec.nodeName set to itself')

    async def find_pod(self, namespace: str, name: str) -> Object | None:
        try:
            return self.registry.peek(POD, namespace, name) or await self.registry.get(POD, namespace, name)
        except NotFound:
            return None

    async def node(self, node: str, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        name = attributes.name or name_of(obj)
        if name != node:
            raise refuse(attributes, f'node "{node}" is not allowed to modify node "{name}"', obj)
        if obj is None:
            return
        before = (old or {}).get("metadata", {}).get("labels") or {}
        check_labels(node, attributes, obj["metadata"].get("labels") or {}, before)
        if attributes.operation == UPDATE and old is not None:
            if (obj.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
                raise refuse(attributes, f'node "{node}" is not allowed to modify taints', obj)
            if obj["metadata"].get("ownerReferences") != old["metadata"].get("ownerReferences"):
                raise refuse(attributes, f'node "{node}" is not allowed to modify ownerReferences', obj)

    async def token(self, node: str, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """A node gets tokens for its pods alone, bound to them."""
        if attributes.subresource != "token" or obj is None:
            return
        ref = (obj.get("spec") or {}).get("boundObjectRef") or {}
        if (ref.get("kind"), ref.get("apiVersion")) != ("Pod", "v1") or not ref.get("name"):
            raise refuse(attributes, "node requested token not bound to a pod")
        if not ref.get("uid"):
            raise refuse(attributes, "node requested token with a pod binding without a uid")
        pod = await self.find_pod(attributes.namespace, ref["name"])
        if pod is None:
            raise refuse(attributes, f'pod "{ref["name"]}" not found')
        if pod["metadata"].get("uid") != ref["uid"]:
            raise refuse(attributes, f"the UID in the bound object reference ({ref['uid']}) does not match the UID in "
                                     f"record ({pod['metadata'].get('uid')}). The object might have been deleted and "
                                     "then recreated")
        if pod["spec"].get("nodeName") != node:
            raise refuse(attributes, "node requested token bound to a pod scheduled on a different node")
        await self.check_audience(attributes, pod, (obj.get("spec") or {}).get("audiences") or [])

    async def check_audience(self, attributes: Attributes, pod: Object, audiences: list[str]) -> None:
        """A token is for an audience that the pod's volumes ask for, or for one that the node was given the right to
        ask for (KEP-4412)."""
        if len(audiences) > 1:
            raise refuse(attributes, "node may only request 0 or 1 audiences")
        audience = audiences[0] if audiences else ""
        if audience in self.audiences_of(pod):
            return
        asked = Attributes(attributes.user, "request-serviceaccounts-token-audience", version="v1", resource=audience,
                           namespace=attributes.namespace, name=attributes.name)
        if not (await self.authoriser.decide(asked)).allowed:
            raise refuse(attributes, f'audience "{audience}" not found in pod spec volume, {attributes.user.name} is '
                         f'not authorized to request tokens for this audience')

    def audiences_of(self, pod: Object) -> set[str]:
        """The audiences of the tokens that a pod's volumes hold, and those that their drivers are given."""
        found: set[str] = set()
        for volume in pod["spec"].get("volumes") or ():
            found |= {token.get("audience", "") for source in (volume.get("projected") or {}).get("sources") or ()
                      if (token := source.get("serviceAccountToken")) is not None}
            driver = self.registry.peek(DRIVER, "", name) if (name := self.driver_of(pod, volume)) else None
            found |= {request.get("audience", "")
                      for request in ((driver or {}).get("spec") or {}).get("tokenRequests") or ()}
        return found

    def driver_of(self, pod: Object, volume: Object) -> str:
        """The CSI driver of a volume: its own, or that of the persistent volume to which its claim is bound."""
        if inline := volume.get("csi"):
            return str(inline.get("driver", ""))
        claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (
            f"{pod['metadata']['name']}-{volume['name']}" if volume.get("ephemeral") else "")
        claim = self.registry.peek(CLAIM, pod["metadata"]["namespace"], claim_name) if claim_name else None
        name = ((claim or {}).get("spec") or {}).get("volumeName")
        bound = self.registry.peek(VOLUME, "", name) if name else None
        return str((((bound or {}).get("spec") or {}).get("csi") or {}).get("driver", ""))

    async def signing_request(self, node: str, attributes: Attributes, obj: Object | None,
                              old: Object | None) -> None:
        """What a node asks of the signers of nodes' certificates is one for itself."""
        if attributes.operation != CREATE or attributes.subresource or signer_of(obj) not in NODE_SIGNERS:
            return
        from cryptography.x509.oid import NameOID

        names = subject_of(attributes, obj).get_attributes_for_oid(NameOID.COMMON_NAME)
        if [each.value for each in names] != [attributes.user.name]:
            raise refuse(attributes, f"can only create a node CSR with CN={attributes.user.name}", obj)

    async def pod_certificate(self, node: str, attributes: Attributes, obj: Object | None,
                              old: Object | None) -> None:
        """A node asks for certificates of the pods that it runs."""
        if attributes.operation != CREATE or attributes.subresource or obj is None:
            return
        spec = obj.get("spec") or {}
        if spec.get("nodeName") != node:
            raise refuse(attributes, f'PodCertificateRequest.Spec.NodeName="{spec.get("nodeName", "")}", which is not '
                                     f'the requesting node "{node}"', obj)
        pod = await self.find_pod(attributes.namespace, spec.get("podName", ""))
        if pod is None:
            raise refuse(attributes, f'pod "{spec.get("podName", "")}" not found', obj)
        metadata, runs = pod["metadata"], pod["spec"]
        if MIRROR in (metadata.get("annotations") or {}):
            raise refuse(attributes, f'pod "{spec["podName"]}" is a mirror pod', obj)
        for field, found in (("podUID", metadata.get("uid")), ("nodeName", runs.get("nodeName")),
                             ("serviceAccountName", runs.get("serviceAccountName"))):
            if spec.get(field) != found:
                raise refuse(attributes, f'PodCertificateRequest for pod "{metadata["namespace"]}/{metadata["name"]}" '
                             f'contains {field} "{spec.get(field, "")}" which differs from "{found or ""}"', obj)

    async def resource_slice(self, node: str, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        verb = {CREATE: "create", DELETE: "delete"}.get(attributes.operation)
        state = old if attributes.operation == DELETE else obj
        if verb and ((state or {}).get("spec") or {}).get("nodeName") != node:
            raise refuse(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node",
                         state)

    async def named_like_node(self, node: str, attributes: Attributes, obj: Object | None,
                              old: Object | None) -> None:
        """Leases and CSINodes: one a node, with its name."""
        if attributes.resource == "leases" and attributes.namespace != LEASES:
            raise refuse(attributes, f'node "{node}" can only access leases in the "{LEASES}" system namespace', obj)
        if (attributes.name or name_of(obj)) != node:
            raise refuse(attributes, f"can only access node {attributes.resource[:-1]} with the same name as the "
                                     "requesting node", obj)

    async def slice(self, node: str, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """A node serves DNS and says so in a slice of its own, of the DNS service, with its own addresses."""
        for state in (obj, old):
            if state is None:
                continue
            labels = state["metadata"].get("labels") or {}
            foreign = [endpoint for endpoint in state.get("endpoints") or () if endpoint.get("nodeName") != node]
            if labels.get(SERVICE_LABEL) != DNS_SERVICE or foreign:
                raise refuse(attributes, f'node "{node}" can only write endpoint slices of service {DNS_SERVICE} whose '
                             "endpoints are on itself", state)


def check_mirror_pod(node: str, attributes: Attributes, pod: Object) -> None:
    """A kubelet creates pods only to show the static ones that it runs already."""
    if MIRROR not in (pod["metadata"].get("annotations") or {}):
        raise refuse(attributes, f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods',
                     pod)
    if pod["spec"].get("nodeName") != node:
        raise refuse(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself', pod)
    owners = pod["metadata"].get("ownerReferences") or []
    if len(owners) > 1 or any((owner.get("kind"), owner.get("name")) != ("Node", node) for owner in owners):
        raise refuse(attributes, f'node "{node}" can only create pods with an owner reference set to itself', pod)
    for reference in of_pod({**pod, "metadata": {"namespace": attributes.namespace, **pod["metadata"]}}):
        raise refuse(attributes, f'node "{node}" can not create pods that reference {reference.resource}', pod)


def check_pod_status(node: str, attributes: Attributes, pod: Object, old: Object) -> None:
    if (old.get("spec") or pod["spec"]).get("nodeName") != node:
        raise refuse(attributes, f'node "{node}" can only update pod status for pods with spec.nodeName set to itself',
                     pod)
    if (pod["metadata"].get("labels") or {}) != ((old.get("metadata") or {}).get("labels") or {}):
        raise refuse(attributes, f'node "{node}" cannot update labels through pod status', pod)


def check_labels(node: str, attributes: Attributes, labels: dict[str, str], before: dict[str, str]) -> None:
    """Labels by which pods are steered are not the node's to choose."""
    changed = {key for key in labels.keys() | before.keys() if labels.get(key) != before.get(key)}
    bad = sorted(key for key in changed if not own_label(key))
    if bad:
        verb = "set" if attributes.operation == CREATE else "modify"
        raise refuse(attributes, f'is not allowed to {verb} labels: {", ".join(bad)}')


def own_label(key: str) -> bool:
    """Whether a node may set a label on itself: any but reserved ones, and those of Kubernetes that are not its own."""
    domain = key.partition("/")[0] if "/" in key else ""
    if domain == RESERVED or domain.endswith(f".{RESERVED}"):
        return False
    foreign = domain not in ("kubernetes.io", "k8s.io") and not domain.endswith((".kubernetes.io", ".k8s.io"))
    known = key in OWN_LABELS or any(domain == own or domain.endswith(f".{own}") for own in OWN_PREFIXES)
    return foreign or known


CHECKS: dict[tuple[str, str], Check] = {
    ("", "pods"): NodeRestriction.pod,
    ("", "nodes"): NodeRestriction.node,
    ("", "serviceaccounts"): NodeRestriction.token,
    ("certificates.k8s.io", "certificatesigningrequests"): NodeRestriction.signing_request,
    ("certificates.k8s.io", "podcertificaterequests"): NodeRestriction.pod_certificate,
    ("resource.k8s.io", "resourceslices"): NodeRestriction.resource_slice,
    ("coordination.k8s.io", "leases"): NodeRestriction.named_like_node,
    ("storage.k8s.io", "csinodes"): NodeRestriction.named_like_node,
    ("discovery.k8s.io", "endpointslices"): NodeRestriction.slice,
}
