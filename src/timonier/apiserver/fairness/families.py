"""What the gate counted, under Kubernetes's metric names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from timonier.apiserver.fairness.gate import Gate
from timonier.apiserver.meters import counter, gauge, histogram

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX = "apiserver_flowcontrol_"
FLOW = ("priority_level", "flow_schema")
LEVEL = ("priority_level",)
BY_FLOW = (
    ("current_inqueue_requests", "Requests that wait for a seat.", "waiting"),
    ("current_inqueue_seats", "Seats that requests wait for.", "waiting_seats"),
    ("current_executing_requests", "Requests that have seats, watches until their first events.", "executing"),
    ("current_executing_seats", "Seats that requests have.", "seats"),
)
BY_BOUNDS = (
    ("nominal_limit_seats", "Seats that the level has by right.", "nominal"),
    ("lower_limit_seats", "Seats that the level never lends.", "low"),
    ("upper_limit_seats", "Seats beyond which the level borrows no more.", "high"),
)
BY_DEMAND = (
    ("demand_seats_high_watermark", "Most seats that the level could use in the last period.", "high"),
    ("demand_seats_average", "Seats that the level could use in the last period, on average.", "mean"),
    ("demand_seats_stdev", "Standard deviation of the seats that the level could use.", "deviation"),
    ("demand_seats_smoothed", "Seats that the level could use, smoothed.", "smoothed"),
)


def families(gate: Gate) -> Iterator[Metric]:
    places = [((place.level.name, name), place) for name, place in gate.places.items()]
    yield counter(f"{PREFIX}dispatched_requests_total", "Requests that were given seats.", FLOW,
                  ((labels, place.dispatched) for labels, place in places))
    yield counter(f"{PREFIX}rejected_requests_total", "Requests that were turned away.", (*FLOW, "reason"),
                  (((*labels, why), count) for labels, place in places for why, count in place.rejected.items()))
    for name, text, field in BY_FLOW:
        yield gauge(PREFIX + name, text, FLOW, ((labels, getattr(place, field)) for labels, place in places))
    yield histogram(f"{PREFIX}request_wait_duration_seconds", "Seconds that requests waited for seats; who did not "
                    "wait is not counted.", FLOW, ((labels, place.waits) for labels, place in places))
    yield histogram(f"{PREFIX}request_execution_seconds", "Seconds for which requests had their seats.", FLOW,
                    ((labels, place.durations) for labels, place in places))
    yield from of_levels(gate)


def of_levels(gate: Gate) -> Iterator[Metric]:
    for name, text, field in BY_BOUNDS:
        yield gauge(PREFIX + name, text, LEVEL, (((level,), getattr(each, field))
                                                 for level, each in gate.bounds.items()))
    yield gauge(f"{PREFIX}current_limit_seats", "Seats that the level has at present.", LEVEL,
                (((name,), level.limit) for name, level in gate.levels.items()))
    for name, text, field in BY_DEMAND:
        yield gauge(PREFIX + name, text, LEVEL, (((level.name,), getattr(level.demand, field))
                                                 for level in gate.levels.values()))
