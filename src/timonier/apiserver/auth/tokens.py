"""Service-account tokens: what they claim, and what their claims are worth.

A token says: this is service account X of namespace Y, for audience Z, until then, as long as the pod that it is bound
to exists. This module writes and reads such statements, purely; how they are signed stands in `kit.jws`, whether the
objects that they name still exist is checked by `accounts`, and who may ask for one by `subresources.token`.
Source: KEP-1205 (bound service account tokens).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.auth.rbac import service_account
from timonier.kit.clock import Seconds, Time

PRIVATE_CLAIMS = "kubernetes.io"
WARN_AFTER = "warnafter"
LEEWAY: Seconds = 60.0
"""By how much the clock of who issued a token may be ahead of ours."""
YEAR: Seconds = 365 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Bound:
    """An object that a token lives and dies with: `pod`, `secret` or `node`."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says."""

    namespace: str
    account: str
    uid: str
    audiences: tuple[str, ...]
    expires: Time
    issued: Time
    id: str
    bound: tuple[Bound, ...] = ()
    warn_after: Time | None = None
    """From when on the token is only for clients that do not read it anew, as they ought to."""

    @property
    def user_name(self) -> str:
        return service_account(self.namespace, self.account)

    def to_dict(self, issuer: str) -> dict[str, Any]:
        """The JSON claims, with whole seconds, as kube-apiserver writes them."""
        private: dict[str, Any] = {"namespace": self.namespace}
        private |= {bound.kind: {"name": bound.name, "uid": bound.uid} for bound in self.bound}
        private["serviceaccount"] = {"name": self.account, "uid": self.uid}
        if self.warn_after is not None:
            private[WARN_AFTER] = int(self.warn_after)
        return {"aud": list(self.audiences), "exp": int(self.expires), "iat": int(self.issued), "iss": issuer,
                "jti": self.id, PRIVATE_CLAIMS: private, "nbf": int(self.issued), "sub": self.user_name}


def new_claims(namespace: str, account: str, uid: str, *, audiences: Sequence[str], seconds: Seconds, now: Time,
               bound: Sequence[Bound] = (), extended: bool = False) -> Claims:
    """Claims that hold for some seconds; extended ones for a year, of which only these seconds are good practice."""
    return Claims(namespace, account, uid, tuple(audiences), now + (YEAR if extended else seconds), now,
                  str(uuid.uuid4()), tuple(bound), now + seconds if extended else None)


def read_claims(claims: Mapping[str, Any], *, issuers: Collection[str], now: Time) -> Claims:
    """The claims of a token whose signature was good. Raises BadToken where they are not ours, or not now."""
    try:
        private = claims[PRIVATE_CLAIMS]
        account = private["serviceaccount"]
        audience = claims.get("aud", [])
        bound = tuple(Bound(kind, private[kind]["name"], private[kind]["uid"])
                      for kind in ("pod", "secret", "node") if private.get(kind))
        warn_after = private.get(WARN_AFTER)
        read = Claims(private["namespace"], account["name"], account["uid"],
                      (audience,) if isinstance(audience, str) else tuple(audience), float(claims["exp"]),
                      float(claims.get("nbf", 0)), str(claims.get("jti", "")), bound,
                      None if warn_after is None else float(warn_after))
        if claims["iss"] not in issuers or claims["sub"] != read.user_name:
            raise BadToken("issuer or subject is not that of a service account of this cluster")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadToken("claims are not those of a service-account token") from error
    check_time(read, now)
    return read


def check_time(claims: Claims, now: Time) -> None:
    """Raise BadToken outside the time in which the token holds."""
    if now >= claims.expires:
        raise BadToken("service account token has expired")
    if now + LEEWAY < claims.issued:
        raise BadToken("service account token is not valid yet")


def openid_configuration(issuer: str, jwks_uri: str, algorithms: Sequence[str]) -> dict[str, Any]:
    """The OpenID Connect discovery document of the issuer."""
    return {"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": list(algorithms)}
