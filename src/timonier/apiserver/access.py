"""Who may come in, and what tells so: authentication, authorisation and tokens of one server, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from timonier.apiserver.auth.authenticate import Authenticator
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.reviews import Reviews
from timonier.apiserver.auth.tokens import Keyring
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Request, User
from timonier.apiserver.settings import ApiServerSettings
from timonier.apiserver.subresources.token import TokenIssuer
from timonier.kit.clock import Clock
from timonier.kit.trust import Authorities


class Identifies(Protocol):
    async def authenticate(self, request: Request) -> User:
        """Who asks. Raises Unauthorized."""


@dataclass(frozen=True)
class Access:
    """The parts that decide, and those that answer questions about how they would."""

    authenticator: Identifies
    authoriser: Authoriser
    keyring: Keyring
    tokens: TokenIssuer
    reviews: Reviews


def access(settings: ApiServerSettings, registry: Registry, clock: Clock, authorities: Authorities) -> Access:
    """The access that the settings describe, for clients with tokens and with certificates of `authorities`.

    Raises CannotRun where the key of tokens cannot be used.
    """
    keyring = Keyring.from_file(settings.service_account_key_file)
    audiences = (settings.service_account_issuer,)
    authenticator = Authenticator(registry, keyring, settings.service_account_issuer, audiences, clock, authorities)
    authoriser = Authoriser(registry)
    tokens = TokenIssuer(registry, keyring, settings.service_account_issuer, audiences, clock)
    return Access(authenticator, authoriser, keyring, tokens, Reviews(authenticator, authoriser))
