"""Who may come in, and what tells so: authentication, authorisation and tokens of one server, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from timonier.apiserver.auth import decision
from timonier.apiserver.auth.accounts import AccountTokens
from timonier.apiserver.auth.authenticate import Anonymous, Authenticator
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.auth.bearers import Bearers
from timonier.apiserver.auth.bootstrap_tokens import BootstrapTokens
from timonier.apiserver.auth.front_proxy import FrontProxy
from timonier.apiserver.auth.identity import Tokens
from timonier.apiserver.auth.impersonate import Impersonation
from timonier.apiserver.auth.legacy import LegacyTokens
from timonier.apiserver.auth.reviews import Reviews
from timonier.apiserver.auth.settings import AccessSettings
from timonier.apiserver.auth.static_tokens import StaticTokens
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Request, User
from timonier.apiserver.settings import ApiServerSettings
from timonier.apiserver.subresources.token import TokenIssuer
from timonier.kit.clock import Clock
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


def access(settings: ApiServerSettings, registry: Registry, clock: Clock, authorities: Authorities) -> Access:
    """The access that the settings describe, for clients with tokens and with certificates of `authorities`.

    Raises CannotRun where a key, a certificate or a configuration cannot be used.
    """
    keyring = Keyring.from_files(settings.service_account_signing_key_file, *settings.service_account_key_file)
    issuers = settings.service_account_issuer
    audiences = settings.api_audiences or issuers
    proxy = FrontProxy(Authorities.from_file(settings.requestheader_client_ca_file), settings) \
        if settings.requestheader_client_ca_file is not None else None
    bearers = Bearers(token_authenticators(settings, registry, keyring, audiences, clock))
    authenticator = Authenticator(clock, bearers, audiences, authorities, proxy, Anonymous(settings.anonymous_auth))
    authoriser = Authoriser(registry, authorisers(settings, clock))
    tokens = TokenIssuer(registry, keyring, issuers[0], audiences, clock, settings.service_account_max_token_expiration,
                         settings.service_account_extend_token_expiration)
    return Access(authenticator, authoriser, Impersonation(authoriser), keyring, tokens,
                  Reviews(authenticator, authoriser))


def token_authenticators(settings: AccessSettings, registry: Registry, keyring: Keyring, audiences: tuple[str, ...],
                         clock: Clock) -> list[Tokens]:
    """Who is asked about tokens, in order: those who know at once, then those who have to ask others."""
    found: list[Tokens] = []
    if settings.token_auth_file is not None:
        found.append(StaticTokens.from_file(settings.token_auth_file, audiences))
    found += [AccountTokens(registry, keyring, settings.service_account_issuer, clock),
              LegacyTokens(registry, keyring, audiences, clock)]
    if settings.enable_bootstrap_token_auth:
        found.append(BootstrapTokens(registry, audiences, clock))
    if settings.authentication_token_webhook_config_file is not None:
        from timonier.apiserver.auth.kept import Kept
        from timonier.apiserver.auth.token_webhook import WebhookTokens
        from timonier.apiserver.calls import Webhook

        webhook = Webhook.from_file(settings.authentication_token_webhook_config_file, clock)
        found.append(WebhookTokens(webhook, audiences, Kept(clock), settings.authentication_token_webhook_cache_ttl))
    return found


def authorisers(settings: AccessSettings, clock: Clock) -> list[str | decision.Authoriser]:
    """Who is asked whether a request is allowed: modes by their names, and the webhook itself."""
    if settings.authorization_webhook_config_file is None:
        return list(settings.authorization_mode)
    from timonier.apiserver.auth.kept import Kept
    from timonier.apiserver.auth.webhook import WebhookAuthoriser
    from timonier.apiserver.calls import Webhook

    webhook = WebhookAuthoriser(Webhook.from_file(settings.authorization_webhook_config_file, clock), Kept(clock),
                                settings.authorization_webhook_cache_authorized_ttl,
                                settings.authorization_webhook_cache_unauthorized_ttl)
    return [webhook if mode == "Webhook" else mode for mode in settings.authorization_mode]
