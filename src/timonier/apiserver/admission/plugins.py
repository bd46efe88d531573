"""All plugins in their order, and who of them is asked about what.

A request passes those plugins that concern it and nobody else: who they are is found once for each resource and
operation. Where a webhook changed the object and another one wants to see later changes, the object passes all that
change it a second time, as KEP "Mutating admission webhook reinvocation" has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timonier.apiserver.admission.contract import Plugin
from timonier.apiserver.meters import Histogram, Labels, histogram
from timonier.apiserver.request import Attributes, Object
from timonier.kit.clock import Time

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
Place = tuple[str, str, str, str]
"""Group, resource, subresource and operation."""
LIMIT = 4096
"""Places that are remembered; there are fewer in any cluster, but clients can name what does not exist."""


@dataclass
class Chain:
    """Admission as the registry knows it."""

    plugins: Sequence[Plugin] = ()
    now: Callable[[], Time] = time.monotonic
    steps: dict[Labels, Histogram] = field(default_factory=dict)
    _changing: dict[Place, tuple[Plugin, ...]] = field(default_factory=dict)
    _judging: dict[Place, tuple[Plugin, ...]] = field(default_factory=dict)

    async def admit(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Let every plugin change `obj` in place. Raises what they raise."""
        started, rejected = self.now(), "true"
        try:
            changing = self.concerned(self._changing, "admit", attributes)
            for plugin in changing:
                await plugin.admit(attributes, obj, old)
            if attributes.passage.wanted:
                attributes.passage.second = True
                for plugin in changing:
                    await plugin.admit(attributes, obj, old)
            rejected = "false"
        finally:
            self.observe("admit", attributes.operation, rejected, started)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Let every plugin judge the result. Raises what they raise."""
        started, rejected = self.now(), "true"
        try:
            for plugin in self.concerned(self._judging, "validate", attributes):
                await plugin.validate(attributes, obj, old)
            rejected = "false"
        finally:
            self.observe("validate", attributes.operation, rejected, started)

    def observe(self, step: str, operation: str, rejected: str, started: Time) -> None:
        labels = step, operation, rejected
        found = self.steps.get(labels)
        if found is None:
            found = self.steps[labels] = Histogram(BUCKETS)
        found.observe(self.now() - started)

    def families(self) -> Iterator[Metric]:
        """What the steps took, under Kubernetes's metric name."""
        yield histogram("apiserver_admission_step_admission_duration_seconds", "Time that admission took, in seconds.",
                        ("type", "operation", "rejected"), self.steps.items())

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
