"""Who asks the kubelet: a client certificate of the cluster's CA, or a token that the API server vouches for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from timonier.kit.clock import Clock, Seconds, SystemClock, Time
from timonier.node.kubelet.server.answers import Call, Refused

TOKEN_SECONDS: Seconds = 120
"""How long a token's review is remembered, as the kubelet's authentication.webhook.cacheTTL."""
REMEMBERED = 1024
"""Identities remembered at once."""


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
    """Certificates are verified by TLS before they get here; tokens by `review`, remembered for a while."""

    review: TokenReview
    clock: Clock = field(default_factory=SystemClock)
    _certificates: dict[bytes, User] = field(default_factory=dict)
    _tokens: dict[str, tuple[Time, User]] = field(default_factory=dict)

    async def user(self, call: Call) -> User:
        """Raises Refused (401) where nobody is vouched for."""
        if call.peer_certificate is not None:
            return self._by_certificate(call.peer_certificate)
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            user = await self._by_token(token.strip())
            if user is not None:
                return user
        raise Refused(401, "Unauthorized")

    def _by_certificate(self, der: bytes) -> User:
        user = self._certificates.get(der)
        if user is None:
            if len(self._certificates) >= REMEMBERED:
                self._certificates.clear()
            user = self._certificates[der] = subject(der)
        return user

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


def subject(der: bytes) -> User:
    """The user of a certificate: its common name, with its organisations as groups."""
    try:
        name = x509.load_der_x509_certificate(der).subject
    except ValueError as error:
        raise Refused(401, "Unauthorized") from error
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not common:
        raise Refused(401, "Unauthorized")
    groups = [str(each.value) for each in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return User(str(common[0].value), groups=(*groups, "system:authenticated"))
