"""What the kernel should hold, Service by Service: what a change comes to, without looking at the rest. Pure.

Two Services may claim one frontend (an external IP, say): the first keeps it until it lets go. Two may contribute the
same element (a hairpin of a pod behind both): it stays until the last lets go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from timonier.node.proxy.elements import Element, elements
from timonier.node.proxy.rules import Frontend, Route


@dataclass(slots=True)
class Change:
    """What one step does to the kernel's maps."""

    delete: list[Element] = field(default_factory=list)
    add: list[Element] = field(default_factory=list)
    frontends: set[Frontend] = field(default_factory=set)
    """Frontends whose endpoints changed: flows and affinities that lead elsewhere are stale."""

    def __bool__(self) -> bool:
        return bool(self.delete or self.add)


class Ledger:
    """The routes of all Services and the elements that they come to."""

    def __init__(self) -> None:
        self.routes: dict[Frontend, Route] = {}
        self._owner: dict[Frontend, str] = {}
        self._claims: dict[str, dict[Frontend, Route]] = {}
        self._waiting: dict[Frontend, dict[str, None]] = {}
        self._held: Counter[Element] = Counter()

    def elements(self) -> Iterable[Element]:
        return self._held.keys()

    def update(self, claims: Mapping[str, Mapping[Frontend, Route]]) -> Change:
        """Replace what these Services claim; an empty mapping for one that is gone."""
        before: dict[Frontend, Route | None] = {}
        for service, wanted in claims.items():
            self._claim(service, wanted, before)
        return self._settle(before)

    def _claim(self, service: str, wanted: Mapping[Frontend, Route], before: dict[Frontend, Route | None]) -> None:
        old = self._claims.get(service, {})
        for frontend in old.keys() - wanted.keys():
            self._release(service, frontend, before)
        for frontend, route in wanted.items():
            owner = self._owner.setdefault(frontend, service)
            if owner != service:
                self._waiting.setdefault(frontend, {})[service] = None
            elif self.routes.get(frontend) != route:
                before.setdefault(frontend, self.routes.get(frontend))
                self.routes[frontend] = route
        if wanted:
            self._claims[service] = dict(wanted)
        else:
            self._claims.pop(service, None)

    def _release(self, service: str, frontend: Frontend, before: dict[Frontend, Route | None]) -> None:
        waiting = self._waiting.get(frontend, {})
        if self._owner.get(frontend) != service:
            waiting.pop(service, None)
        else:
            before.setdefault(frontend, self.routes.pop(frontend, None))
            self.routes.pop(frontend, None)
            del self._owner[frontend]
            if waiting:
                heir = next(iter(waiting))
                del waiting[heir]
                self._owner[frontend] = heir
                self.routes[frontend] = self._claims[heir][frontend]
        if not waiting:
            self._waiting.pop(frontend, None)

    def _settle(self, before: Mapping[Frontend, Route | None]) -> Change:
        change, touched = Change(), Counter[Element]()
        for frontend, was in before.items():
            now = self.routes.get(frontend)
            if was == now:
                continue
            change.frontends.add(frontend)
            touched.subtract(elements(frontend, was) if was else ())
            touched.update(elements(frontend, now) if now else ())
        for element, difference in touched.items():
            held = self._held[element]
            if held + difference:
                self._held[element] = held + difference
            else:
                del self._held[element]
            if held and not held + difference:
                change.delete.append(element)
            elif difference and not held:
                change.add.append(element)
        return change
