"""The authoriser that the server asks: system:masters, then those that the settings name, in their order.

Node and RBAC decide from the watch cache; what they derive from it is brought up to date here, at each question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timonier.api.kinds import BY_ID
from timonier.apiserver.auth import decision
from timonier.apiserver.auth.counts import Counts
from timonier.apiserver.auth.decision import AlwaysAllow, AlwaysDeny, Chain, Decision, refusal
from timonier.apiserver.auth.mirror import Cache, Mirror
from timonier.apiserver.auth.node import NodeAuthoriser
from timonier.apiserver.auth.rbac import GROUP, Index, Rbac
from timonier.apiserver.request import Attributes

POLICY_KINDS = tuple(BY_ID[f"{GROUP}/v1/{kind}"]
                     for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))


class Authoriser:
    """Decides every request. `index` is for those who reason about rights themselves, such as escalation checks."""

    def __init__(self, cache: Cache, members: Sequence[str | decision.Authoriser] = ("Node", "RBAC")) -> None:
        self.index = Index()
        self._policy = [Mirror(cache, kind, self.index.put, self._remover(kind.kind)) for kind in POLICY_KINDS]
        self._cache, self._seen = cache, -1
        self.modes: tuple[str, ...] = ()
        """Who is asked, by the names of their modes."""
        self.counts = Counts()
        self._chain = Chain(self.counts)
        self.use(members)

    def use(self, members: Sequence[str | decision.Authoriser]) -> None:
        """Ask these from now on: modes by their names, webhooks as they are."""
        own: dict[str, Callable[[], decision.Authoriser]] = {
            "Node": lambda: NodeAuthoriser(self._cache), "RBAC": lambda: Rbac(self.index, self.refresh),
            "AlwaysAllow": AlwaysAllow, "AlwaysDeny": AlwaysDeny}
        self.modes = tuple(member if isinstance(member, str) else "Webhook" for member in members)
        made = (own[member]() if isinstance(member, str) else member for member in members)
        self._chain = Chain(self.counts, *zip(self.modes, made, strict=True))

    async def decide(self, attributes: Attributes) -> Decision:
        return await self._chain.decide(attributes)

    async def demand(self, attributes: Attributes) -> None:
        """Raise Forbidden, in Kubernetes's words, where the request is not allowed."""
        found = await self._chain.decide(attributes)
        attributes.annotate("authorization.k8s.io/decision", "allow" if found.allowed else "forbid")
        attributes.annotate("authorization.k8s.io/reason", found.reason)
        if not found.allowed:
            raise refusal(attributes, found.reason)

    def refresh(self) -> None:
        """Bring the index up to date with roles and bindings."""
        revision = self._cache.revision
        if revision != self._seen:
            for mirror in self._policy:
                mirror.refresh()
            self._seen = revision

    def _remover(self, kind: str) -> Callable[[str, str], None]:
        return lambda namespace, name: self.index.remove(kind, namespace, name)
