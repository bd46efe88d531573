"""What the scheduler counts, under Kubernetes's names: attempts and how they went, pods that wait and where.

Source: kube-scheduler, "scheduler_" metrics. Durations are a sum and a count, without quantiles or buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from timonier.component.metrics import family, sample
from timonier.kit.clock import Seconds
from timonier.scheduler.queue import SchedulingQueue, State

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
QUEUES = {State.ACTIVE: "active", State.BACKING_OFF: "backoff", State.UNSCHEDULABLE: "unschedulable",
          State.GATED: "gated"}
"""What Kubernetes calls the places in the queue; a pod in flight is in none."""


def zero() -> dict[str, float]:
    return dict.fromkeys((SCHEDULED, UNSCHEDULABLE, ERROR), 0)


@dataclass(slots=True)
class Attempts:
    """Attempts of one scheduler so far, by result: how many, and how long from the queue to the end of the binding."""

    profile: str
    counts: dict[str, float] = field(default_factory=zero)
    seconds: dict[str, float] = field(default_factory=zero)

    def count(self, result: str, seconds: Seconds) -> None:
        self.counts[result] += 1
        self.seconds[result] += seconds


def render(attempts: Attempts, queue: SchedulingQueue) -> Iterator[str]:
    """The lines of the Prometheus text format."""
    labels = {result: {"profile": attempts.profile, "result": result} for result in attempts.counts}
    yield from family("scheduler_schedule_attempts_total", "counter", "Attempts to schedule pods, by result.",
                      [(labels[result], count, None) for result, count in attempts.counts.items()])
    duration = "scheduler_scheduling_attempt_duration_seconds"
    yield from family(duration, "summary", "Seconds from the queue to the end of the binding, by result.", [])
    for result, count in attempts.counts.items():
        yield sample(f"{duration}_sum", labels[result], attempts.seconds[result])
        yield sample(f"{duration}_count", labels[result], count)
    states = queue.states()
    yield from family("scheduler_pending_pods", "gauge", "Pods that wait for a node, by the queue they are in.",
                      [({"queue": name}, states[state], None) for state, name in QUEUES.items()])
