"""Groups that an issuer hands out elsewhere: a token that says where its groups are asked for, and with what right.

The answer is a token itself, and verified by the keys of whoever signed it.
Source: OpenID Connect Core 1.0, 5.6.2, "Aggregated and Distributed Claims".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.oidc.keys import IssuerKeys, Unavailable

Verify = Callable[[str], Awaitable[Mapping[str, Any]]]
"""The claims of a token, whoever of the known issuers signed it. Raises BadToken."""


@dataclass(frozen=True)
class Elsewhere:
    """Where a claim is asked for."""

    endpoint: str
    access_token: str = ""


def elsewhere(claims: Mapping[str, Any], claim: str) -> Elsewhere | None:
    """Where a token says that a claim is, if it is not in the token itself. Raises BadToken."""
    names = claims.get("_claim_names")
    if not claim or claim in claims or not isinstance(names, dict) or claim not in names:
        return None
    sources = claims.get("_claim_sources")
    source = sources.get(names[claim]) if isinstance(sources, dict) and isinstance(names[claim], str) else None
    if not isinstance(source, dict):
        raise BadToken("oidc: could not expand distributed claims: the token does not name the source of claim "
                       f"{claim!r}")
    endpoint = source.get("endpoint")
    if not isinstance(endpoint, str):
        return None  # aggregated, not distributed: Kubernetes does not look at those
    return Elsewhere(endpoint, str(source.get("access_token") or ""))


async def fetched(keys: IssuerKeys, place: Elsewhere, claim: str, verify: Verify) -> Any:
    """The claim's value. Raises BadToken."""
    try:
        token = await keys.content(place.endpoint, place.access_token)
    except Unavailable as error:
        raise BadToken(f'oidc: could not expand distributed claims: while getting distributed claim "{claim}": '
                       f"{error}") from error
    claims = await verify(token.decode("utf-8", "replace").strip())
    if claim not in claims:
        raise BadToken("oidc: could not expand distributed claims: jwt returned by distributed claim endpoint "
                       f'"{place.endpoint}" did not contain claim: {claim}')
    return claims[claim]
