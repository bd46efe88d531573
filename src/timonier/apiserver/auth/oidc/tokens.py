"""The authenticator of one issuer's tokens: its signature, its audience, its time, and then what its claims make.

Verified tokens are remembered for some seconds, so that a client's next request costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from timonier.api.times import rfc3339
from timonier.apiserver.auth.identity import BadToken, Identity, held, listed
from timonier.apiserver.auth.kept import Kept
from timonier.apiserver.auth.oidc.configuration import Authenticator, Issuer
from timonier.apiserver.auth.oidc.distributed import elsewhere, fetched
from timonier.apiserver.auth.oidc.keys import IssuerKeys
from timonier.apiserver.auth.oidc.mapping import user_of
from timonier.apiserver.request import User
from timonier.kit.clock import Clock, Seconds, Time
from timonier.kit.jws import peek

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
KEPT: Seconds = 10.0
MOST_OTHERS = 16
LEEWAY: Seconds = 300.0
"""By how much the clock of the issuer may be ahead."""


@dataclass
class OidcTokens:
    """The authenticator. Its tokens hold for the `audiences` of this server, whatever audience the issuer calls it."""

    config: Authenticator
    keys: IssuerKeys
    audiences: Sequence[str]
    clock: Clock
    algorithms: Sequence[str] = ALGORITHMS
    kept: Kept[tuple[User, Time]] = field(init=False)
    others: dict[str, IssuerKeys] = field(default_factory=dict)
    """The keys of those to whom the issuer's tokens refer for a claim."""

    def __post_init__(self) -> None:
        self.kept = Kept(self.clock)

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        if peek(token).get("iss") != self.config.issuer.url:
            return None
        common = held(audiences, self.audiences)
        if not common:
            return None
        user, _ = await self.kept.of(token.encode(), lambda: self.verified(token),
                                     lambda found: min(KEPT, found[1] - self.clock.now()))
        return Identity(user, common)

    async def verified(self, token: str) -> tuple[User, Time]:
        """The user of a token, and when it ends. Raises BadToken."""
        claims = await self.claims(token, self.keys)
        expires = self.check(claims, self.config.issuer.url)
        groups = self.config.claimMappings.groups.claim
        if (place := elsewhere(claims, groups)) is not None:
            claims = {**claims, groups: await fetched(self.keys, place, groups, self.verified_elsewhere)}
        return user_of(claims, self.config), expires

    async def verified_elsewhere(self, token: str) -> Mapping[str, Any]:
        """The claims of a token to which one of ours refers, by the keys of its own issuer."""
        url = str(peek(token).get("iss", ""))
        keys = self.others.get(url)
        if keys is None:
            if len(self.others) >= MOST_OTHERS:
                raise BadToken("oidc: could not expand distributed claims: too many issuers of claims")
            keys = self.others[url] = IssuerKeys(Issuer(url=url), self.clock, self.keys.connections)
        claims = await self.claims(token, keys)
        self.check(claims, url)
        return claims

    async def claims(self, token: str, keys: IssuerKeys) -> Mapping[str, Any]:
        from joserfc import jws
        from joserfc.errors import JoseError
        from joserfc.jwk import ECKey, RSAKey

        try:
            head = jws.extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise BadToken("oidc: verify token: malformed jwt") from error
        algorithm, kid = str(head.get("alg")), head.get("kid", "")
        if algorithm not in self.algorithms:
            raise BadToken(f"oidc: verify token: id token signed with unsupported algorithm, expected "
                           f"{listed(self.algorithms)} got {algorithm!r}")
        for key in await keys.named(kid if isinstance(kid, str) else ""):
            try:
                made = (ECKey if key.get("kty") == "EC" else RSAKey).import_key(key)
                found = orjson.loads(jws.deserialize_compact(token, made, [algorithm]).payload)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if isinstance(found, dict):
                return found
        raise BadToken("oidc: verify token: failed to verify signature: failed to verify id token signature")

    def check(self, claims: Mapping[str, Any], issuer: str) -> Time:
        """When the token ends. Raises BadToken where it is not for us, or not now."""
        now, wanted = self.clock.now(), self.config.issuer.audiences
        if claims.get("iss") != issuer:
            raise BadToken("oidc: verify token: id token issued by a different provider")
        audience = claims.get("aud")
        audiences = [str(each) for each in audience] if isinstance(audience, list) else [str(audience)]
        if not held(wanted, audiences):
            raise BadToken(f"oidc: verify token: oidc: expected audience in {listed(sorted(wanted))} got "
                           f"{listed(audiences)}")
        expires, begins = number(claims.get("exp")), number(claims.get("nbf"))
        if expires <= now:
            raise BadToken(f"oidc: verify token: oidc: token is expired (Token Expiry: {moment(expires)})")
        if begins > now + LEEWAY:
            raise BadToken(f"oidc: verify token: oidc: current time {moment(now)} before the nbf (not before) time: "
                           f"{moment(begins)}")
        return expires


def number(value: Any) -> Time:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def moment(time: Time) -> str:
    return rfc3339(min(max(time, 0.0), 253402300799.0))
