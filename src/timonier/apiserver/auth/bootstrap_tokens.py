"""Bootstrap tokens as credentials: `<id>.<secret>`, whose bearer is `system:bootstrap:<id>`.

What such a Secret says is read in `api.bootstrap_tokens`.
"""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from timonier.api import bootstrap_tokens
from timonier.api.bootstrap_tokens import NAMESPACE, PREFIX, TOKEN, TYPE, USER_PREFIX, NoBootstrapToken
from timonier.apiserver.auth.accounts import SECRET
from timonier.apiserver.auth.identity import Identity, authenticated, held
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.request import User
from timonier.kit.clock import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BootstrapTokens:
    """The authenticator. Such tokens hold for the `audiences` of this server."""

    cache: Cache
    audiences: Sequence[str]
    clock: Clock

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        match = TOKEN.fullmatch(token)
        secret = self.cache.peek(SECRET, NAMESPACE, PREFIX + match.group(1)) if match else None
        if match is None or secret is None or secret.get("type") != TYPE \
                or secret["metadata"].get("deletionTimestamp"):
            return None
        try:
            data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
            known = bootstrap_tokens.read(secret["metadata"]["name"], data)
        except NoBootstrapToken as error:
            log.warning("bootstrap token not usable", extra={"secret": secret["metadata"]["name"], "why": str(error)})
            return None
        holds = hmac.compare_digest(known.secret, match.group(2)) and known.authenticates \
            and not known.expired(self.clock.now())
        common = held(audiences, self.audiences)
        if not holds or not common:
            return None
        return Identity(authenticated(User(USER_PREFIX + known.id, groups=known.groups)), common)
