"""The authoriser that the server asks: system:masters, then Node, then RBAC, over the watch cache."""

from __future__ import annotations

from collections.abc import Callable

from timonier.api.kinds import BY_ID
from timonier.apiserver.auth.decision import Chain, Decision, Masters, refusal
from timonier.apiserver.auth.mirror import Cache, Mirror
from timonier.apiserver.auth.node import Graph, NodeAuthoriser, node_of
from timonier.apiserver.auth.rbac import GROUP, Index, Rbac
from timonier.apiserver.request import Attributes

POLICY_KINDS = tuple(BY_ID[f"{GROUP}/v1/{kind}"]
                     for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))
POD = BY_ID["v1/Pod"]


class Authoriser:
    """Decides every request. `index` is for those who reason about rights themselves, such as escalation checks."""

    def __init__(self, cache: Cache) -> None:
        self.index, self.graph = Index(), Graph()
        self._policy = [Mirror(cache, kind, self.index.put, self._remover(kind.kind)) for kind in POLICY_KINDS]
        self._pods = Mirror(cache, POD, self.graph.put, self.graph.remove)
        self._chain = Chain(Masters(), NodeAuthoriser(self.graph, cache), Rbac(self.index))

    async def decide(self, attributes: Attributes) -> Decision:
        return self.judge(attributes)

    def judge(self, attributes: Attributes) -> Decision:
        """The decision; needs no waiting, since everything that it looks at is in memory."""
        self.refresh()
        if node_of(attributes.user):
            self._pods.refresh()
        return self._chain.decide(attributes)

    async def demand(self, attributes: Attributes) -> None:
        """Raise Forbidden, in Kubernetes's words, where the request is not allowed."""
        decision = self.judge(attributes)
        attributes.annotate("authorization.k8s.io/decision", "allow" if decision.allowed else "forbid")
        attributes.annotate("authorization.k8s.io/reason", decision.reason)
        if not decision.allowed:
            raise refusal(attributes, decision.reason)

    def refresh(self) -> None:
        """Bring the index up to date with roles and bindings."""
        for mirror in self._policy:
            mirror.refresh()

    def _remover(self, kind: str) -> Callable[[str, str], None]:
        return lambda namespace, name: self.index.remove(kind, namespace, name)
