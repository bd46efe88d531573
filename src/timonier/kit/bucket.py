"""A token bucket: so many at once, and then no more than a rate."""

from __future__ import annotations

from dataclasses import dataclass

from timonier.kit.clock import Time


@dataclass(slots=True)
class Bucket:
    """`tokens` there were at the time `at`."""

    tokens: float
    at: Time

    def take(self, rate: float, burst: int, now: Time) -> bool:
        """Take a token, if there is one by now; `rate` of them come in a second, and no more than `burst` are kept."""
        self.tokens, self.at = min(burst, self.tokens + (now - self.at) * rate), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
