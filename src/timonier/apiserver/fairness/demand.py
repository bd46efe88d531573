"""How many seats a level could use, over a period: the most, the mean and the spread, weighted by time; and smoothed.

Source: KEP-1040, "Dispatching": what is lent follows demand that rises at once and falls slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DECAY = 0.977
"""What is left of old demand after a period in which there was none."""


@dataclass(slots=True)
class Demand:
    """The seats in use and waited for."""

    value: int = 0
    peak: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    smoothed: float = 0.0
    high: int = 0
    """The most in the last period that is over, as `mean` and `deviation` are of it."""
    _since: float = 0.0
    _begun: float = 0.0
    _area: float = 0.0
    _square: float = 0.0

    def change(self, value: int, now: float) -> None:
        """The demand is another from now on."""
        passed = now - self._since
        if passed:
            area = self.value * passed
            self._area += area
            self._square += self.value * area
            self._since = now
        self.value = value
        if value > self.peak:
            self.peak = value

    def close(self, now: float) -> None:
        """End a period: compute its figures, and begin another."""
        self.change(self.value, now)
        length = now - self._begun
        if length > 0:
            self.mean = self._area / length
            self.deviation = math.sqrt(max(0.0, self._square / length - self.mean ** 2))
        envelope = self.mean + self.deviation
        self.smoothed = max(envelope, DECAY * self.smoothed + (1 - DECAY) * envelope)
        self.high, self.peak = self.peak, self.value
        self._begun, self._area, self._square = now, 0.0, 0.0
