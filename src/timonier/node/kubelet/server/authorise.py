"""Who may do what with this node's API: paths as subresources of the node, decided by the API server.

Source: Kubernetes documentation, "Kubelet authentication/authorization". Requests that run something in a container
count as `create` whatever their method is, since a WebSocket can only be asked for by GET.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from timonier.kit.clock import Clock, Seconds, SystemClock, Time
from timonier.node.kubelet.server.answers import Refused
from timonier.node.kubelet.server.authenticate import User

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
RUNNING = ("exec", "attach", "run", "portForward", "hop")
"""First path segments of what acts inside a pod."""
SUBRESOURCES = {
    "stats": ("stats",), "metrics": ("metrics",), "logs": ("log",), "spec": ("spec",), "checkpoint": ("checkpoint",),
    "healthz": ("healthz", "proxy"), "pods": ("pods", "proxy"), "runningpods": ("pods", "proxy"),
    "configz": ("configz", "proxy"),
}
"""Subresources of which one has to be allowed, by the first segment of the path; `proxy` for all others."""

ALLOWED_SECONDS: Seconds = 60
REFUSED_SECONDS: Seconds = 10
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """One question to the API server: may `user` do `verb` on `nodes/<subresource>` of `node`?"""

    user: User
    verb: str
    node: str
    subresource: str


Review = Callable[[Access], Awaitable[bool]]


def accesses(user: User, method: str, path: str, node: str) -> list[Access]:
    """What has to be asked for a request; one yes is enough."""
    first = path.strip("/").partition("/")[0]
    verb = "create" if first in RUNNING else VERBS.get(method, "proxy")
    return [Access(user, verb, node, each) for each in SUBRESOURCES.get(first, ("proxy",))]


@dataclass
class Authoriser:
    """Asks and remembers the answers for a short while."""

    node: str
    review: Review
    clock: Clock = field(default_factory=SystemClock)
    _known: dict[Access, tuple[Time, bool]] = field(default_factory=dict)

    async def check(self, user: User, method: str, path: str) -> None:
        """Raises Refused (403) unless the request is allowed."""
        asked = accesses(user, method, path, self.node)
        for access in asked:
            if await self._allowed(access):
                return
        names = " ".join(access.subresource for access in asked)
        raise Refused(403, f"Forbidden (user={user.name}, verb={asked[0].verb}, resource=nodes, "
                           f"subresource(s)=[{names}])")

    async def _allowed(self, access: Access) -> bool:
        now = self.clock.now()
        known = self._known.get(access)
        if known is not None and known[0] > now:
            return known[1]
        allowed = await self.review(access)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[access] = (now + (ALLOWED_SECONDS if allowed else REFUSED_SECONDS), allowed)
        return allowed
