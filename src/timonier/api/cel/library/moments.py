"""What can be asked of timestamps and durations: `getFullYear`, `getHours`, …, in UTC or in a zone that is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from timonier.api.cel.functions import Overload, method
from timonier.api.cel.moments import zone_offset
from timonier.api.cel.types import DURATION, INT, STRING, TIMESTAMP
from timonier.api.cel.values import SECOND, Duration, Timestamp

PARTS: dict[str, tuple[str, Callable[[datetime], int]]] = {
    "getFullYear": ("year", lambda moment: moment.year),
    "getMonth": ("month", lambda moment: moment.month - 1),
    "getDayOfYear": ("day_of_year", lambda moment: moment.timetuple().tm_yday - 1),
    "getDayOfMonth": ("day_of_month", lambda moment: moment.day - 1),
    "getDate": ("day_of_month_1_based", lambda moment: moment.day),
    "getDayOfWeek": ("day_of_week", lambda moment: moment.isoweekday() % 7),
    "getHours": ("hours", lambda moment: moment.hour),
    "getMinutes": ("minutes", lambda moment: moment.minute),
    "getSeconds": ("seconds", lambda moment: moment.second),
}
LENGTHS = {"getHours": ("hours", 3600 * SECOND), "getMinutes": ("minutes", 60 * SECOND),
           "getSeconds": ("seconds", SECOND), "getMilliseconds": ("milliseconds", 10**6)}


def truncated(number: int, unit: int) -> int:
    return number // unit if number >= 0 else -(-number // unit)


def part(name: str, identity: str, of: Callable[[datetime], int]) -> list[Overload]:
    def zoned(moment: Timestamp, zone: str) -> int:
        return of(moment.moment(zone_offset(zone, moment)))
    return [method(name, f"timestamp_to_{identity}", [TIMESTAMP], INT, lambda moment: of(moment.moment())),
            method(name, f"timestamp_to_{identity}_with_tz", [TIMESTAMP, STRING], INT, zoned)]


def length(name: str, identity: str, unit: int) -> Overload:
    def whole(value: Duration) -> int:
        return truncated(value.nanoseconds, unit)
    return method(name, f"duration_to_{identity}", [DURATION], INT, whole)


def milliseconds(moment: Timestamp) -> int:
    return moment.nanoseconds % SECOND // 10**6


FUNCTIONS = [
    *[overload for name, (identity, of) in PARTS.items() for overload in part(name, identity, of)],
    method("getMilliseconds", "timestamp_to_milliseconds", [TIMESTAMP], INT, milliseconds),
    method("getMilliseconds", "timestamp_to_milliseconds_with_tz", [TIMESTAMP, STRING], INT,
           lambda moment, zone: milliseconds(moment)),
    *[length(name, identity, unit) for name, (identity, unit) in LENGTHS.items()],
]
