"""The Node authoriser: a node may read what the pods bound to it need, and write about itself.

`Graph` knows which secrets, config maps, claims and service accounts the pods of each node refer to. What does not
depend on an object stands in the rules of the ClusterRole `system:node`. What a node may *change* in the objects that
it writes is limited further, by the NodeRestriction admission plugin.
Source: Kubernetes documentation, "Using Node Authorization"; KEP-4601.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from timonier.api.kinds import BY_ID
from timonier.apiserver.auth.decision import Decision
from timonier.apiserver.auth.default_roles import ROLES
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.auth.rbac import Rule
from timonier.apiserver.auth.rule_lines import rules
from timonier.apiserver.request import Attributes, Object, User

NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
LEASES = "kube-node-lease"
CLAIM = BY_ID["v1/PersistentVolumeClaim"]
READING = ("get", "list", "watch")


class Reference(NamedTuple):
    """An object that a pod needs: `secrets`, `configmaps`, `persistentvolumeclaims` or `serviceaccounts`."""

    resource: str
    namespace: str
    name: str


@dataclass
class Graph:
    """Which node has pods that need an object. Told of every pod; answers from memory."""

    pods: dict[tuple[str, str], tuple[str, frozenset[Reference]]] = field(default_factory=dict)
    """Node and needs of each pod that is bound."""
    needs: dict[tuple[str, Reference], set[tuple[str, str]]] = field(default_factory=dict)
    """The pods of a node that need an object."""

    def put(self, pod: Object) -> None:
        metadata = pod["metadata"]
        key = metadata["namespace"], metadata["name"]
        self.remove(*key)
        node = pod["spec"].get("nodeName")
        if node:
            self.pods[key] = node, frozenset(references(pod))
            for reference in self.pods[key][1]:
                self.needs.setdefault((node, reference), set()).add(key)

    def remove(self, namespace: str, name: str) -> None:
        node, needed = self.pods.pop((namespace, name), ("", frozenset()))
        for reference in needed:
            pods = self.needs[node, reference]
            pods.discard((namespace, name))
            if not pods:
                del self.needs[node, reference]

    def has_pod(self, node: str, namespace: str, name: str) -> bool:
        return self.pods.get((namespace, name), ("",))[0] == node

    def needed(self, node: str, reference: Reference) -> bool:
        return (node, reference) in self.needs

    def claims_of(self, node: str) -> Iterator[Reference]:
        return (reference for owner, reference in self.needs
                if owner == node and reference.resource == "persistentvolumeclaims")


def references(pod: Object) -> Iterator[Reference]:
    """Every object of its namespace that a pod needs in order to run."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    if account := spec.get("serviceAccountName"):
        yield Reference("serviceaccounts", namespace, account)
    for secret in spec.get("imagePullSecrets") or ():
        yield Reference("secrets", namespace, secret.get("name", ""))
    for containers in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(containers) or ():
            yield from container_references(container, namespace)
    for volume in spec.get("volumes") or ():
        yield from volume_references(volume, namespace, pod["metadata"]["name"])


def container_references(container: Object, namespace: str) -> Iterator[Reference]:
    sources = [entry.get("valueFrom") or {} for entry in container.get("env") or ()]
    for source in (*sources, *(container.get("envFrom") or ())):
        for part, resource in (("secretKeyRef", "secrets"), ("secretRef", "secrets"),
                               ("configMapKeyRef", "configmaps"), ("configMapRef", "configmaps")):
            if found := source.get(part):
                yield Reference(resource, namespace, found.get("name", ""))


def volume_references(volume: Object, namespace: str, pod: str) -> Iterator[Reference]:
    for part, source in volume.items():
        if not isinstance(source, dict):
            continue
        if part == "persistentVolumeClaim":
            yield Reference("persistentvolumeclaims", namespace, source.get("claimName", ""))
        elif part == "ephemeral":
            yield Reference("persistentvolumeclaims", namespace, f"{pod}-{volume['name']}")
        elif part == "configMap":
            yield Reference("configmaps", namespace, source.get("name", ""))
        elif part == "projected":
            for projection in source.get("sources") or ():
                for kind, resource in (("secret", "secrets"), ("configMap", "configmaps")):
                    if found := projection.get(kind):
                        yield Reference(resource, namespace, found.get("name", ""))
        else:
            yield from (Reference("secrets", namespace, name) for name in secret_names(source))


def secret_names(source: Object) -> Iterator[str]:
    """The secrets of a volume source: as `secretName`, or referred to by drivers."""
    if name := source.get("secretName"):
        yield name
    for part in ("secretRef", "nodePublishSecretRef"):
        if name := (source.get(part) or {}).get("name"):
            yield name


def node_of(user: User) -> str:
    """The name of the node that a user is; empty for everyone else."""
    if user.name.startswith(NODE_PREFIX) and NODES_GROUP in user.groups:
        return user.name.removeprefix(NODE_PREFIX)
    return ""


