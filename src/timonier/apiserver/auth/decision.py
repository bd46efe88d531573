"""What an authoriser says, and how a refusal reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from timonier.api.errors import Forbidden, forbidden
from timonier.apiserver.request import MASTERS_GROUP, Attributes


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not, and why. An authoriser that has no opinion does not allow; the next one is asked."""

    allowed: bool
    reason: str = ""


class Authoriser(Protocol):
    """Decides from memory alone: it is asked for every request."""

    def decide(self, attributes: Attributes) -> Decision: ...


class Masters:
    """Members of system:masters may do everything, so that no policy can lock the cluster's owner out."""

    def decide(self, attributes: Attributes) -> Decision:
        return Decision(MASTERS_GROUP in attributes.user.groups)


class Chain:
    """The first authoriser that allows wins; a refusal gives the reasons of all that had one."""

    def __init__(self, *authorisers: Authoriser) -> None:
        self.authorisers = authorisers

    def decide(self, attributes: Attributes) -> Decision:
        reasons = []
        for authoriser in self.authorisers:
            decision = authoriser.decide(attributes)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons))


def refusal(attributes: Attributes, reason: str = "") -> Forbidden:
    """The 403 that a refused request is answered with, in Kubernetes's words."""
    who, because = f'User "{attributes.user.name}" cannot {attributes.verb}', f": {reason}" if reason else ""
    if not attributes.is_resource:
        return Forbidden(f'forbidden: {who} path "{attributes.path}"{because}')
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    return forbidden(attributes.group, attributes.resource, attributes.name,
                     f'{who} resource "{resource}" in API group "{attributes.group}" {where}{because}')
