"""Numbers or percentages: `maxSurge: 25%`. Source: apimachinery, `intstr.GetScaledValueFromIntOrPercent`."""

from __future__ import annotations

import re

PERCENT = re.compile(r"(\d+)%")


def share(value: int | str | None, total: int, *, round_up: bool) -> int:
    """A number as it is, a percentage of `total` rounded; what is neither counts as 0 (validation refuses it)."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    found = PERCENT.fullmatch(value)
    if not found:
        return 0
    product = int(found[1]) * total
    return -(-product // 100) if round_up else product // 100
