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
from timonier.apiserver.admission.contract import CREATE, DELETE, UPDATE, Plugin, Registry, name_of, refuse
from timonier.apiserver.admission.service_account import MIRROR
from timonier.apiserver.auth.node import LEASES, node_of
from timonier.apiserver.auth.references import of_pod
from timonier.apiserver.request import Attributes, Object

POD = BY_ID["v1/Pod"]
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
    ("coordination.k8s.io", "leases"): NodeRestriction.named_like_node,
    ("storage.k8s.io", "csinodes"): NodeRestriction.named_like_node,
    ("discovery.k8s.io", "endpointslices"): NodeRestriction.slice,
}
