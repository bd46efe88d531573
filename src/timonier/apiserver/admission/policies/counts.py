"""What is counted about admission policies, under Kubernetes's metric names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timonier.apiserver.meters import Histogram, Labels, counter, histogram

if TYPE_CHECKING:
    from prometheus_client import Metric

VALIDATING, MUTATING = "apiserver_validating_admission_policy", "apiserver_mutating_admission_policy"
BUCKETS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
NO_ERROR, COMPILE_ERROR, INVALID_ERROR, OUT_OF_BUDGET = "no_error", "compile_error", "invalid_error", "out_of_budget"


def error_type(message: str) -> str:
    """What sort of failure a message tells of."""
    if message.startswith("compilation"):
        return COMPILE_ERROR
    return OUT_OF_BUDGET if message.startswith("validation failed due to running out of cost budget") else INVALID_ERROR


@dataclass
class Checks:
    """How often something came out, and how long it took."""

    name: str
    labels: tuple[str, ...]
    total: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    durations: dict[Labels, Histogram] = field(default_factory=dict)

    def count(self, labels: Labels, seconds: float) -> None:
        self.total[labels] += 1
        self.durations.setdefault(labels, Histogram(BUCKETS)).observe(seconds)

    def families(self) -> Iterator[Metric]:
        yield counter(f"{self.name}_check_total", "What came of asking policies.", self.labels, self.total.items())
        yield histogram(f"{self.name}_check_duration_seconds", "Time that policies took, in seconds.", self.labels,
                        self.durations.items())


@dataclass
class Counts:
    """Counters of one server's policies."""

    validating: Checks = field(default_factory=lambda: Checks(VALIDATING, (
        "policy", "policy_binding", "error_type", "enforcement_action")))
    mutating: Checks = field(default_factory=lambda: Checks(MUTATING, ("policy", "policy_binding", "error_type")))

    def validated(self, policy: str, binding: str, message: str, action: str, seconds: float) -> None:
        """A policy had something against a request; `action` is what came of it: allow, deny, warn or audit."""
        self.validating.count((policy, binding, error_type(message), action), seconds)

    def mutated(self, policy: str, binding: str, message: str, seconds: float) -> None:
        """A mutation was done, or, where there is a message, failed."""
        self.mutating.count((policy, binding, error_type(message) if message else NO_ERROR), seconds)

    def families(self) -> Iterator[Metric]:
        yield from self.validating.families()
        yield from self.mutating.families()
