"""The Node authoriser: a node may read what the pods bound to it need, and write about itself.

`graph` knows what hangs together with which node. What does not depend on an object stands in the rules of the
ClusterRole `system:node`. What a node may *change* in the objects that it writes is limited further, by the
NodeRestriction admission plugin, which sees them.
Source: Kubernetes documentation, "Using Node Authorization"; KEP-4601.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from timonier.api.kinds import BY_ID
from timonier.apiserver.auth.decision import NO_OPINION, Decision
from timonier.apiserver.auth.default_roles import ROLES
from timonier.apiserver.auth.graph import OfNodes, Pods, Volumes
from timonier.apiserver.auth.mirror import Cache, Mirror
from timonier.apiserver.auth.rbac import Rule
from timonier.apiserver.auth.references import Reference
from timonier.apiserver.auth.rule_lines import rules
from timonier.apiserver.request import Attributes, Object, User

NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
LEASES = "kube-node-lease"
READING = ("get", "list", "watch")
OWNING = ("get", "create", "update", "patch", "delete")
NODE_FIELD = "spec.nodeName"


class Part(Protocol):
    """A part of the graph."""

    def put(self, obj: Object, /) -> None: ...

    def remove(self, namespace: str, name: str) -> None: ...


P = TypeVar("P", bound=Part)


def node_of(user: User) -> str:
    """The name of the node that a user is; empty for everyone else."""
    if user.name.startswith(NODE_PREFIX) and NODES_GROUP in user.groups:
        return user.name.removeprefix(NODE_PREFIX)
    return ""


def refuse(reason: str) -> Decision:
    return Decision(False, reason)


ALLOW = Decision(True)
STATIC_RULES = tuple(Rule.of(rule) for rule in rules(ROLES["system:node"]))


@dataclass(frozen=True)
class Followed(Generic[P]):
    """A part of the graph, and the mirror that tells it of changes."""

    part: P
    mirror: Mirror

    @classmethod
    def of(cls, part: P, cache: Cache, kind: str) -> Followed[P]:
        return cls(part, Mirror(cache, BY_ID[kind], part.put, part.remove))

    def now(self) -> P:
        """The part as it is now."""
        self.mirror.refresh()
        return self.part


class NodeAuthoriser:
    """The authoriser over what hangs together, each kind brought up to date when it is asked about."""

    def __init__(self, cache: Cache) -> None:
        self.pods = Followed.of(Pods(), cache, "v1/Pod")
        self.volumes = Followed.of(Volumes(), cache, "v1/PersistentVolume")
        self.attachments = Followed.of(OfNodes(), cache, "storage.k8s.io/v1/VolumeAttachment")
        self.slices = Followed.of(OfNodes(), cache, "resource.k8s.io/v1/ResourceSlice")
        self.requests = Followed.of(OfNodes(), cache, "certificates.k8s.io/v1/PodCertificateRequest")

    async def decide(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if not node:
            return NO_OPINION
        check = CHECKS.get((attributes.group, attributes.resource)) if attributes.is_resource else None
        if check is None:
            return Decision(any(rule.allows(attributes) for rule in STATIC_RULES))
        return check(self, node, attributes)

    def secret_or_config(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in READING:
            return refuse("can only read resources of this type")
        if attributes.subresource:
            return refuse("cannot read subresource")
        if not attributes.namespace:
            return refuse("can only read namespaced object of this type")
        return self.related(node, attributes)

    def related(self, node: str, attributes: Attributes) -> Decision:
        """Whether a pod of the node needs an object, or a volume of such a pod."""
        if not attributes.name:
            return refuse("No Object name found")
        wanted = Reference(attributes.resource, attributes.namespace, attributes.name)
        pods = self.pods.now()
        found = pods.needed(node, wanted) or (attributes.resource == "secrets" and any(
            pods.needed(node, claim) for claim in self.volumes.now().claims_with(wanted)))
        return ALLOW if found else unrelated(node)

    def claim(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource != "status":
            return self.single(node, attributes)
        if attributes.verb not in ("get", "update", "patch"):
            return refuse("can only get/update/patch this type")
        return self.related(node, attributes)

    def single(self, node: str, attributes: Attributes) -> Decision:
        return only_get(attributes) or self.related(node, attributes)

    def volume(self, node: str, attributes: Attributes) -> Decision:
        if refused := only_get(attributes):
            return refused
        claim = self.volumes.now().claims.get(attributes.name)
        return ALLOW if claim is not None and self.pods.now().needed(node, claim) else unrelated(node)

    def attachment(self, node: str, attributes: Attributes) -> Decision:
        return only_get(attributes) or belonging(self.attachments.now(), node, attributes)

    def account(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource == "token":
            if attributes.verb != "create" or not attributes.name:
                return refuse("can only create tokens for individual service accounts")
            return self.related(node, attributes)
        return self.single(node, attributes)

    def lease(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in OWNING:
            return refuse("can only get, create, update, patch, or delete a node lease")
        if attributes.namespace != LEASES:
            return refuse(f'can only access leases in the "{LEASES}" system namespace')
        return own(node, attributes, "can only access node lease with the same name as the requesting node")

    def csi_node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in OWNING:
            return refuse("can only get, create, update, patch, or delete a CSINode")
        if attributes.subresource:
            return refuse("cannot authorize CSINode subresources")
        return own(node, attributes, "can only access CSINode with the same name as the requesting node")

    def slice(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource:
            return refuse("cannot authorize ResourceSlice subresources")
        match attributes.verb:
            case "create":
                return ALLOW
            case "get" | "update" | "patch" | "delete":
                return belonging(self.slices.now(), node, attributes)
            case "list" | "watch" | "deletecollection":
                return ALLOW if attributes.fields.get(NODE_FIELD) == node else refuse(
                    "can only list/watch/deletecollection resourceslices with nodeName field selector")
        return refuse("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, "
                      "patch, delete, deletecollection")

    def request(self, node: str, attributes: Attributes) -> Decision:
        """Requests for pods' certificates: created about its own pods, which NodeRestriction sees, and read again."""
        if attributes.subresource:
            return refuse(f'nodes may not access the "{attributes.subresource}" subresource of PodCertificateRequests')
        match attributes.verb:
            case "create":
                return ALLOW
            case "list" | "watch" if attributes.fields.get(NODE_FIELD) == node:
                return ALLOW
            case "get" | "list" | "watch":
                return belonging(self.requests.now(), node, attributes)
        return refuse("nodes may only create, get, list and watch PodCertificateRequests")

    def node(self, node: str, attributes: Attributes) -> Decision:
        """A node reads itself; which one it writes is for NodeRestriction to see."""
        match attributes.subresource, attributes.verb:
            case "", ("create" | "update" | "patch"):
                return ALLOW
            case "", ("get" | "list" | "watch"):
                if attributes.name == node:
                    return ALLOW
                which = f"'{attributes.name}'" if attributes.name else "all nodes"
                return refuse(f"node '{node}' cannot read {which}, only its own Node object")
            case "status", ("update" | "patch"):
                return ALLOW
        return NO_OPINION

    def pod(self, node: str, attributes: Attributes) -> Decision:
        """A node lists the pods bound to it, and reads those alone."""
        match attributes.subresource, attributes.verb:
            case "", ("list" | "watch"):
                own = attributes.fields.get(NODE_FIELD) == node
                return ALLOW if own or self.runs(node, attributes) else refuse(
                    f"can only list/watch pods with {NODE_FIELD} field selector")
            case "", "get":
                return ALLOW if self.runs(node, attributes) else unrelated(node)
            case "", ("create" | "delete"):
                return ALLOW
            case ("status", ("update" | "patch")) | ("eviction", "create"):
                return ALLOW
        return NO_OPINION

    def runs(self, node: str, attributes: Attributes) -> bool:
        return bool(attributes.name) and self.pods.now().runs(node, attributes.namespace, attributes.name)


