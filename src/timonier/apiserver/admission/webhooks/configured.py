"""Which webhooks there are, and which of them a request concerns.

Configurations are read into `Hook`s when they change, not when a request comes. A webhook is asked where its namespace
and object selectors, its rules and its match conditions all let the request through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from timonier.api.errors import NotFound
from timonier.api.kinds import BY_ID, Kind
from timonier.api.selectors import Labels
from timonier.apiserver.admission import contract
from timonier.apiserver.admission.webhooks.rules import Place, Rule, matched
from timonier.apiserver.request import Attributes, Object
from timonier.apiserver.views import Views

if TYPE_CHECKING:
    from timonier.api.cel.admission import Expression

MUTATING = BY_ID["admissionregistration.k8s.io/v1/MutatingWebhookConfiguration"]
VALIDATING = BY_ID["admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration"]
NAMESPACE = BY_ID["v1/Namespace"]
GROUP = MUTATING.group
EXEMPT = frozenset({
    "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings", "validatingadmissionpolicies", "validatingadmissionpolicybindings"})
"""Resources of that group that no webhook and no policy judges, so that a broken one can always be repaired."""


class Registry(contract.Registry, Protocol):
    """What webhooks and policies read: objects, in whatever version."""

    @property
    def views(self) -> Views: ...


@dataclass(frozen=True)
class Hook:
    """One webhook of a configuration. `uid` tells apart those of one name."""

    configuration: str
    uid: str
    spec: Object

    @cached_property
    def name(self) -> str:
        return str(self.spec["name"])

    @cached_property
    def rules(self) -> Sequence[Rule]:
        return [Rule.of(rule) for rule in self.spec.get("rules") or ()]

    @cached_property
    def namespaces(self) -> Labels:
        return Labels.of(self.spec.get("namespaceSelector") or {})

    @cached_property
    def objects(self) -> Labels:
        return Labels.of(self.spec.get("objectSelector") or {})

    @cached_property
    def conditions(self) -> Sequence[Expression]:
        if not self.spec.get("matchConditions"):
            return ()
        from timonier.apiserver.admission.webhooks.conditions import compiled

        return compiled(self.spec)

    @property
    def ignores_failure(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"

    @property
    def without_effects(self) -> bool:
        """Whether a dry run may ask it."""
        return self.spec.get("sideEffects") in ("None", "NoneOnDryRun")

    def place(self, attributes: Attributes, others: Sequence[Kind]) -> Place | None:
        """What of a request the webhook's rules name; None where they name nothing of it."""
        return matched(self.rules, Place.of(attributes), others, equivalent=self.spec.get("matchPolicy") != "Exact")

    def selects(self, obj: Object | None, old: Object | None) -> bool:
        """Whether the webhook wants objects with the labels that this one has or had."""
        return self.objects.empty or any(self.objects.matches(each["metadata"].get("labels")) for each in (obj, old)
                                         if each is not None and "metadata" in each)


@dataclass
class Configured:
    """The webhooks of all configurations of a kind, by name of the configuration and then in its order."""

    registry: Registry
    kind: Kind
    _seen: int = -1
    _hooks: Sequence[Hook] = field(default_factory=list)

    def hooks(self) -> Sequence[Hook]:
        changes = self.registry.changes(self.kind)
        if changes != self._seen:
            found = sorted(self.registry.peek_all(self.kind), key=lambda each: str(each["metadata"]["name"]))
            self._hooks, self._seen = [hook for each in found for hook in hooks_of(each)], changes
        return self._hooks


def hooks_of(configuration: Object) -> Iterator[Hook]:
    name, taken = configuration["metadata"]["name"], dict[str, int]()
    for spec in configuration.get("webhooks") or ():
        number = taken.get(spec["name"], 0)
        taken[spec["name"]] = number + 1
        yield Hook(name, f"{name}/{spec['name']}/{number}", spec)


def exempt(group: str, resource: str) -> bool:
    return group == GROUP and resource in EXEMPT


async def in_namespace(registry: Registry, attributes: Attributes, selector: Labels, obj: Object | None) -> bool:
    """Whether a selector of namespaces lets a request through, which it does where there is no namespace.

    A namespace that is written is judged by what it will be. Raises NotFound for one that does not exist.
    """
    itself = not attributes.group and attributes.resource == "namespaces"
    if selector.empty or not (attributes.namespace or itself):
        return True
    if itself and not attributes.subresource and obj is not None:
        return selector.matches(obj["metadata"].get("labels"))
    name = attributes.name if itself else attributes.namespace
    namespace = registry.peek(NAMESPACE, "", name)
    if namespace is None:
        try:
            namespace = await registry.get(NAMESPACE, "", name)
        except NotFound:
            raise NotFound(f'namespaces "{name}" not found', resource="namespaces", name=name) from None
    return selector.matches(namespace["metadata"].get("labels"))
