"""All plugins in their order, and who of them is asked about what.

A request passes those plugins that concern it and nobody else: who they are is found once for each resource and
operation. Where a webhook changed the object and another one wants to see later changes, the object passes all that
change it a second time, as KEP "Mutating admission webhook reinvocation" has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.request import Attributes, Object

Place = tuple[str, str, str, str]
"""Group, resource, subresource and operation."""
LIMIT = 4096
"""Places that are remembered; there are fewer in any cluster, but clients can name what does not exist."""


@dataclass
class Chain:
    """Admission as the registry knows it."""

    plugins: Sequence[Plugin] = ()
    _changing: dict[Place, tuple[Plugin, ...]] = field(default_factory=dict)
    _judging: dict[Place, tuple[Plugin, ...]] = field(default_factory=dict)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Let every plugin change `obj` in place. Raises what they raise."""
        changing = self.concerned(self._changing, "admit", attributes)
        for plugin in changing:
            await plugin.admit(attributes, obj, old)
        if attributes.passage.wanted:
            attributes.passage.second = True
            for plugin in changing:
                await plugin.admit(attributes, obj, old)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Let every plugin judge the result. Raises what they raise."""
        for plugin in self.concerned(self._judging, "validate", attributes):
            await plugin.validate(attributes, obj, old)

    def concerned(self, known: dict[Place, tuple[Plugin, ...]], step: str,
                  attributes: Attributes) -> tuple[Plugin, ...]:
        place = (attributes.group, attributes.resource, attributes.subresource, attributes.operation)
        found = known.get(place)
        if found is None:
            found = tuple(plugin for plugin in self.plugins if plugin.concerns(*place)
                          and getattr(type(plugin), step) is not getattr(Plugin, step))
            if len(known) < LIMIT:
                known[place] = found
        return found
