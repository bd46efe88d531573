"""Which policies there are and how they are bound, compiled anew only when one of them changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from timonier.api.kinds import Kind
from timonier.apiserver.admission.policies.compiled import Binding, Policy
from timonier.apiserver.admission.webhooks.configured import Registry
from timonier.apiserver.request import Object

P = TypeVar("P", bound=Policy)


@dataclass
class Configured(Generic[P]):
    """Policies with at least one binding, by name, each with its bindings by name."""

    registry: Registry
    policy: Kind
    binding: Kind
    compile: Callable[[Object], P]
    _seen: tuple[int, int] = (-1, -1)
    _bound: Sequence[tuple[P, Sequence[Binding]]] = ()
    _compiled: dict[str, tuple[Object, P]] = field(default_factory=dict)

    def bound(self) -> Sequence[tuple[P, Sequence[Binding]]]:
        seen = self.registry.changes(self.policy), self.registry.changes(self.binding)
        if seen != self._seen:
            self._bound, self._seen = self._read(), seen
        return self._bound

    def _read(self) -> Sequence[tuple[P, Sequence[Binding]]]:
        bindings: dict[str, list[Binding]] = {}
        for obj in sorted(self.registry.peek_all(self.binding), key=name_of):
            bindings.setdefault(obj["spec"]["policyName"], []).append(Binding.of(obj))
        policies = {name_of(obj): obj for obj in self.registry.peek_all(self.policy)}
        before, self._compiled = self._compiled, {}
        for name in sorted(policies.keys() & bindings.keys()):
            spec = policies[name]["spec"]
            known = before.get(name)
            same = known is not None and known[0] == spec
            self._compiled[name] = known if known and same else (spec, self.compile(policies[name]))
        return [(policy, bindings[name]) for name, (_, policy) in self._compiled.items()]


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])