def refuse(reason: str) -> Decision:
    return Decision(False, reason)


ALLOW = Decision(True)
NO_RELATION = "no relationship found between node '{}' and this object"
STATIC_RULES = tuple(Rule.of(rule) for rule in rules(ROLES["system:node"]))


@dataclass(frozen=True)
class NodeAuthoriser:
    """The authoriser over a graph; `cache` shows which volume a claim is bound to."""

    graph: Graph
    cache: Cache

    def decide(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if not node:
            return Decision(False)
        check = CHECKS.get((attributes.group, attributes.resource)) if attributes.is_resource else None
        if check is None:
            return Decision(any(rule.allows(attributes) for rule in STATIC_RULES))
        return check(self, node, attributes)

    def secret_or_config(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in READING or attributes.subresource:
            return refuse("can only read resources of this type")
        return self.related(node, attributes)

    def related(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.name or not attributes.namespace:
            return refuse("can only read a named object of a namespace")
        reference = Reference(attributes.resource, attributes.namespace, attributes.name)
        return ALLOW if self.graph.needed(node, reference) else refuse(NO_RELATION.format(node))

    def claim(self, node: str, attributes: Attributes) -> Decision:
        allowed = ("get", "patch", "update") if attributes.subresource == "status" else ("get",)
        if attributes.verb not in allowed or attributes.subresource not in ("", "status"):
            return refuse("can only get individual resources of this type")
        return self.related(node, attributes)

    def volume(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb != "get" or attributes.subresource:
            return refuse("can only get individual resources of this type")
        for reference in self.graph.claims_of(node):
            claim = self.cache.peek(CLAIM, reference.namespace, reference.name)
            if claim and claim["spec"].get("volumeName") == attributes.name:
                return ALLOW
        return refuse(NO_RELATION.format(node))

    def account(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb == "create" and attributes.subresource == "token":
            return self.related(node, attributes)
        if attributes.verb == "get" and not attributes.subresource:
            return self.related(node, attributes)
        return refuse("can only get the service accounts of its pods, and create tokens for them")

    def lease(self, node: str, attributes: Attributes) -> Decision:
        if attributes.namespace != LEASES:
            return refuse(f'can only access leases in the "{LEASES}" system namespace')
        return self.own(node, attributes, ("get", "create", "update", "patch", "delete"))

    def csi_node(self, node: str, attributes: Attributes) -> Decision:
        return self.own(node, attributes, ("get", "create", "update", "patch", "delete"))

    def own(self, node: str, attributes: Attributes, verbs: tuple[str, ...]) -> Decision:
        if attributes.verb not in verbs:
            return refuse(f"can only {', '.join(verbs)} an object of this type")
        if attributes.verb != "create" and attributes.name != node:
            return refuse("can only access the object with the same name as the requesting node")
        return ALLOW

    def node(self, node: str, attributes: Attributes) -> Decision:
        """A node reads itself and changes itself; creating is checked again by NodeRestriction, which sees the name."""
        if attributes.subresource not in ("", "status"):
            return refuse("can only access the status of its own node")
        if attributes.verb in ("get", "list", "watch", "update", "patch") and attributes.name != node:
            return refuse("can only access the node with the same name as the requesting node")
        return Decision(any(rule.allows(attributes) for rule in STATIC_RULES))

    def pod(self, node: str, attributes: Attributes) -> Decision:
        """A node lists the pods bound to it, and reads and changes those alone."""
        if attributes.verb in ("list", "watch") and not attributes.subresource:
            own = attributes.fields.get("spec.nodeName") == node
            return ALLOW if own or self.has(node, attributes) else refuse(
                f"can only list/watch pods with spec.nodeName field selector '{node}'")
        if attributes.verb == "get" and not attributes.subresource:
            return ALLOW if self.has(node, attributes) else refuse(NO_RELATION.format(node))
        return Decision(any(rule.allows(attributes) for rule in STATIC_RULES))

    def has(self, node: str, attributes: Attributes) -> bool:
        return self.graph.has_pod(node, attributes.namespace, attributes.name)


CHECKS: dict[tuple[str, str], Callable[[Any, str, Attributes], Decision]] = {
    ("", "secrets"): NodeAuthoriser.secret_or_config,
    ("", "configmaps"): NodeAuthoriser.secret_or_config,
    ("", "persistentvolumeclaims"): NodeAuthoriser.claim,
    ("", "persistentvolumes"): NodeAuthoriser.volume,
    ("", "serviceaccounts"): NodeAuthoriser.account,
    ("", "nodes"): NodeAuthoriser.node,
    ("", "pods"): NodeAuthoriser.pod,
    ("coordination.k8s.io", "leases"): NodeAuthoriser.lease,
    ("storage.k8s.io", "csinodes"): NodeAuthoriser.csi_node,
}
"""How requests for each resource are judged; what is not here follows the rules of `system:node`."""
