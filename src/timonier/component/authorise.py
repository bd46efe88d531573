"""Whether somebody may: asked of the API server, and remembered for a short while.

Source: Kubernetes documentation, "Webhook Mode"; the times are those of delegated authorisation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from timonier.component.authenticate import User
from timonier.kit.clock import Clock, Seconds, SystemClock, Time

ALLOWED_SECONDS: Seconds = 60
REFUSED_SECONDS: Seconds = 10
REMEMBERED = 4096
"""Answers remembered at once."""


@dataclass(frozen=True, slots=True)
class Access:
    """One question: may `user` do `verb` on a path, or else on an object of the core group?"""

    user: User
    verb: str
    path: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


Review = Callable[[Access], Awaitable[bool]]
"""The API server's answer."""


@dataclass
class Reviewed:
    """Asks and remembers the answers, a yes for longer than a no."""

    review: Review
    clock: Clock = field(default_factory=SystemClock)
    _known: dict[Access, tuple[Time, bool]] = field(default_factory=dict)

    async def allowed(self, access: Access) -> bool:
        now = self.clock.now()
        known = self._known.get(access)
        if known is not None and known[0] > now:
            return known[1]
        allowed = await self.review(access)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[access] = (now + (ALLOWED_SECONDS if allowed else REFUSED_SECONDS), allowed)
        return allowed
