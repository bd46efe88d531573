"""Back-off for what fails again and again: containers that end, images that cannot be pulled. Pure state over time.

Doubling from a first delay to a longest one; forgotten once nothing happened for twice the longest delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from timonier.kit.clock import Seconds, Time

FIRST: Seconds = 10
LONGEST: Seconds = 300


@dataclass(slots=True)
class Entry:
    delay: Seconds
    updated: Time


@dataclass
class BackOff:
    """One series of delays a key."""

    first: Seconds = FIRST
    longest: Seconds = LONGEST
    entries: dict[str, Entry] = field(default_factory=dict)

    def delay(self, key: str, since: Time) -> Seconds:
        """The delay in force for something that happened at `since`; 0 where there is none."""
        entry = self.entries.get(key)
        return 0 if entry is None or self._expired(entry, since) else entry.delay

    def remaining(self, key: str, since: Time, now: Time) -> Seconds:
        """How long to wait yet before trying again what failed at `since`; 0 when it may be tried."""
        return max(0.0, since + self.delay(key, since) - now)

    def next(self, key: str, since: Time, now: Time) -> None:
        """It is tried again: the next failure will wait longer."""
        entry = self.entries.get(key)
        if entry is None or self._expired(entry, since):
            self.entries[key] = Entry(self.first, now)
        else:
            entry.delay, entry.updated = min(entry.delay * 2, self.longest), now

    def forget(self, key: str) -> None:
        self.entries.pop(key, None)

    def _expired(self, entry: Entry, since: Time) -> bool:
        return since - entry.updated > 2 * self.longest


def go_duration(seconds: Seconds) -> str:
    """`10s`, `2m40s`, `1h0m0s`: as Go prints a duration of whole seconds; fractions as `1.5s` or `250ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
