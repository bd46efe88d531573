"""What a cron schedule and a time zone look like.

Source: Kubernetes documentation, "CronJob", "Schedule syntax".
"""

from __future__ import annotations

import re
import zoneinfo
from functools import cache

ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
NAMED_SCHEDULES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
CRON_WORDS = {"month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
              "day of week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]}


def wrong_schedule(text: str) -> str:
    """What is wrong with a cron schedule, in the words of the parser that Kubernetes uses; empty if nothing is."""
    if text.startswith("@"):
        every = re.fullmatch(r"@every ([0-9.]+(ns|us|ms|s|m|h))+", text)
        return "" if text in NAMED_SCHEDULES or every else f"unrecognized descriptor: {text}"
    if re.match(r"(TZ|CRON_TZ)=", text):
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    fields = text.split()
    if len(fields) != len(CRON_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (name, low, high) in zip(fields, CRON_FIELDS, strict=True):
        for part in field.split(","):
            if wrong := wrong_part(part.lower(), name, low, high):
                return wrong
    return ""


def wrong_part(part: str, name: str, low: int, high: int) -> str:
    span, slash, step = part.partition("/")
    if slash and (not step.isdecimal() or int(step) == 0):
        return f"step of range should be a positive number: {part}" if step.isdecimal() else \
            f"failed to parse int from {step}: strconv.Atoi: parsing \"{step}\": invalid syntax"
    if span in ("*", "?"):
        return ""
    bounds = []
    for text in span.split("-"):
        words = CRON_WORDS.get(name, [])
        if not text.isdecimal() and text not in words:
            return f"failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax"
        bounds.append(int(text) if text.isdecimal() else words.index(text) + low)
    if len(bounds) > 2:
        return f"too many hyphens: {part}"
    if bounds[0] < low:
        return f"beginning of range ({bounds[0]}) below minimum ({low}): {part}"
    if bounds[-1] > high:
        return f"end of range ({bounds[-1]}) above maximum ({high}): {part}"
    return f"beginning of range ({bounds[0]}) beyond end of range ({bounds[-1]}): {part}" if bounds[0] > bounds[-1] \
        else ""


def wrong_zone(name: str) -> str:
    """What is wrong with a time zone: nobody knows it, or it is whatever the machine's own is."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    return "" if is_zone(name) else f"unknown time zone {name}"


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name; on a machine without zones, whether it looks like one."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return not has_zones() and ZONE.fullmatch(name) is not None
    return True


@cache
def has_zones() -> bool:
    try:
        zoneinfo.ZoneInfo("Europe/Paris")
    except zoneinfo.ZoneInfoNotFoundError:
        return False
    return True
