"""What an authoriser says, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from timonier.api.errors import Forbidden, forbidden
from timonier.apiserver.auth.counts import Counts
from timonier.apiserver.request import MASTERS_GROUP, Attributes


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed, denied for good, or neither, and why: who has no opinion leaves it to the next one."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""
    """What kept an authoriser from knowing."""


NO_OPINION = Decision(False)


class Authoriser(Protocol):
    """One of those who are asked. Those that look at memory alone never wait."""

    async def decide(self, attributes: Attributes) -> Decision: ...


class AlwaysAllow:
    async def decide(self, attributes: Attributes) -> Decision:
        return Decision(True)


class AlwaysDeny:
    async def decide(self, attributes: Attributes) -> Decision:
        return Decision(False, "Everything is forbidden.")


class Chain:
    """The first authoriser that allows or denies decides; where none does, the reasons of all that had one are told.

    Members of system:masters may do everything, so that no policy can lock the cluster's owner out.
    """

    def __init__(self, counts: Counts, *members: tuple[str, Authoriser]) -> None:
        self.counts, self.members = counts, members

    async def decide(self, attributes: Attributes) -> Decision:
        if MASTERS_GROUP in attributes.user.groups:
            return Decision(True)
        reasons: list[str] = []
        errors: list[str] = []
        for mode, authoriser in self.members:
            decision = await authoriser.decide(attributes)
            if decision.allowed or decision.denied:
                self.counts.decided(mode, mode.lower(), allowed=decision.allowed)
                return decision
            if decision.reason:
                reasons.append(decision.reason)
            if decision.error:
                errors.append(decision.error)
        return Decision(False, "\n".join(reasons), error=aggregate(errors))


def aggregate(errors: Sequence[str]) -> str:
    """Several errors in one line, as Go's aggregates have them."""
    texts = list(dict.fromkeys(errors))
    return f"[{', '.join(texts)}]" if len(texts) > 1 else "".join(texts)


def refusal(attributes: Attributes, reason: str = "") -> Forbidden:
    """The 403 that a refused request is answered with, in Kubernetes's words."""
    who, because = f'User "{attributes.user.name}" cannot {attributes.verb}', f": {reason}" if reason else ""
    if not attributes.is_resource:
        return Forbidden(f'forbidden: {who} path "{attributes.path}"{because}')
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    return forbidden(attributes.group, attributes.resource, attributes.name,
                     f'{who} resource "{resource}" in API group "{attributes.group}" {where}{because}')
