"""Bootstrap tokens: Secrets of kube-system that let a machine that has nothing else ask for a certificate.

What a Secret of type `bootstrap.kubernetes.io/token` says, read once for the server, which lets its bearer in, and for
the controllers, which sign with it and throw it away.
Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from timonier.api.times import parse

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
USER_PREFIX = "system:bootstrap:"
GROUP = "system:bootstrappers"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
ID = re.compile(r"[a-z0-9]{6}", re.ASCII)
EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)


class NoBootstrapToken(ValueError):
    """A Secret that is no bootstrap token; the message says why."""


@dataclass(frozen=True)
class BootstrapToken:
    """What a Secret says. `expires` is None for a token that never does; one that cannot be read already has."""

    id: str
    secret: str
    expires: float | None
    signs: bool
    authenticates: bool
    groups: tuple[str, ...]

    def expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


def read(name: str, data: Mapping[str, bytes]) -> BootstrapToken:
    """The token that a Secret of the right type holds. Raises NoBootstrapToken."""
    texts = {key: value.decode("utf-8", "replace") for key, value in data.items()}
    token_id, secret = texts.get("token-id", ""), texts.get("token-secret", "")
    if not secret:
        raise NoBootstrapToken("no value for token-secret")
    if name != PREFIX + token_id or not ID.fullmatch(token_id):
        raise NoBootstrapToken(f"its name and its token-id {token_id!r} do not fit")
    extra = texts.get("auth-extra-groups", "")
    for group in extra.split(",") if extra else ():
        if not EXTRA_GROUP.fullmatch(group):
            raise NoBootstrapToken(f"bootstrap group {group!r} is invalid (must match {EXTRA_GROUP.pattern})")
    groups = {GROUP, *(extra.split(",") if extra else ())}
    return BootstrapToken(token_id, secret, expiry(texts.get("expiration", "")),
                          texts.get("usage-bootstrap-signing") == "true",
                          texts.get("usage-bootstrap-authentication") == "true", tuple(sorted(groups)))


def expiry(text: str) -> float | None:
    if not text:
        return None
    try:
        return parse(text)
    except ValueError:
        return 0.0
