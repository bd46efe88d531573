"""What the plugins of policies share: where they look, and whether a binding concerns a request."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.apiserver.admission.policies.compiled import Binding
from timonier.apiserver.admission.policies.counts import Counts
from timonier.apiserver.admission.policies.plugins import Policies
from timonier.apiserver.admission.policies.situation import Situation
from timonier.apiserver.admission.webhooks.configured import Registry
from timonier.apiserver.auth.decision import Authoriser
from timonier.apiserver.request import Attributes, Object
from timonier.apiserver.resources import Resources
from timonier.kit.clock import Clock


@dataclass(frozen=True)
class Matcher:
    registry: Registry
    resources: Resources
    authoriser: Authoriser
    clock: Clock
    counts: Counts

    @classmethod
    def of(cls, plugin: Policies) -> Matcher:
        return cls(plugin.registry, plugin.resources, plugin.authoriser, plugin.clock, plugin.counts)

    def situation(self, attributes: Attributes) -> Situation:
        return Situation(self.registry, self.resources, self.authoriser, attributes)

    async def concerned(self, binding: Binding, situation: Situation, obj: Object | None, old: Object | None) -> bool:
        """Whether a binding is about a request that its policy is about. Raises NotFound."""
        if binding.constraints is None:
            return True
        found = await binding.constraints.place(self.registry, situation.attributes, situation.others, obj, old)
        return found is not None
