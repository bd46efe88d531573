"""Who may do what with this node's API: paths as subresources of the node, decided by the API server.

Source: Kubernetes documentation, "Kubelet authentication/authorization". Requests that run something in a container
count as `create` whatever their method is, since a WebSocket can only be asked for by GET.
"""

from __future__ import annotations

from timonier.component.answers import Refused
from timonier.component.authenticate import User
from timonier.component.authorise import Access, Review, Reviewed
from timonier.kit.clock import Clock, SystemClock

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
RUNNING = ("exec", "attach", "run", "portForward", "hop")
"""First path segments of what acts inside a pod."""
SUBRESOURCES = {
    "stats": ("stats",), "metrics": ("metrics",), "logs": ("log",), "spec": ("spec",), "checkpoint": ("checkpoint",),
    "healthz": ("healthz", "proxy"), "pods": ("pods", "proxy"), "runningpods": ("pods", "proxy"),
    "configz": ("configz", "proxy"),
}
"""Subresources of which one has to be allowed, by the first segment of the path; `proxy` for all others."""


def accesses(user: User, method: str, path: str, node: str) -> list[Access]:
    """What has to be asked for a request; one yes is enough."""
    first = path.strip("/").partition("/")[0]
    verb = "create" if first in RUNNING else VERBS.get(method, "proxy")
    return [Access(user, verb, resource="nodes", subresource=each, name=node)
            for each in SUBRESOURCES.get(first, ("proxy",))]


class Authoriser:
    """Decides on requests to one node's API."""

    def __init__(self, node: str, review: Review, clock: Clock | None = None) -> None:
        self.node, self._reviewed = node, Reviewed(review, clock or SystemClock())

    async def check(self, user: User, method: str, path: str) -> None:
        """Raises Refused (403) unless the request is allowed."""
        asked = accesses(user, method, path, self.node)
        for access in asked:
            if await self._reviewed.allowed(access):
                return
        names = " ".join(access.subresource for access in asked)
        raise Refused(403, f"Forbidden (user={user.name}, verb={asked[0].verb}, resource=nodes, "
                           f"subresource(s)=[{names}])")
