"""What is counted about webhooks, under Kubernetes's metric names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timonier.apiserver.meters import Histogram, Labels, counter, gauge, histogram

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX = "apiserver_admission_webhook"
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)
LARGEST_CODE = 600
"""Codes beyond it are counted as it, so that no webhook can fill memory."""


@dataclass
class Counts:
    """Counters of one server's webhooks. Types are `admit` and `validating`."""

    durations: dict[Labels, Histogram] = field(default_factory=dict)
    requests: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    rejections: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    failed_open: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))

    def called(self, name: str, kind: str, operation: str, code: int, seconds: float, *, rejected: bool = False
               ) -> None:
        no = "true" if rejected else "false"
        self.durations.setdefault((name, kind, operation, no), Histogram(BUCKETS)).observe(seconds)
        self.requests[name, kind, operation, str(min(code, LARGEST_CODE)), no] += 1

    def rejected(self, name: str, kind: str, operation: str, error: str, code: int) -> None:
        self.rejections[name, kind, operation, error, str(min(code, LARGEST_CODE))] += 1

    def let_through(self, name: str, kind: str) -> None:
        """A webhook could not be asked, and its policy is to ignore that."""
        self.failed_open[name, kind] += 1

    def families(self) -> Iterator[Metric]:
        """The families; two of the counters have names that Prometheus's library gives to no counter."""
        yield histogram(f"{PREFIX}_admission_duration_seconds", "Time that webhooks took, in seconds.",
                        ("name", "type", "operation", "rejected"), self.durations.items())
        yield counter(f"{PREFIX}_request_total", "Questions to webhooks.",
                      ("name", "type", "operation", "code", "rejected"), self.requests.items())
        yield gauge(f"{PREFIX}_rejection_count", "Requests that webhooks refused, or that failed with them.",
                    ("name", "type", "operation", "error_type", "rejection_code"), self.rejections.items())
        yield gauge(f"{PREFIX}_fail_open_count", "Requests let through past webhooks that failed.", ("name", "type"),
                    self.failed_open.items())
