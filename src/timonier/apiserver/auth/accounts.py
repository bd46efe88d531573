"""Service accounts: tokens that this server signed, for as long as what they name exists.

A token's signature is checked once and remembered; that it has not expired, and that the account and the objects it is
bound to are still the same, is checked on every request. Tokens kept in Secrets stand in `legacy`.
Source: KEP-1205, KEP-4193; the words are those of Kubernetes's validator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from timonier.api.kinds import BY_ID
from timonier.api.times import parse
from timonier.apiserver.auth.identity import CREDENTIAL, BadToken, Identity, Recent, held, listed
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.auth.tokens import Bound, Claims, check_time, read_claims
from timonier.apiserver.request import AUTHENTICATED_GROUP, Object, User
from timonier.kit.clock import Clock, Seconds, Time
from timonier.kit.jws import BadSignature, Keyring, peek

ACCOUNT, POD, SECRET, NODE = (BY_ID[f"v1/{kind}"] for kind in ("ServiceAccount", "Pod", "Secret", "Node"))
BOUND_KINDS = {"pod": POD, "secret": SECRET, "node": NODE}
DELETED_LEEWAY: Seconds = 60.0
"""For how long a token outlives the moment at which its object was due to be gone."""
INVALIDATED = "service account token has been invalidated"
STALE = "authentication.k8s.io/stale-token"


@dataclass
class AccountTokens:
    """The authenticator; `issuers` are those that were ever ours."""

    cache: Cache
    keys: Keyring
    issuers: Sequence[str]
    clock: Clock
    known: Recent[tuple[Claims, User]] = field(default_factory=lambda: Recent(4096))

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        now, found = self.clock.now(), self.known.get(token.encode())
        if found is None:
            if peek(token).get("iss") not in self.issuers:
                return None
            found = self.read(token, now)
            self.known.put(token.encode(), found)
        claims, user = found
        check_time(claims, now)
        common = held(audiences, claims.audiences)
        if not common:
            raise BadToken(f"token audiences {listed(claims.audiences)} is invalid for the target audiences "
                           f"{listed(audiences)}")
        self.check_objects(claims, now)
        return Identity(user, common, notes=stale(claims, now))

    def read(self, token: str, now: Time) -> tuple[Claims, User]:
        try:
            claims = read_claims(self.keys.verify(token), issuers=self.issuers, now=now)
        except BadSignature as error:
            raise BadToken(str(error)) from error
        return claims, user_of(claims)

    def check_objects(self, claims: Claims, now: Time) -> None:
        """Raise BadToken where the account, or what the token is bound to, is no longer the same object."""
        check_account(self.cache, claims.namespace, claims.account, claims.uid, now)
        for bound in claims.bound:
            if bound.kind == "node" and any(other.kind == "pod" for other in claims.bound):
                continue
            kind = BOUND_KINDS[bound.kind]
            found = self.cache.peek(kind, claims.namespace if kind.namespaced else "", bound.name)
            if found is None or is_deleted(found, now):
                raise BadToken(INVALIDATED)
            uid = found["metadata"].get("uid")
            if uid != bound.uid:
                raise BadToken(f"{bound.kind} UID ({uid}) does not match service account {bound.kind} ref claim "
                               f"({bound.uid})")


def check_account(cache: Cache, namespace: str, name: str, uid: str, now: Time) -> Object:
    """The account that a token names. Raises BadToken where it is gone, or another of the same name."""
    account = cache.peek(ACCOUNT, namespace, name)
    if account is None:
        raise BadToken(f'serviceaccounts "{name}" not found')
    if account["metadata"].get("uid") != uid:
        raise BadToken(f"service account UID ({account['metadata'].get('uid')}) does not match claim ({uid})")
    if is_deleted(account, now):
        raise BadToken("service account has been deleted")
    return account


def is_deleted(obj: Object, now: Time) -> bool:
    deleted = obj["metadata"].get("deletionTimestamp")
    return bool(deleted) and parse(deleted) + DELETED_LEEWAY < now


def stale(claims: Claims, now: Time) -> dict[str, str]:
    """The note about a token that its client ought to have read anew by now."""
    if claims.warn_after is None or now < claims.warn_after:
        return {}
    over = int(now - claims.warn_after)
    return {STALE: f"subject: {claims.user_name}, seconds after warning threshold: {over}"}


def user_of(claims: Claims) -> User:
    extra: dict[str, tuple[str, ...]] = {CREDENTIAL: (f"JTI={claims.id}",)} if claims.id else {}
    extra |= {f"authentication.kubernetes.io/{bound.kind}-{part}": (value,)
              for bound in claims.bound if bound.kind != "secret" for part, value in parts_of(bound)}
    return account_user(claims.namespace, claims.account, claims.uid, extra)


def parts_of(bound: Bound) -> list[tuple[str, str]]:
    return [(part, value) for part, value in (("name", bound.name), ("uid", bound.uid)) if value]


def account_user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> User:
    """The user that a service account is."""
    return User(f"system:serviceaccount:{namespace}:{name}", uid, (*account_groups(namespace), AUTHENTICATED_GROUP),
                extra)


def account_groups(namespace: str) -> tuple[str, str]:
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"