def only_get(attributes: Attributes) -> Decision | None:
    """Why a request is not the reading of one object."""
    if attributes.verb != "get":
        return refuse("can only get individual resources of this type")
    return refuse("cannot get subresource") if attributes.subresource else None


def unrelated(node: str) -> Decision:
    return refuse(f"no relationship found between node '{node}' and this object")


def belonging(part: OfNodes, node: str, attributes: Attributes) -> Decision:
    if not attributes.name:
        return refuse("No Object name found")
    return ALLOW if part.belongs(node, attributes.namespace, attributes.name) else unrelated(node)


def own(node: str, attributes: Attributes, otherwise: str) -> Decision:
    """The object of the node's name; at its creation the name is not known yet, and NodeRestriction looks at it."""
    return ALLOW if attributes.verb == "create" or attributes.name == node else refuse(otherwise)


CHECKS: dict[tuple[str, str], Callable[[Any, str, Attributes], Decision]] = {
    ("", "secrets"): NodeAuthoriser.secret_or_config,
    ("", "configmaps"): NodeAuthoriser.secret_or_config,
    ("", "persistentvolumeclaims"): NodeAuthoriser.claim,
    ("", "persistentvolumes"): NodeAuthoriser.volume,
    ("", "serviceaccounts"): NodeAuthoriser.account,
    ("", "nodes"): NodeAuthoriser.node,
    ("", "pods"): NodeAuthoriser.pod,
    ("certificates.k8s.io", "podcertificaterequests"): NodeAuthoriser.request,
    ("coordination.k8s.io", "leases"): NodeAuthoriser.lease,
    ("resource.k8s.io", "resourceclaims"): NodeAuthoriser.single,
    ("resource.k8s.io", "resourceslices"): NodeAuthoriser.slice,
    ("storage.k8s.io", "csinodes"): NodeAuthoriser.csi_node,
    ("storage.k8s.io", "volumeattachments"): NodeAuthoriser.attachment,
}
"""How requests for each resource are judged; what is not here follows the rules of `system:node`."""
