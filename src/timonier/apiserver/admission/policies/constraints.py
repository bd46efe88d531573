"""Which requests a policy or a binding is about: rules, names, what is left out, selectors (`MatchResources`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timonier.api.kinds import Kind
from timonier.api.selectors import Labels
from timonier.apiserver.admission.webhooks.configured import Registry, in_namespace
from timonier.apiserver.admission.webhooks.rules import Place, Rule, matched
from timonier.apiserver.request import Attributes, Object


@dataclass(frozen=True, slots=True)
class Named:
    """A rule, and the names that it is about; none means all."""

    rule: Rule
    names: frozenset[str]

    @classmethod
    def of(cls, rule: Object) -> Named:
        return cls(Rule.of(rule), frozenset(rule.get("resourceNames") or ()))


@dataclass(frozen=True, slots=True)
class Constraints:
    rules: Sequence[Named]
    excluded: Sequence[Named]
    namespaces: Labels
    objects: Labels
    equivalent: bool

    @classmethod
    def of(cls, given: Object) -> Constraints:
        """Of a `MatchResources`."""
        return cls([Named.of(rule) for rule in given.get("resourceRules") or ()],
                   [Named.of(rule) for rule in given.get("excludeResourceRules") or ()],
                   Labels.of(given.get("namespaceSelector") or {}), Labels.of(given.get("objectSelector") or {}),
                   given.get("matchPolicy") != "Exact")

    async def place(self, registry: Registry, attributes: Attributes, others: Sequence[Kind], obj: Object | None,
                    old: Object | None) -> Place | None:
        """What of a request is meant, in the version of the rule that says so, or None. Raises NotFound."""
        here = Place.of(attributes)
        if self.found(self.excluded, here, others, attributes.name) is not None:
            return None
        place = self.found(self.rules, here, others, attributes.name) if self.rules else here
        if place is None or not self.selects(obj, old):
            return None
        return place if await in_namespace(registry, attributes, self.namespaces, obj) else None

    def found(self, rules: Sequence[Named], place: Place, others: Sequence[Kind], name: str) -> Place | None:
        meant = [each.rule for each in rules if not each.names or name in each.names]
        return matched(meant, place, others, equivalent=self.equivalent)

    def selects(self, obj: Object | None, old: Object | None) -> bool:
        """Whether the labels that the object has or had are wanted."""
        return self.objects.empty or any(self.objects.matches(each["metadata"].get("labels")) for each in (obj, old)
                                         if each is not None and "metadata" in each)
