"""Who asks: a proxy that speaks for somebody, a client certificate, a bearer token, or nobody in particular.

TLS proves no more than that the client has a certificate's key: `kit.trust` tells whether to believe it. As in
Kubernetes, a credential that does not hold does not end the search; only if no other does is the request unauthorized.
Whether a user may act as another one stands in `impersonate`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from timonier.api.errors import Unauthorized
from timonier.apiserver.auth.bearers import Bearers, shown_token
from timonier.apiserver.auth.certificates import read_certificate
from timonier.apiserver.auth.counts import ERROR, FAILURE, SUCCESS, Counts
from timonier.apiserver.auth.front_proxy import FrontProxy
from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.request import ANONYMOUS, UNAUTHENTICATED_GROUP, Request, User
from timonier.kit.clock import Clock
from timonier.kit.trust import Authorities, Untrusted, Verified

log = logging.getLogger(__name__)

NOBODY = User(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))


@dataclass(frozen=True)
class Anonymous:
    """Whether requests without a credential are let in, and, where `paths` are given, on which alone."""

    enabled: bool = True
    paths: frozenset[str] = frozenset()

    def allowed(self, path: str) -> bool:
        return self.enabled and (not self.paths or path in self.paths)


@dataclass
class Authenticator:
    """The chain. `audiences` are those for which this server takes tokens. Without `authorities`, no certificate is
    believed."""

    clock: Clock
    bearers: Bearers
    audiences: Sequence[str]
    authorities: Authorities = field(default_factory=Authorities)
    proxy: FrontProxy | None = None
    anonymous: Anonymous = field(default_factory=Anonymous)
    counts: Counts = field(default_factory=Counts)
    certificates: Verified[User | None] = field(init=False)

    def __post_init__(self) -> None:
        self.certificates = Verified(self.authorities, read_certificate)

    async def authenticate(self, request: Request) -> User:
        """The user of a request; its credentials are taken out of it. Raises Unauthorized where none of them holds."""
        user: User | None = None
        refused: Exception | None = None
        if request.peer_certificate is not None:
            try:
                user = self.of_certificate(request)
            except Untrusted as error:
                refused = error
        if user is None:
            try:
                token = shown_token(request)
                user = await self.of_token(token, request) if token else None
            except BadToken as error:
                refused = error
        if user is not None:
            self.counts.attempt(SUCCESS, user.name)
        else:
            self.counts.attempt(FAILURE if refused is None else ERROR)
            if refused is None and self.anonymous.allowed(request.path):
                user = NOBODY
        if user is None:
            log.info("not authenticated", extra={"why": str(refused or "no credential"), "client": request.client})
            raise Unauthorized("Unauthorized") from refused
        self.clear(request)
        return user

    def of_certificate(self, request: Request) -> User | None:
        """Whom the client's certificate stands for: the user that a proxy names, or its subject. Raises Untrusted."""
        now, certificate = self.clock.now(), request.peer_certificate
        assert certificate is not None
        if self.proxy is not None:
            try:
                if (user := self.proxy.identify(request, now)) is not None:
                    return user
            except Untrusted as error:
                log.info("headers of a proxy not believed", extra={"why": str(error), "client": request.client})
        return self.certificates.of(certificate, now)

    def clear(self, request: Request) -> None:
        """Take out of a request what it was believed by, so that it is passed on to nobody."""
        request.headers.pop("authorization", None)
        if self.proxy is not None:
            self.proxy.clear(request)

    async def of_token(self, token: str, request: Request) -> User:
        found = await self.bearers.identify(token, self.audiences)
        for warning in found.warnings:
            request.warn(warning)
        for key, value in found.notes.items():
            request.annotate(key, value)
        return found.user
