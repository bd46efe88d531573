"""Who asks: a client certificate, a service-account token, or nobody in particular.

TLS proves no more than that the client has a certificate's key: `kit.trust` tells whether to believe it, and here its
subject becomes a user. A token's signature is checked once and remembered; that it has not expired and that the account
and the objects it is bound to still exist is checked on every request. Whether a user may act as another one stands in
`impersonate`.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from timonier.api.errors import Unauthorized
from timonier.api.kinds import BY_ID
from timonier.api.times import parse
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.auth.tokens import BadToken, Bound, Claims, Keyring, check_time, read_claims
from timonier.apiserver.request import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    Object,
    Request,
    User,
)
from timonier.kit.clock import Clock, Time
from timonier.kit.trust import Authorities, Untrusted, Verified

log = logging.getLogger(__name__)

T = TypeVar("T")

UID_ATTRIBUTE = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""The subject attribute that holds a user's uid (KEP-4766)."""
NOBODY = User(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))
SERVICE_ACCOUNT, POD, SECRET, NODE = (BY_ID[f"v1/{kind}"] for kind in ("ServiceAccount", "Pod", "Secret", "Node"))
BOUND_KINDS = {"pod": POD, "secret": SECRET, "node": NODE}
DELETED_LEEWAY = 60.0
"""Seconds for which a token outlives the moment at which its object was due to be gone."""


class Recent(Generic[T]):
    """The results for the last few credentials, by their hash, so that memory holds no credentials."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: OrderedDict[bytes, T] = OrderedDict()

    def get(self, credential: bytes) -> T | None:
        key = hashlib.sha256(credential).digest()
        if key in self.entries:
            self.entries.move_to_end(key)
        return self.entries.get(key)

    def put(self, credential: bytes, value: T) -> None:
        self.entries[hashlib.sha256(credential).digest()] = value
        while len(self.entries) > self.limit:
            self.entries.popitem(last=False)


@dataclass
class Authenticator:
    """Certificates, then bearer tokens, then anonymous.

    `audiences` are those for which this server takes tokens. Nobody's certificate is believed without `authorities`.
    """

    cache: Cache
    keys: Keyring
    issuer: str
    audiences: Sequence[str]
    clock: Clock
    authorities: Authorities = field(default_factory=Authorities)
    tokens: Recent[Claims] = field(default_factory=lambda: Recent(4096))
    certificates: Verified[User | None] = field(init=False)

    def __post_init__(self) -> None:
        self.certificates = Verified(self.authorities, read_certificate)

    async def authenticate(self, request: Request) -> User:
        """The user of a request. Raises Unauthorized where it has credentials, and none of them holds.

        As in Kubernetes, a token is looked at where the certificate is not to be believed.
        """
        refused: Untrusted | None = None
        if request.peer_certificate is not None:
            try:
                user = self.certificates.of(request.peer_certificate, self.clock.now())
            except Untrusted as error:
                refused = error
                log.info("certificate refused", extra={"why": str(error), "client": request.client})
            else:
                if user is not None:
                    return user
        token = bearer_token(request.headers.get("authorization", ""))
        if not token:
            if refused is not None:
                raise Unauthorized("Unauthorized") from refused
            return NOBODY
        try:
            user, _ = self.of_token(token, self.audiences)
        except BadToken as error:
            log.info("token refused", extra={"why": str(error), "client": request.client})
            raise Unauthorized("Unauthorized") from error
        return user

    def of_token(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The user of a token, and for which of the audiences it holds. Raises BadToken."""
        claims, now = self.tokens.get(token.encode()), self.clock.now()
        if claims is None:
            claims = read_claims(self.keys.verify(token), issuer=self.issuer, now=now)
            self.tokens.put(token.encode(), claims)
        check_time(claims, now)
        common = [audience for audience in audiences if audience in claims.audiences]
        if not common:
            raise BadToken("token is for another audience")
        self.check_objects(claims, now)
        return user_of(claims), common

    def check_objects(self, claims: Claims, now: Time) -> None:
        """Raise BadToken where the account, or what the token is bound to, is no longer the same object."""
        account = self.cache.peek(SERVICE_ACCOUNT, claims.namespace, claims.account)
        check_same(account, claims.uid, now, "service account")
        for bound in claims.bound:
            if bound.kind == "node" and any(other.kind == "pod" for other in claims.bound):
                continue
            kind = BOUND_KINDS[bound.kind]
            found = self.cache.peek(kind, claims.namespace if kind.namespaced else "", bound.name)
            check_same(found, bound.uid, now, bound.kind)


def check_same(obj: Object | None, uid: str, now: Time, what: str) -> None:
    if obj is None:
        raise BadToken(f"{what} of the token does not exist")
    if obj["metadata"].get("uid") != uid:
        raise BadToken(f"{what} of the token was replaced by another of the same name")
    deleted = obj["metadata"].get("deletionTimestamp")
    if deleted and parse(deleted) + DELETED_LEEWAY < now:
        raise BadToken(f"{what} of the token is deleted")


def bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def user_of(claims: Claims) -> User:
    extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims.id}",)} if claims.id else {}
    extra |= {f"authentication.kubernetes.io/{bound.kind}-{part}": (value,)
              for bound in claims.bound if bound.kind != "secret" for part, value in parts_of(bound)}
    return User(claims.user_name, claims.uid, (*account_groups(claims.namespace), AUTHENTICATED_GROUP), extra)


def parts_of(bound: Bound) -> list[tuple[str, str]]:
    return [(part, value) for part, value in (("name", bound.name), ("uid", bound.uid)) if value]


def account_groups(namespace: str) -> tuple[str, str]:
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"


def read_certificate(certificate: x509.Certificate) -> User | None:
    """Subject CN is the user's name, each O a group; None where it has no CN."""
    subject = certificate.subject
    name = first(subject, NameOID.COMMON_NAME)
    if not name:
        return None
    groups = [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    fingerprint = f"X509SHA256={certificate.fingerprint(hashes.SHA256()).hex()}"
    return User(name, first(subject, UID_ATTRIBUTE), tuple(dict.fromkeys([*groups, AUTHENTICATED_GROUP])),
                {"authentication.kubernetes.io/credential-id": (fingerprint,)})


def first(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)), "")
