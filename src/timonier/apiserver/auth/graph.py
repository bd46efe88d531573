"""How objects hang together with nodes: which node runs a pod that needs a secret, a volume of which needs another.

Told of each change of pods, volumes and what else names a node; answers from memory in constant time. It keeps names,
no objects. Who may do what with this knowledge is decided in `node`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from timonier.apiserver.auth.references import MIRROR, Reference, of_persistent_volume, of_pod
from timonier.apiserver.request import Object

Key = tuple[str, str]
"""Namespace and name."""


@dataclass
class Pods:
    """Where pods run, and which objects the pods of a node need."""

    bound: dict[Key, tuple[str, frozenset[Reference]]] = field(default_factory=dict)
    """Node and needs of each pod that is bound."""
    needs: dict[tuple[str, Reference], set[Key]] = field(default_factory=dict)
    """The pods of a node that need an object."""

    def put(self, pod: Object) -> None:
        metadata, node = pod["metadata"], pod["spec"].get("nodeName")
        key = metadata["namespace"], metadata["name"]
        mirrors = MIRROR in (metadata.get("annotations") or {})
        found = (node, frozenset() if mirrors else frozenset(of_pod(pod))) if node else None
        if found == self.bound.get(key):
            return
        self.remove(*key)
        if found is not None:
            self.bound[key] = found
            for reference in found[1]:
                self.needs.setdefault((found[0], reference), set()).add(key)

    def remove(self, namespace: str, name: str) -> None:
        node, needed = self.bound.pop((namespace, name), ("", frozenset()))
        for reference in needed:
            pods = self.needs[node, reference]
            pods.discard((namespace, name))
            if not pods:
                del self.needs[node, reference]

    def runs(self, node: str, namespace: str, name: str) -> bool:
        return self.bound.get((namespace, name), ("",))[0] == node

    def needed(self, node: str, reference: Reference) -> bool:
        return (node, reference) in self.needs


@dataclass
class Volumes:
    """Which claim a persistent volume is bound to, and which volumes need a secret."""

    claims: dict[str, Reference] = field(default_factory=dict)
    secrets: dict[str, frozenset[Reference]] = field(default_factory=dict)
    users: dict[Reference, set[str]] = field(default_factory=lambda: defaultdict(set))

    def put(self, volume: Object) -> None:
        name, claim = volume["metadata"]["name"], volume["spec"].get("claimRef") or {}
        self.remove("", name)
        if claim:
            self.claims[name] = Reference("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", ""))
            self.secrets[name] = frozenset(of_persistent_volume(volume))
            for secret in self.secrets[name]:
                self.users[secret].add(name)

    def remove(self, namespace: str, name: str) -> None:
        self.claims.pop(name, None)
        for secret in self.secrets.pop(name, ()):
            self.users[secret].discard(name)
            if not self.users[secret]:
                del self.users[secret]

    def claims_with(self, secret: Reference) -> list[Reference]:
        """The claims whose volumes need a secret."""
        return [self.claims[name] for name in self.users.get(secret, ())]


@dataclass
class OfNodes:
    """Objects that say in their spec to which node they belong."""

    nodes: dict[Key, str] = field(default_factory=dict)

    def put(self, obj: Object) -> None:
        metadata = obj["metadata"]
        self.nodes[metadata.get("namespace", ""), metadata["name"]] = obj["spec"].get("nodeName") or ""

    def remove(self, namespace: str, name: str) -> None:
        self.nodes.pop((namespace, name), None)

    def belongs(self, node: str, namespace: str, name: str) -> bool:
        return self.nodes.get((namespace, name)) == node
