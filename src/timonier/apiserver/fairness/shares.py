"""How the server's seats are divided between levels: by their shares, and then by what each needs at the time. Pure.

Source: KEP-1040; Kubernetes documentation, "API Priority and Fairness", "Seats Occupied by a Request", "Borrowing".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

HALVINGS = 60
LEAST_TARGET = 0.001


@dataclass(frozen=True, slots=True)
class Bounds:
    """A level's seats by its configuration: what it has by right, never less than `low`, never more than `high`."""

    nominal: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a level should have now: as near to `target` as others let it, between two bounds."""

    low: float
    target: float
    high: float


def bounds(total: int, specs: Mapping[str, tuple[int, int, int | None]]) -> dict[str, Bounds]:
    """Each level's bounds, of its (shares, lendable percent, borrowing limit percent or None for no limit)."""
    sum_of_shares = sum(shares for shares, _, _ in specs.values())
    found = {}
    for name, (shares, lendable, borrowing) in specs.items():
        nominal = math.ceil(total * shares / sum_of_shares) if sum_of_shares else 0
        more = total if borrowing is None else round(nominal * borrowing / 100)
        found[name] = Bounds(nominal, nominal - round(nominal * lendable / 100), nominal + more)
    return found


def at_first(level: Bounds) -> int:
    """What a level has before anything is known of its demand."""
    return max(1, level.nominal - (level.nominal - level.low) // 2)


def divide(total: float, wishes: Mapping[str, Wish]) -> dict[str, float]:
    """Seats for each, `total` together: the same fraction of its target, but for those that their bounds stop.

    Where even the lower bounds are too much, each has its lower bound; where the upper ones are too little, those.
    """
    def given(fraction: float) -> dict[str, float]:
        return {name: min(max(fraction * max(wish.target, LEAST_TARGET), wish.low), wish.high)
                for name, wish in wishes.items()}

    little, much = 0.0, max((wish.high / max(wish.target, LEAST_TARGET) for wish in wishes.values()), default=0.0)
    for _ in range(HALVINGS):
        middle = (little + much) / 2
        if sum(given(middle).values()) < total:
            little = middle
        else:
            much = middle
    return given(much)


def borrowed(total: int, limits: Mapping[str, Bounds], peaks: Mapping[str, int],
             smoothed: Mapping[str, float]) -> dict[str, int]:
    """Seats for each level that is limited, after a period with these demands.

    No level gets less than it needed at most, up to its nominal seats, unless exempt requests left too few for all.
    """
    floors = {name: max(level.low, min(level.nominal, peaks[name])) for name, level in limits.items()}
    least, needed = sum(level.low for level in limits.values()), sum(floors.values())
    if total <= least:
        return {name: max(1, level.low) for name, level in limits.items()}
    if total <= needed:
        part = (total - least) / (needed - least)
        return {name: max(1, level.low + round((floors[name] - level.low) * part)) for name, level in limits.items()}
    wishes = {name: Wish(floors[name], max(floors[name], smoothed[name]), level.high)
              for name, level in limits.items()}
    return {name: max(1, round(seats)) for name, seats in divide(total, wishes).items()}
