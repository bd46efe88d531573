"""Moments on the wire: RFC 3339 in UTC, whole seconds for `Time`, microseconds for `MicroTime`."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from timonier.kit.clock import Time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORMAT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
LAYOUT = "2006-01-02T15:04:05Z07:00"
LAYOUT_PARTS = ((r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"),
                (r"\d\d", "15"), (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d([.,]\d+)?", "05"),
                (r"Z|[+-]\d\d:\d\d", "Z07:00"))


def parse(text: str) -> Time:
    """The moment that an RFC 3339 text names, any offset, any number of decimals. Raises ValueError."""
    found = FORMAT.fullmatch(text)
    if not found:
        raise ValueError(complaint(text))
    *parts, fraction, zone = found.groups()
    try:
        moment = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise ValueError(f'parsing time "{text}": {out_of_range(parts)} out of range') from None
    seconds = (moment - EPOCH) / timedelta(seconds=1) - offset(zone)
    return seconds + (int(fraction) / 10 ** len(fraction) if fraction else 0.0)


def complaint(text: str) -> str:
    """Go's sentence about a text that is no moment: what is left of it, and the part that was expected there."""
    rest = text
    for pattern, part in LAYOUT_PARTS:
        found = re.match(pattern, rest, re.ASCII)
        if not found:
            return f'parsing time "{text}" as "{LAYOUT}": cannot parse "{rest}" as "{part}"'
        rest = rest[found.end():]
    return f'parsing time "{text}": extra text: "{rest}"'


def offset(zone: str) -> int:
    if zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def out_of_range(parts: list[str]) -> str:
    """Which part of a date no calendar holds, as Go names it."""
    limits = (("month", 1, 12, 1), ("hour", 0, 23, 3), ("minute", 0, 59, 4), ("second", 0, 59, 5))
    wrong = (name for name, low, high, index in limits if not low <= int(parts[index]) <= high)
    return next(wrong, "day")


def rfc3339(moment: Time) -> str:
    """`2026-01-02T03:04:05Z`: the second that has begun, as Kubernetes writes `Time`."""
    return whole(math.floor(moment))


@lru_cache(maxsize=256)
def whole(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def micro(moment: Time) -> str:
    """`2026-01-02T03:04:05.678901Z`, as Kubernetes writes `MicroTime`."""
    microseconds = round(moment * 1_000_000)
    return f"{whole(microseconds // 1_000_000)[:-1]}.{microseconds % 1_000_000:06}Z"
