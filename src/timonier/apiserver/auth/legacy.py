"""Tokens in Secrets: service-account tokens as they were before KEP-1205, which never expire and die with their Secret.

Nobody gets one without asking: the Secret is made by a user, and filled by the tokens controller. The server keeps on
the Secret the day on which the token was last used, and refuses one that was marked as invalid.
Source: KEP-2799 (reduction of secret-based service account tokens).
"""

from __future__ import annotations

import base64
import datetime
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.apiserver.auth.accounts import SECRET, account_user, check_account, is_deleted
from timonier.apiserver.auth.identity import BadToken, Identity, Recent, held, listed
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.auth.rbac import service_account
from timonier.apiserver.request import Object
from timonier.kit.clock import Clock, Time
from timonier.kit.jws import BadSignature, Keyring, peek

log = logging.getLogger(__name__)

ISSUER = "kubernetes/serviceaccount"
CLAIM = "kubernetes.io/serviceaccount/"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
NOTE = "authentication.k8s.io/legacy-token"
USE_OTHERS = "Use tokens from the TokenRequest API or manually created secret-based tokens"


Named = tuple[str, str, str, str]
"""Namespace, account, its uid and the Secret that a token names."""


class Registry(Cache, Protocol):
    """The cache, and the write by which the last use is kept."""

    async def change(self, kind: Kind, namespace: str, name: str,
                     edit: Callable[[Object], Object | None]) -> Object: ...


@dataclass
class LegacyTokens:
    """The authenticator; `audiences` are those that tokens without any hold for."""

    registry: Registry
    keys: Keyring
    audiences: Sequence[str]
    clock: Clock
    known: Recent[Named] = field(default_factory=lambda: Recent(1024))

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        found = self.known.get(token.encode())
        if found is None:
            if peek(token).get("iss") != ISSUER:
                return None
            found = self.read(token)
            self.known.put(token.encode(), found)
        namespace, name, uid, secret_name = found
        common = held(audiences, self.audiences)
        if not common:
            raise BadToken(f"token audiences {listed(self.audiences)} is invalid for the target audiences "
                           f"{listed(audiences)}")
        now = self.clock.now()
        secret = self.secret_of(namespace, secret_name, token, now)
        account = check_account(self.registry, namespace, name, uid, now)
        if (secret["metadata"].get("labels") or {}).get(INVALID_SINCE):
            raise BadToken(f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has "
                           f"been marked invalid. {USE_OTHERS}, or remove the '{INVALID_SINCE}' label from the secret "
                           "to temporarily allow use of this token")
        await self.remember_use(secret, now)
        warnings = (f"{USE_OTHERS} instead of auto-generated secret-based tokens.",) \
            if any(each.get("name") == secret_name for each in account.get("secrets") or ()) else ()
        return Identity(account_user(namespace, name, uid, {}), common, warnings,
                        {NOTE: service_account(namespace, name)})

    def read(self, token: str) -> Named:
        try:
            return named(self.keys.verify(token))
        except BadSignature as error:
            raise BadToken(str(error)) from error

    def secret_of(self, namespace: str, name: str, token: str, now: Time) -> Object:
        secret = self.registry.peek(SECRET, namespace, name)
        if secret is None or is_deleted(secret, now):
            raise BadToken("Token has been invalidated")
        kept = base64.b64decode((secret.get("data") or {}).get("token") or "")
        if not hmac.compare_digest(kept, token.encode()):
            raise BadToken("Token does not match server's copy")
        return secret

    async def remember_use(self, secret: Object, now: Time) -> None:
        """Keep the day of the last use, at most one write a day."""
        metadata, today = secret["metadata"], datetime.datetime.fromtimestamp(now, datetime.UTC).date().isoformat()
        if (metadata.get("labels") or {}).get(LAST_USED) == today:
            return

        def edit(old: Object) -> Object | None:
            labels = old["metadata"].get("labels") or {}
            return old | {"metadata": old["metadata"] | {"labels": labels | {LAST_USED: today}}}

        try:
            await self.registry.change(SECRET, metadata["namespace"], metadata["name"], edit)
        except ApiError as error:
            log.warning("last use of a token not kept", extra={"secret": f"{metadata['namespace']}/{metadata['name']}",
                                                               "error": error.message})


def named(claims: Mapping[str, Any]) -> Named:
    """What a token names. Raises BadToken."""
    found = tuple(claims.get(CLAIM + part) for part in ("namespace", "service-account.name", "service-account.uid",
                                                        "secret.name"))
    if not all(isinstance(part, str) and part for part in found) \
            or claims.get("sub") != service_account(str(found[0]), str(found[1])):
        raise BadToken("claims are not those of a service-account token")
    namespace, name, uid, secret = (str(part) for part in found)
    return namespace, name, uid, secret
