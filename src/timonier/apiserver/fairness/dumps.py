"""What the gate looks like at the moment, for people: `/debug/api_priority_and_fairness/dump_…`, as lines of commas.

Source: Kubernetes documentation, "API Priority and Fairness", "Debug endpoints".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from timonier.apiserver.fairness.gate import Gate
from timonier.apiserver.fairness.queues import TIME_OUT

Row = Sequence[Any]


def dump(gate: Gate, name: str) -> str | None:
    """One of the dumps; None where there is none of that name."""
    found = DUMPS.get(name)
    if found is None:
        return None
    head, rows = found
    lines = [", ".join(head), *(", ".join(map(shown, row)) for row in rows(gate))]
    width = [max(len(part) for part in column) for column in zip(*(line.split(", ") for line in lines), strict=True)]
    padded = ((part.ljust(size) for part, size in zip(line.split(", "), width, strict=True)) for line in lines)
    return "".join(f"{', '.join(parts).rstrip()}\n" for parts in padded)


def levels(gate: Gate) -> Iterator[Row]:
    for name, level in sorted(gate.levels.items()):
        places = [place for place in gate.places.values() if place.level is level]
        rejected = sum(sum(place.rejected.values()) for place in places)
        late = sum(place.rejected.get(TIME_OUT, 0) for place in places)
        busy = sum(queue.busy for queue in level.queues)
        yield (name, busy, not level.executing and not level.waiting, False, level.waiting, level.executing,
               sum(place.dispatched for place in places), rejected - late, late, 0)


def queues(gate: Gate) -> Iterator[Row]:
    for name, level in sorted(gate.levels.items()):
        for index, queue in enumerate(level.queues):
            if queue.busy:
                waiting = sum(ticket.width for ticket in queue.waiting)
                yield name, index, len(queue.waiting), queue.executing, f"{queue.start:.8f}ss", waiting


def requests(gate: Gate) -> Iterator[Row]:
    now = gate.clock.monotonic()
    for name, level in sorted(gate.levels.items()):
        for index, queue in enumerate(level.queues):
            for place, ticket in enumerate(queue.waiting):
                yield name, ticket.flow[0], index, place, ticket.flow[1], f"{now - ticket.arrived:.3f}s", ticket.width


def shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


DUMPS: dict[str, tuple[Sequence[str], Callable[[Gate], Iterator[Row]]]] = {
    "dump_priority_levels": (("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests",
                              "ExecutingRequests", "DispatchedRequests", "RejectedRequests", "TimedoutRequests",
                              "CancelledRequests"), levels),
    "dump_queues": (("PriorityLevelName", "Index", "PendingRequests", "SeatsInUse", "NextDispatchR", "WaitingSeats"),
                    queues),
    "dump_requests": (("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistinguisher",
                       "Waiting", "Seats"), requests),
}
