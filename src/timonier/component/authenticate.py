"""Who asks: a client certificate of the cluster's CA, or a token that the API server vouches for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from timonier.component.answers import Call, Refused
from timonier.kit.clock import Clock, Seconds, SystemClock, Time
from timonier.kit.trust import Authorities, Untrusted, Verified

log = logging.getLogger(__name__)

TOKEN_SECONDS: Seconds = 120
"""How long a token's review is remembered, as the kubelet's authentication.webhook.cacheTTL."""
REMEMBERED = 1024
"""Tokens remembered at once."""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


TokenReview = Callable[[str], Awaitable[User | None]]
"""The user that a bearer token stands for, by the API server's word; None where it stands for nobody."""


@dataclass
class Authenticator:
    """Certificates are believed on the word of `authorities`, tokens on that of `review`, remembered for a while."""

    review: TokenReview
    clock: Clock = field(default_factory=SystemClock)
    authorities: Authorities = field(default_factory=Authorities)
    _certificates: Verified[User | None] = field(init=False)
    _tokens: dict[str, tuple[Time, User]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._certificates = Verified(self.authorities, subject)

    async def user(self, call: Call) -> User:
        """Raises Refused (401) where nobody is vouched for."""
        if call.peer_certificate is not None:
            user = self._by_certificate(call.peer_certificate)
            if user is not None:
                return user
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            user = await self._by_token(token.strip())
            if user is not None:
                return user
        raise Refused(401, "Unauthorized")

    def _by_certificate(self, der: bytes) -> User | None:
        try:
            return self._certificates.of(der, self.clock.now())
        except Untrusted as error:
            log.info("certificate refused", extra={"why": str(error)})
            return None

    async def _by_token(self, token: str) -> User | None:
        now = self.clock.now()
        known = self._tokens.get(token)
        if known is not None and known[0] > now:
            return known[1]
        user = await self.review(token)
        if user is not None:
            if len(self._tokens) >= REMEMBERED:
                self._tokens.clear()
            self._tokens[token] = (now + TOKEN_SECONDS, user)
        return user


def subject(certificate: x509.Certificate) -> User | None:
    """The user of a certificate: its common name, with its organisations as groups; None where it has no name."""
    name = certificate.subject
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not common or not common[0].value:
        return None
    groups = [str(each.value) for each in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return User(str(common[0].value), groups=(*groups, "system:authenticated"))
