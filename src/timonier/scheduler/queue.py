"""The scheduling queue: who is next. Pure but for its memory; time is an argument.

A pod is active (by priority, then by age), backing off after a failed attempt, unschedulable until something happens
that could help it, gated, or in flight. What could help is a table: each filter against the kinds of events.
Source: Kubernetes documentation, "Scheduling Framework", "Pod Scheduling Readiness".
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from timonier.api.types import core_v1
from timonier.kit.clock import Seconds, Time
from timonier.scheduler.request import Request


class Event(Enum):
    """What happened in the cluster."""

    NODE = "a node came, or what it offers changed"
    POD_BOUND = "a pod came to a node, or its labels changed"
    POD_GONE = "a pod left a node"
    NAMESPACE = "a namespace came, or its labels changed"


NODE_ONLY = frozenset({Event.NODE})
PODS_TOO = frozenset({Event.NODE, Event.POD_GONE})
ANYTHING = frozenset(Event)

HELPED_BY = {
    "NodeUnschedulable": NODE_ONLY,
    "NodeName": NODE_ONLY,
    "TaintToleration": NODE_ONLY,
    "NodeAffinity": NODE_ONLY,
    "NodePorts": PODS_TOO,
    "NodeResourcesFit": PODS_TOO,
    "DynamicResources": frozenset[Event](),
    "PodTopologySpread": ANYTHING,
    "InterPodAffinity": ANYTHING,
}


class State(Enum):
    ACTIVE = "active"
    BACKING_OFF = "backing off"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in flight"


@dataclass(slots=True)
class Entry:
    """A pod in the queue. `ticket` numbers its latest place, so that earlier ones in a heap can be told as void."""

    pod: core_v1.Pod
    request: Request
    arrived: Time
    """Its age in the order."""
    state: State = State.ACTIVE
    attempts: int = 0
    popped: Time = 0.0
    """When the latest attempt began."""
    ready: Time = 0.0
    """Not before this moment."""
    failed_by: frozenset[str] = frozenset()
    since: Time = 0.0
    """When it was found to be unschedulable."""
    ticket: int = -1


class SchedulingQueue:
    """Every pod that waits for a node."""

    def __init__(self, initial_backoff: Seconds = 1.0, max_backoff: Seconds = 10.0, flush: Seconds = 300.0) -> None:
        self._initial, self._max, self._flush = initial_backoff, max_backoff, flush
        self._entries: dict[str, Entry] = {}
        self._tickets = itertools.count()
        self._active: list[tuple[int, Time, int, str]] = []
        self._later: list[tuple[Time, int, str]] = []
        self._unschedulable: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, uid: str) -> bool:
        return uid in self._entries

    def state(self, uid: str) -> State | None:
        entry = self._entries.get(uid)
        return entry.state if entry else None

    def states(self) -> Counter[State]:
        """How many pods are where."""
        return Counter(entry.state for entry in self._entries.values())

    def add(self, pod: core_v1.Pod, request: Request, now: Time) -> None:
        """Take in a pod, or what it has become: a changed one is tried again, after its back-off."""
        entry = self._entries.get(request.uid)
        if entry is None:
            entry = self._entries[request.uid] = Entry(pod, request, now)
        else:
            self._unschedulable.pop(request.uid, None)
            entry.pod, entry.request = pod, request
        if pod.spec.schedulingGates:
            entry.state, entry.ticket = State.GATED, next(self._tickets)
        elif entry.state is not State.IN_FLIGHT:
            self._make_ready(entry, now)

    def refresh(self, pod: core_v1.Pod, uid: str) -> None:
        """Keep the latest object of a pod that changed in nothing that matters here."""
        if entry := self._entries.get(uid):
            entry.pod = pod

    def remove(self, uid: str) -> None:
        self._entries.pop(uid, None)
        self._unschedulable.pop(uid, None)

    def pop(self, now: Time) -> Entry | None:
        """The next pod, in flight from now on: tell `remove`, `fail` or `retry` how it went."""
        self._wake(now)
        while self._active:
            _, _, ticket, uid = heapq.heappop(self._active)
            entry = self._entries.get(uid)
            if entry is not None and entry.ticket == ticket:
                entry.state = State.IN_FLIGHT
                entry.attempts += 1
                entry.popped = now
                return entry
        return None

    def fail(self, entry: Entry, filters: frozenset[str], now: Time) -> None:
        """No node fits: wait for an event that could help against the filters that rejected nodes."""
        if self._entries.get(entry.request.uid) is not entry or entry.state is not State.IN_FLIGHT:
            return
        entry.state, entry.failed_by, entry.since = State.UNSCHEDULABLE, filters, now
        entry.ready = now + self.backoff(entry.attempts)
        entry.ticket = next(self._tickets)
        self._unschedulable[entry.request.uid] = entry

    def retry(self, entry: Entry, now: Time) -> None:
        """Something else went wrong: try again after the back-off."""
        if self._entries.get(entry.request.uid) is entry and entry.state is State.IN_FLIGHT:
            entry.ready = now + self.backoff(entry.attempts)
            self._make_ready(entry, now)

    def backoff(self, attempts: int) -> Seconds:
        return float(min(self._initial * 2.0 ** min(max(attempts - 1, 0), 32), self._max))

    def happened(self, event: Event, now: Time) -> None:
        """Let those try again whom an event could help."""
        for uid, entry in [*self._unschedulable.items()]:
            if self._helps(event, entry):
                del self._unschedulable[uid]
                self._make_ready(entry, now)

    def next_due(self) -> Time | None:
        """When `pop` may have something that it has not now; None where only an event can bring it."""
        return min(self._moments(), default=None)

    def _moments(self) -> Iterator[Time]:
        if self._later:
            yield self._later[0][0]
        if self._unschedulable:  # a dict keeps the order of insertion, so the first one has waited longest
            yield next(iter(self._unschedulable.values())).since + self._flush

    def _helps(self, event: Event, entry: Entry) -> bool:
        if not entry.failed_by:  # there were no nodes
            return event is Event.NODE
        return any(event in HELPED_BY.get(name, ANYTHING) for name in entry.failed_by)

    def _make_ready(self, entry: Entry, now: Time) -> None:
        entry.ticket = next(self._tickets)
        uid = entry.request.uid
        if entry.ready > now:
            entry.state = State.BACKING_OFF
            heapq.heappush(self._later, (entry.ready, entry.ticket, uid))
        else:
            entry.state = State.ACTIVE
            heapq.heappush(self._active, (-entry.request.priority, entry.arrived, entry.ticket, uid))

    def _wake(self, now: Time) -> None:
        while self._later and self._later[0][0] <= now:
            _, ticket, uid = heapq.heappop(self._later)
            entry = self._entries.get(uid)
            if entry is not None and entry.ticket == ticket:
                self._make_ready(entry, now)
        while self._unschedulable:
            uid, entry = next(iter(self._unschedulable.items()))
            if entry.since + self._flush > now:
                break
            del self._unschedulable[uid]
            self._make_ready(entry, now)
