"""What the server counts about itself, under Kubernetes's metric names.

Counting happens on every request and is a few additions to dictionaries; prometheus-client, which writes it all out,
is imported when somebody asks for /metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from timonier.apiserver.request import Request

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
REQUEST_LABELS = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code")
DURATION_LABELS = REQUEST_LABELS[:-1]
LONG_RUNNING_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
VERBS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "get": "GET", "list": "LIST",
         "deletecollection": "DELETECOLLECTION", "watch": "WATCH"}
LABELS_LIMIT = 10_000
"""Different label values that are told apart; beyond that, requests count as `other`, so that nobody fills memory."""

Labels = tuple[str, ...]


class Metrics:
    """Counters of one server."""

    def __init__(self, objects: Callable[[], Iterable[tuple[str, int]]] = lambda: ()) -> None:
        self.requests: dict[Labels, int] = defaultdict(int)
        self.durations: dict[Labels, list[float]] = {}
        self.streams: dict[Labels, int] = defaultdict(int)
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self.objects = objects

    def observe(self, request: Request, code: int, seconds: float) -> None:
        """Count an answered request."""
        labels = labels_of(request)
        if labels not in self.durations and len(self.durations) >= LABELS_LIMIT:
            labels = ("other", *("",) * (len(DURATION_LABELS) - 1))
        self.requests[*labels, str(code)] += 1
        found = self.durations.get(labels)
        if found is None:
            # One place for each bucket, then the rest, the count and the sum.
            found = self.durations[labels] = [0.0] * (len(BUCKETS) + 3)
        found[bisect_left(BUCKETS, seconds)] += 1
        found[-2] += 1
        found[-1] += seconds

    @contextmanager
    def long_running(self, request: Request) -> Iterator[None]:
        """Count a stream while it lasts."""
        verb, _, group, version, resource, subresource, scope, component = labels_of(request)
        labels = (verb, group, version, resource, subresource, scope, component)
        self.streams[labels] += 1
        try:
            yield
        finally:
            self.streams[labels] -= 1

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus-client wants them."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily("apiserver_request_total", "Requests answered.", labels=REQUEST_LABELS)
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        durations = HistogramMetricFamily("apiserver_request_duration_seconds", "Time to answer, in seconds.",
                                          labels=DURATION_LABELS)
        for labels, found in self.durations.items():
            durations.add_metric(labels, list(cumulative(found)), found[-1])
        streams = GaugeMetricFamily("apiserver_longrunning_requests", "Streams that are open.",
                                    labels=LONG_RUNNING_LABELS)
        for labels, count in self.streams.items():
            streams.add_metric(labels, count)
        flight = GaugeMetricFamily("apiserver_current_inflight_requests", "Requests being answered.",
                                   labels=("request_kind",))
        for name, count in self.in_flight.items():
            flight.add_metric((name,), count)
        objects = GaugeMetricFamily("apiserver_storage_objects", "Objects stored.", labels=("resource",))
        for resource, count in self.objects():
            objects.add_metric((resource,), count)
        yield from (requests, durations, streams, flight, objects)


def cumulative(found: list[float]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for bound, count in zip((*BUCKETS, float("inf")), found, strict=False):
        total += count
        yield ("+Inf" if bound == float("inf") else repr(float(bound))), total


def labels_of(request: Request) -> Labels:
    info = request.info
    kind = request.kind
    if kind is None:
        path = info.path if info.path in ("/healthz", "/livez", "/readyz", "/metrics", "/version") else ""
        return (request.method if request.method in VERBS.values() else "other", "", "", "", "", path, "", "apiserver")
    scope = "resource" if info.name else ("namespace" if info.namespace else "cluster")
    dry_run = "All" if "dryRun" in request.query else ""
    subresource = info.subresource if info.subresource and kind.subresource(info.subresource) else ""
    return (VERBS.get(info.verb, "other"), dry_run, info.group, info.version, info.resource, subresource, scope,
            "apiserver")

