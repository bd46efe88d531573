"""What the runner counts, under the names that Kubernetes dashboards know (workqueue_*), as plain numbers.

Source: client-go, "workqueue" metrics. No library: a dozen counters do not need one in a process that should be small.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from timonier.client.queue import WorkQueue


@dataclass(slots=True)
class Counts:
    """The life of one controller's queue so far; times in seconds."""

    queue: WorkQueue
    adds: int = 0
    retries: int = 0
    done: int = 0
    busy_seconds: float = 0.0
    longest_seconds: float = 0.0


ROWS = (
    ("workqueue_depth", "gauge", "Keys that wait", lambda counts: len(counts.queue)),
    ("workqueue_adds_total", "counter", "Changes that concerned a key", lambda counts: counts.adds),
    ("workqueue_retries_total", "counter", "Keys tried again after a failure", lambda counts: counts.retries),
    ("workqueue_work_duration_seconds_sum", "counter", "Time spent on keys", lambda counts: counts.busy_seconds),
    ("workqueue_work_duration_seconds_count", "counter", "Keys worked on", lambda counts: counts.done),
    ("workqueue_longest_running_processor_seconds", "gauge", "The longest that one key took",
     lambda counts: counts.longest_seconds),
)


def render(counts: dict[str, Counts]) -> Iterable[str]:
    """The lines of the Prometheus text format, one sample a controller."""
    for metric, kind, text, value in ROWS:
        yield f"# HELP {metric} {text}."
        yield f"# TYPE {metric} {kind}"
        for name, each in counts.items():
            yield f'{metric}{{name="{name}"}} {value(each)}'
