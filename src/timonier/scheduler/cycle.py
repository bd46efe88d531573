"""The scheduling cycle: keeps snapshot and queue up to date from what the watch tells, and decides pod after pod.

Synchronous and without I/O: `turn` gives what is to be done about a pod, `run` does it and reports with `bound` or
`not_bound`. Because nothing waits between popping a pod and deciding, no event is missed in between.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from timonier.api.types import core_v1
from timonier.kit.clock import Time
from timonier.scheduler.decide import decide
from timonier.scheduler.metrics import ERROR, SCHEDULED, UNSCHEDULABLE, Attempts
from timonier.scheduler.preempt import Preemption, preempt
from timonier.scheduler.queue import Entry, Event, SchedulingQueue
from timonier.scheduler.request import Request, request_of
from timonier.scheduler.settings import SchedulerSettings
from timonier.scheduler.snapshot import Snapshot

log = logging.getLogger(__name__)

OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Bind:
    """Assign the pod to the node; it is counted there already."""

    entry: Entry
    node: str


@dataclass(frozen=True, slots=True)
class Report:
    """No node fits. Say so; and evict the victims, where there is a node on which that makes room."""

    entry: Entry
    message: str
    preemption: Preemption


class Cycle:
    """The scheduler's state. Handlers are informer handlers; `wake` is called when a pod may have become ready."""

    def __init__(self, settings: SchedulerSettings, now: Callable[[], Time],
                 wake: Callable[[], None] = lambda: None) -> None:
        self.nodes = Snapshot()
        self.queue = SchedulingQueue(settings.pod_initial_backoff, settings.pod_max_backoff,
                                     settings.unschedulable_flush)
        self.attempts = Attempts(settings.scheduler_name)
        self._name, self._now, self._wake = settings.scheduler_name, now, wake
        self._nominated: dict[str, tuple[Request, str]] = {}
        self._turns = itertools.count()

    # What the watch tells

    def node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if new is None:
            if old is not None:
                self.nodes.remove_node(old.metadata.name)
            self._happened(Event.POD_GONE)  # spreading counts fewer domains
            return
        if old is not None and same_offer(old, new):
            return
        try:
            self.nodes.set_node(new)
        except ValueError as error:
            log.warning("node cannot be read", extra={"node": new.metadata.name, "error": str(error)})
            return
        self._happened(Event.NODE)

    def namespace_changed(self, old: core_v1.Namespace | None, new: core_v1.Namespace | None) -> None:
        if new is None:
            if old is not None:
                self.nodes.namespaces.pop(old.metadata.name, None)
        elif old is None or old.metadata.labels != new.metadata.labels:
            self.nodes.namespaces[new.metadata.name] = new.metadata.labels
            self._happened(Event.NAMESPACE)

    def pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid or is_over(new)):
            self._gone(old)
        if new is None or is_over(new):
            return
        if new.spec.nodeName:
            self._assigned(old, new)
        elif new.spec.schedulerName in (self._name, "") and not new.metadata.deletionTimestamp:
            self._waiting(old, new)
        else:
            self._forget(new.metadata.uid)

    def _gone(self, pod: core_v1.Pod) -> None:
        counted = pod.metadata.uid in self.nodes.pods
        self._forget(pod.metadata.uid)
        self.nodes.remove_pod(pod.metadata.uid)
        if counted:
            self._happened(Event.POD_GONE)

    def _assigned(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        self._forget(new.metadata.uid)
        counted = self.nodes.pods.get(new.metadata.uid)
        if old is not None and counted and counted[1] == new.spec.nodeName and same_pod(old, new):
            return
        request = self._read(new)
        if request is None:
            return
        self.nodes.add_pod(request, new.spec.nodeName)
        self._happened(Event.POD_BOUND)
        if old is not None and old.spec.nodeName:  # it asks for less now, or is leaving
            self._happened(Event.POD_GONE)

    def _waiting(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        uid = new.metadata.uid
        if uid in self.nodes.pods:
            return  # assumed; the binding is on its way
        if old is not None and uid in self.queue and same_pod(old, new):
            self.queue.refresh(new, uid)
            return
        if (request := self._read(new)) is not None:
            if request.nominated:  # by us, before a restart
                self._nominated.setdefault(uid, (request, request.nominated))
            self.queue.add(new, request, self._now())
            self._wake()

    def _read(self, pod: core_v1.Pod) -> Request | None:
        try:
            return request_of(pod)
        except ValueError as error:  # the API server lets no such pod in
            log.warning("pod cannot be read", extra={"pod": pod.metadata.name, "error": str(error)})
            return None

    def _forget(self, uid: str) -> None:
        self.queue.remove(uid)
        self._nominated.pop(uid, None)

    def _happened(self, event: Event) -> None:
        self.queue.happened(event, self._now())
        self._wake()

    # Deciding

    def turn(self) -> Bind | Report | None:
        """Decide about the next pod; None where none is ready."""
        entry = self.queue.pop(self._now())
        if entry is None:
            return None
        uid = entry.request.uid
        _, nominated = self._nominated.pop(uid, (None, ""))
        request = replace(entry.request, nominated=nominated)
        with self._with_nominated(request):
            decision = decide(request, self.nodes, next(self._turns))
            preemption = Preemption(None) if decision.node else preempt(request, self.nodes, decision)
        if decision.node is not None:
            self.nodes.add_pod(request, decision.node)
            return Bind(entry, decision.node)
        if preemption.nominated:
            self._nominated[uid] = request, preemption.nominated
        self.queue.fail(entry, decision.filters, self._now())
        self._count(entry, UNSCHEDULABLE)
        return Report(entry, decision.message(preemption.message), preemption)

    @contextmanager
    def _with_nominated(self, request: Request) -> Iterator[None]:
        """Keep the room of pods for which others were evicted from those that are less important."""
        kept = [(pod, node) for uid, (pod, node) in self._nominated.items()
                if uid != request.uid and pod.priority >= request.priority and uid not in self.nodes.pods]
        for pod, node in kept:
            self.nodes.add_pod(pod, node)
        try:
            yield
        finally:
            for pod, _ in kept:
                self.nodes.remove_pod(pod.uid)

    # How it went

    def bound(self, entry: Entry) -> None:
        """The API server has assigned the pod; it stays counted, and the watch will confirm."""
        self.queue.remove(entry.request.uid)
        self._count(entry, SCHEDULED)

    def not_bound(self, entry: Entry, *, gone: bool) -> None:
        """The API server refused. `gone`: there is no such pod any more."""
        self._count(entry, ERROR)
        uid = entry.request.uid
        if uid not in self.queue:
            return  # the watch knew first: it was assigned or deleted, and the handlers have seen to it
        self.nodes.remove_pod(uid)
        if gone:
            self._forget(uid)
        else:
            self.queue.retry(entry, self._now())
        self._happened(Event.POD_GONE)

    def _count(self, entry: Entry, result: str) -> None:
        self.attempts.count(result, self._now() - entry.popped)


def is_over(pod: core_v1.Pod) -> bool:
    return pod.status.phase in OVER


def same_pod(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    """Whether nothing changed that a decision looks at; most changes are of status."""
    return (old.metadata.uid == new.metadata.uid and old.metadata.labels == new.metadata.labels
            and old.metadata.deletionTimestamp == new.metadata.deletionTimestamp and old.spec == new.spec)


def same_offer(old: core_v1.Node, new: core_v1.Node) -> bool:
    """Whether a node offers what it did; most changes are heartbeats."""
    return (old.status.allocatable == new.status.allocatable and old.metadata.labels == new.metadata.labels
            and old.spec.taints == new.spec.taints and old.spec.unschedulable == new.spec.unschedulable
            and old.status.images == new.status.images)
