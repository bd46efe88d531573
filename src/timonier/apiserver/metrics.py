"""What the server counts about itself, under Kubernetes's metric names.

Counting happens on every request and is a few additions to dictionaries; prometheus-client, which writes it all out,
is imported when somebody asks for /metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from timonier.apiserver.meters import Histogram, Labels, Tally, counter, gauge, histogram
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

class Metrics:
    """Counters of one server."""

    def __init__(self, objects: Callable[[], Iterable[tuple[str, int]]] = lambda: ()) -> None:
        self.requests: dict[Labels, int] = defaultdict(int)
        self.durations: dict[Labels, Histogram] = {}
        self.streams: dict[Labels, int] = defaultdict(int)
        self.health: dict[Labels, bool] = {}
        self.checks: dict[Labels, int] = defaultdict(int)
        self.watch_events: dict[Labels, Tally] = defaultdict(Tally)
        """Events sent to watchers, by the group, version and resource that they watch."""
        self.authentications: dict[Labels, int] = defaultdict(int)
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self.objects = objects
        self.sources: list[Callable[[], Iterable[Metric]]] = []
        """What other parts of the server have counted."""

    def observe(self, request: Request, code: int, seconds: float) -> None:
        """Count an answered request."""
        labels = labels_of(request)
        found = self.durations.get(labels)
        if found is None:
            if len(self.durations) >= LABELS_LIMIT:
                labels = ("other", *("",) * (len(DURATION_LABELS) - 1))
            found = self.durations.setdefault(labels, Histogram(BUCKETS))
        self.requests[*labels, str(code)] += 1
        found.observe(seconds)

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

    def checked(self, name: str, endpoint: str, *, well: bool) -> None:
        """Count a health check."""
        self.health[name, endpoint] = well
        self.checks[name, endpoint, "success" if well else "error"] += 1

    def slis(self) -> bytes:
        """What tells how well the server has been, in Prometheus's text format (/metrics/slis, KEP-3466)."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import generate_latest

        class Slis:
            def collect(_, metrics: Metrics = self) -> Iterator[Metric]:  # noqa: N805
                yield gauge("kubernetes_healthcheck", "Whether a health check last succeeded.", ("name", "type"),
                            metrics.health.items())
                yield counter("kubernetes_healthchecks_total", "Health checks.", ("name", "type", "status"),
                              metrics.checks.items())

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Slis())
        return generate_latest(registry)

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
        yield counter("apiserver_request_total", "Requests answered.", REQUEST_LABELS, self.requests.items())
        yield histogram("apiserver_request_duration_seconds", "Time to answer, in seconds.", DURATION_LABELS,
                        self.durations.items())
        yield gauge("apiserver_longrunning_requests", "Streams that are open.", LONG_RUNNING_LABELS,
                    self.streams.items())
        yield gauge("apiserver_current_inflight_requests", "Requests being answered.", ("request_kind",),
                    (((name,), count) for name, count in self.in_flight.items()))
        yield gauge("apiserver_storage_objects", "Objects stored.", ("resource",),
                    (((resource,), count) for resource, count in self.objects()))
        yield gauge("apiserver_resource_objects", "Objects stored.", ("group", "resource"),
                    (((group, resource), count) for resource, group, count in map(parted, self.objects())))
        yield counter("apiserver_watch_events_total", "Events sent to watchers.", ("group", "version", "resource"),
                      ((labels, tally.count) for labels, tally in self.watch_events.items()))
        # A counter in Kubernetes, whose name does not end as prometheus-client has those of counters end.
        yield gauge("authentication_attempts", "Requests, by whether it could be told who asks.", ("result",),
                      self.authentications.items())
        for source in self.sources:
            yield from source()


def parted(counted: tuple[str, int]) -> tuple[str, str, int]:
    """(resource, group, count) of what is stored below `deployments.apps`."""
    resource, _, group = counted[0].partition(".")
    return resource, group, counted[1]


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

