"""Who may come in, and what tells so: authentication, authorisation and tokens of one server, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from timonier.apiserver.auth import decision
from timonier.apiserver.auth.accounts import AccountTokens
from timonier.apiserver.auth.authenticate import Anonymous, Authenticator
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.bearers import Bearers
from timonier.apiserver.auth.bootstrap_tokens import BootstrapTokens
from timonier.apiserver.auth.counts import Counts
from timonier.apiserver.auth.front_proxy import FrontProxy
from timonier.apiserver.auth.identity import Tokens
from timonier.apiserver.auth.impersonate import Impersonation
from timonier.apiserver.auth.legacy import LegacyTokens
from timonier.apiserver.auth.reloading import follow
from timonier.apiserver.auth.reviews import Reviews
from timonier.apiserver.auth.settings import AccessSettings
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Request, User
from timonier.apiserver.settings import ApiServerSettings
from timonier.apiserver.subresources.token import TokenIssuer
from timonier.kit.clock import Clock
from timonier.kit.http import Connections
from timonier.kit.jws import Keyring
from timonier.kit.trust import Authorities


class Identifies(Protocol):
    async def authenticate(self, request: Request) -> User:
        """Who asks. Raises Unauthorized."""


@dataclass(frozen=True)
class Access:
    """The parts that decide, and those that answer questions about how they would."""

    authenticator: Identifies
    authoriser: Authoriser
    impersonation: Impersonation
    keyring: Keyring
    tokens: TokenIssuer
    reviews: Reviews
    files: tuple[tuple[Path, Callable[[], None]], ...] = ()
    """Configuration files, each with what takes it over."""
    calls: list[Connections] = field(default_factory=list)
    """The connections to others who are asked."""
    counts: Counts = field(default_factory=Counts)

    async def keep(self, clock: Clock) -> None:
        """Take over what changes in configuration files, until cancelled; then close connections."""
        try:
            async with asyncio.TaskGroup() as group:
                for file, use in self.files:
                    group.create_task(follow(file, use, clock), name=f"follow {file}")
                await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        for connections in self.calls:
            await connections.close()


def access(settings: ApiServerSettings, registry: Registry, clock: Clock, authorities: Authorities) -> Access:
    """The access that the settings describe, for clients with tokens and with certificates of `authorities`.

    Raises CannotRun where a key, a certificate or a configuration cannot be used.
    """
    keyring = Keyring.from_files(settings.service_account_signing_key_file, *settings.service_account_key_file)
    audiences = settings.api_audiences or settings.service_account_issuer
    proxy = FrontProxy(Authorities.from_file(settings.requestheader_client_ca_file), settings) \
        if settings.requestheader_client_ca_file is not None else None
    calls: list[Connections] = []
    own, others = own_tokens(settings, registry, keyring, audiences, clock), \
        webhook_tokens(settings, audiences, clock, calls)
    authenticator = Authenticator(clock, Bearers(own), audiences, authorities, proxy)
    authoriser = Authoriser(registry)
    authenticator.counts = authoriser.counts

    def use_issuers() -> None:
        issuers, authenticator.anonymous = issuers_of(settings, audiences, clock, calls)
        authenticator.bearers.authenticators = [*own, *issuers, *others]

    def use_authorisers() -> None:
        authoriser.use(authorisers(settings, clock, calls))

    use_issuers()
    use_authorisers()
    files = tuple((file, use) for file, use in ((settings.authentication_config, use_issuers),
                                                (settings.authorization_config, use_authorisers)) if file is not None)
    tokens = TokenIssuer(registry, keyring, settings.service_account_issuer[0], audiences, clock,
                         settings.service_account_max_token_expiration,
                         settings.service_account_extend_token_expiration)
    return Access(authenticator, authoriser, Impersonation(authoriser), keyring, tokens,
                  Reviews(authenticator, authoriser), files, calls, authoriser.counts)


def own_tokens(settings: AccessSettings, registry: Registry, keyring: Keyring, audiences: tuple[str, ...],
               clock: Clock) -> list[Tokens]:
    """The authenticators of tokens that nobody else has to be asked about, in order."""
    found: list[Tokens] = []
    if settings.token_auth_file is not None:
        from timonier.apiserver.auth.static_tokens import StaticTokens

        found.append(StaticTokens.from_file(settings.token_auth_file, audiences))
    found += [AccountTokens(registry, keyring, settings.service_account_issuer, clock),
              LegacyTokens(registry, keyring, audiences, clock)]
    if settings.enable_bootstrap_token_auth:
        found.append(BootstrapTokens(registry, audiences, clock))
    return found


def issuers_of(settings: AccessSettings, audiences: tuple[str, ...], clock: Clock,
               calls: list[Connections]) -> tuple[list[Tokens], Anonymous]:
    """The authenticators of the issuers that are configured, and who is let in without a credential."""
    anonymous = Anonymous(settings.anonymous_auth)
    if settings.authentication_config is None and not settings.oidc_issuer_url:
        return [], anonymous
    from timonier.apiserver.auth.oidc import configuration
    from timonier.apiserver.auth.oidc.keys import IssuerKeys
    from timonier.apiserver.auth.oidc.tokens import ALGORITHMS, OidcTokens

    if settings.authentication_config is None:
        found, algorithms = configuration.from_flags(settings), settings.oidc_signing_algs
    else:
        found = configuration.from_file(settings.authentication_config, settings.service_account_issuer)
        algorithms = ALGORITHMS
    if found.anonymous is not None:
        anonymous = Anonymous(found.anonymous.enabled, frozenset(each.path for each in found.anonymous.conditions))
    made = [OidcTokens(each, IssuerKeys(each.issuer, clock), audiences, clock, algorithms) for each in found.jwt]
    calls += (each.keys.connections for each in made)
    return [*made], anonymous


def webhook_tokens(settings: AccessSettings, audiences: tuple[str, ...], clock: Clock,
                   calls: list[Connections]) -> list[Tokens]:
    if settings.authentication_token_webhook_config_file is None:
        return []
    from timonier.apiserver.auth.kept import Kept
    from timonier.apiserver.auth.token_webhook import WebhookTokens
    from timonier.apiserver.calls import Webhook

    webhook = Webhook.from_file(settings.authentication_token_webhook_config_file, clock)
    calls.append(webhook.connections)
    return [WebhookTokens(webhook, audiences, Kept(clock), settings.authentication_token_webhook_cache_ttl)]


def authorisers(settings: AccessSettings, clock: Clock,
                calls: list[Connections]) -> list[str | decision.Authoriser]:
    """Who is asked whether a request is allowed: modes by their names, and the webhook itself."""
    if settings.authorization_config is not None:
        from timonier.apiserver.auth import configured
        from timonier.apiserver.auth.webhook import WebhookAuthoriser

        found = configured.from_file(settings.authorization_config, clock)
        calls += (each.webhook.connections for each in found if isinstance(each, WebhookAuthoriser))
        return found
    if settings.authorization_webhook_config_file is None:
        return list(settings.authorization_mode)
    from timonier.apiserver.auth.kept import Kept
    from timonier.apiserver.auth.webhook import WebhookAuthoriser
    from timonier.apiserver.calls import Webhook

    webhook = WebhookAuthoriser(Webhook.from_file(settings.authorization_webhook_config_file, clock), Kept(clock),
                                settings.authorization_webhook_cache_authorized_ttl,
                                settings.authorization_webhook_cache_unauthorized_ttl)
    calls.append(webhook.webhook.connections)
    return [webhook if mode == "Webhook" else mode for mode in settings.authorization_mode]
