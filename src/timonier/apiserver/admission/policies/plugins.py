"""The plugins of policies, as the chain has them: light, since most clusters bind no policy.

What judges requests is loaded with the first binding, and with it the language of expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from timonier.api.kinds import BY_ID, Kind
from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.admission.policies.counts import Counts
from timonier.apiserver.admission.webhooks.configured import GROUP, Registry, exempt
from timonier.apiserver.auth.decision import Authoriser
from timonier.apiserver.request import SERVER, Attributes, Object
from timonier.apiserver.resources import Resources
from timonier.kit.clock import Clock

VALIDATING, VALIDATING_BINDING, MUTATING, MUTATING_BINDING = (
    BY_ID[f"{GROUP}/v1/{kind}"] for kind in (
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding"))


class Judge(Protocol):
    """What a plugin does once there is something to do."""

    async def __call__(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None: ...


@dataclass
class Policies(Plugin):
    """What the two plugins have in common."""

    registry: Registry
    resources: Resources
    authoriser: Authoriser
    clock: Clock
    counts: Counts
    _seen: int = -1
    _bound: bool = False
    _judge: Judge | None = field(default=None)

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return not exempt(group, resource)

    def bound(self, binding: Kind) -> bool:
        """Whether any policy is bound."""
        changes = self.registry.changes(binding)
        if changes != self._seen:
            self._bound, self._seen = bool(self.registry.peek_all(binding)), changes
        return self._bound


class ValidatingPolicies(Policies):
    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if attributes.user is SERVER or not self.bound(VALIDATING_BINDING):
            return
        if self._judge is None:
            from timonier.apiserver.admission.policies.validating import judged

            self._judge = judged(self)
        await self._judge(attributes, obj, old)


class MutatingPolicies(Policies):
    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if attributes.user is SERVER or not self.bound(MUTATING_BINDING):
            return
        if self._judge is None:
            from timonier.apiserver.admission.policies.mutating import changed

            self._judge = changed(self)
        await self._judge(attributes, obj, old)
