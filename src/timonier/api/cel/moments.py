"""Durations and timestamps as text: Go's durations (`1h2m3.5s`), RFC 3339, and time zones by name or by offset."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timonier.api.cel.values import FIRST_MOMENT, INT_MAX, INT_MIN, LAST_MOMENT, SECOND, Duration, Failure, Timestamp

UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|z|[+-]\d\d:\d\d)", re.ASCII)
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-/]{0,63}", re.ASCII)
"""What a zone's name looks like; only such are looked for in the database of zones."""
OFFSET = re.compile(r"([+-]?)(\d\d?):(\d\d)", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Raises ValueError where the text is no duration in Go's form."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    for part in PART.finditer(rest):
        if part.start() != at:
            break
        number, unit = part.groups()
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * UNITS[unit] + (int(fraction) * UNITS[unit] // 10 ** len(fraction) if fraction else 0)
        at = part.end()
    if at != len(rest) or not rest or total > INT_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return Duration(-total if text[0] == "-" else total)


def parse_timestamp(text: str) -> Timestamp:
    """Raises ValueError where the text is no moment of RFC 3339."""
    found = MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f'invalid RFC 3339 timestamp "{text}"')
    *parts, fraction, zone = found.groups()
    year, month, day, hour, minute, second = map(int, parts)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError(f'invalid RFC 3339 timestamp "{text}"') from None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    away = 0 if zone in "Zz" else (int(zone[1:3]) * 60 + int(zone[4:])) * (1 if zone[0] == "+" else -1)
    return Timestamp((seconds - away * 60) * SECOND + int((fraction or "0")[:9].ljust(9, "0")), away)


def parse_date(text: str) -> Timestamp:
    """A day, as its first moment in UTC. Raises ValueError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError(f'parsing time "{text}" as "2006-01-02": cannot parse')
    day = date.fromisoformat(text)
    return Timestamp((day - date(1970, 1, 1)).days * 86400 * SECOND)


def zone_offset(zone: str, moment: Timestamp) -> timedelta:
    """How far a zone (`Europe/Paris`, `+02:00`, `02:00`) is from UTC at a moment. Raises Failure."""
    if ":" not in zone:
        try:
            if zone and not ZONE.fullmatch(zone):
                raise ZoneInfoNotFoundError(zone)
            return ZoneInfo(zone or "UTC").utcoffset(moment.moment()) or timedelta()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Failure(f"unknown time zone {zone}") from None
    found = OFFSET.fullmatch(zone)
    if not found or int(found[3]) > 59:
        raise Failure(f"timezone offset minutes out of range [0, 59]: {zone}" if found else f"unknown time zone {zone}")
    away = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -away if found[1] == "-" else away


def duration(nanoseconds: int) -> Duration:
    """Raises Failure where there is no duration so long."""
    if not INT_MIN <= nanoseconds <= INT_MAX:
        raise Failure("duration overflow")
    return Duration(nanoseconds)


def timestamp(nanoseconds: int) -> Timestamp:
    """Raises Failure outside the years 1 to 9999."""
    if not FIRST_MOMENT <= nanoseconds <= LAST_MOMENT:
        raise Failure("timestamp overflow")
    return Timestamp(nanoseconds)
