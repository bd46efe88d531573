"""How long ago, in as few characters as tell enough: `5m3s`, `3h25m`, `2d4h`, `3y118d`.

The thresholds are those of Kubernetes's `duration.HumanDuration`.
"""

from __future__ import annotations

from timonier.api.times import parse
from timonier.kit.clock import Seconds, Time

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400
UNKNOWN = "<unknown>"


def human(seconds: Seconds) -> str:
    """A duration for people."""
    if seconds <= -2:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * MINUTE:
        return f"{whole}s"
    if whole < 10 * MINUTE:
        return two(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return two(whole, HOUR, "h", MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return two(whole, DAY, "d", HOUR, "h")
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    if whole < 8 * YEAR:
        return two(whole, YEAR, "y", DAY, "d")
    return f"{whole // YEAR}y"


def two(whole: int, large: int, large_sign: str, small: int, small_sign: str) -> str:
    """Two units, the smaller left out where there is none of it."""
    rest = whole % large // small
    return f"{whole // large}{large_sign}" + (f"{rest}{small_sign}" if rest else "")


def since(moment: str | None, now: Time) -> str:
    """How long ago an RFC 3339 moment is; `<unknown>` where there is none."""
    return human(now - parse(moment)) if moment else UNKNOWN
