"""Service-account tokens: what they claim, how they are signed, and what a signature is worth.

A token says: this is service account X of namespace Y, for audience Z, until then, as long as the pod that it is bound
to exists. This module signs and reads such statements, purely; whether the objects that they name still exist is
checked by `authenticate`, and who may ask for one by `subresources.token`.
Source: KEP-1205 (bound service account tokens), RFC 7515, RFC 7517.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from timonier.apiserver.auth.rbac import service_account
from timonier.kit.clock import Seconds, Time
from timonier.kit.fatal import CannotRun, needed

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

PRIVATE_CLAIMS = "kubernetes.io"
EC_ALGORITHMS = {256: "ES256", 384: "ES384", 521: "ES512"}
PUBLIC_PARTS = frozenset({"n", "e", "crv", "x", "y"})
LONGEST_TOKEN = 16 * 1024
"""Characters; what is longer is not a token of ours."""


class BadToken(Exception):
    """The token proves nothing. The text is for the log; the client learns only that it is unauthorized."""


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

    @property
    def user_name(self) -> str:
        return service_account(self.namespace, self.account)

    def to_dict(self, issuer: str) -> dict[str, Any]:
        """The JSON claims, with whole seconds, as kube-apiserver writes them."""
        private: dict[str, Any] = {"namespace": self.namespace,
                                   "serviceaccount": {"name": self.account, "uid": self.uid}}
        private |= {bound.kind: {"name": bound.name, "uid": bound.uid} for bound in self.bound}
        return {"aud": list(self.audiences), "exp": int(self.expires), "iat": int(self.issued), "iss": issuer,
                "jti": self.id, PRIVATE_CLAIMS: private, "nbf": int(self.issued), "sub": self.user_name}


def new_claims(namespace: str, account: str, uid: str, *, audiences: Sequence[str], seconds: Seconds, now: Time,
               bound: Sequence[Bound] = ()) -> Claims:
    return Claims(namespace, account, uid, tuple(audiences), now + seconds, now, str(uuid.uuid4()), tuple(bound))


def read_claims(claims: Mapping[str, Any], *, issuer: str, now: Time) -> Claims:
    """The claims of a token whose signature was good. Raises BadToken where they are not ours, or not now."""
    try:
        private = claims[PRIVATE_CLAIMS]
        account = private["serviceaccount"]
        audience = claims.get("aud", [])
        bound = tuple(Bound(kind, private[kind]["name"], private[kind]["uid"])
                      for kind in ("pod", "secret", "node") if private.get(kind))
        read = Claims(private["namespace"], account["name"], account["uid"],
                      (audience,) if isinstance(audience, str) else tuple(audience), float(claims["exp"]),
                      float(claims.get("nbf", 0)), str(claims.get("jti", "")), bound)
        if claims["iss"] != issuer or claims["sub"] != read.user_name:
            raise BadToken("issuer or subject is not that of a service account of this cluster")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadToken("claims are not those of a service-account token") from error
    check_time(read, now)
    return read


def check_time(claims: Claims, now: Time) -> None:
    """Raise BadToken outside the time in which the token holds."""
    if now >= claims.expires:
        raise BadToken("service account token has expired")
    if now + 1 < claims.issued:
        raise BadToken("service account token is not valid yet")


@dataclass(frozen=True)
class SigningKey:
    """A private key, the algorithm that it signs with, and its id: the hash of its public half."""

    private: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)
    algorithm: str
    kid: str

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """From PEM: RSA, or EC on a NIST curve. Raises ValueError."""
        private = load_pem_private_key(pem, None)
        if not isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey):
            raise ValueError("a service-account key must be an RSA key or an EC key")
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kid = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return cls(private, "RS256" if isinstance(private, RSAPrivateKey) else EC_ALGORITHMS[private.key_size], kid)

    @cached_property
    def jwk(self) -> RSAKey | ECKey:
        """The key as the token library wants it, made at the first token: the library costs 0.1 s to import."""
        from joserfc.jwk import ECKey, RSAKey

        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return RSAKey.import_key(pem) if isinstance(self.private, RSAPrivateKey) else ECKey.import_key(pem)


@dataclass(frozen=True)
class Keyring:
    """The key that signs, and those by which tokens are verified: by their ids, its own first, older ones behind it."""

    key: SigningKey
    known: Mapping[str, SigningKey]

    @classmethod
    def from_pem(cls, *pems: bytes) -> Keyring:
        """From private keys; the first signs. Raises ValueError."""
        keys = [SigningKey.from_pem(pem) for pem in pems]
        return cls(keys[0], {key.kid: key for key in keys})

    @classmethod
    def from_file(cls, path: Path) -> Keyring:
        """From a PEM file. Raises CannotRun."""
        with needed("cannot read the key of service-account tokens"):
            content = path.read_bytes()
        try:
            return cls.from_pem(content)
        except (ValueError, TypeError, UnsupportedAlgorithm, KeyError) as error:
            raise CannotRun(f"{path} is not a key that signs tokens (PEM, RSA or EC, without password): "
                            f"{' '.join(str(error).split())}") from error

    @property
    def algorithms(self) -> list[str]:
        return sorted({key.algorithm for key in self.known.values()})

    def sign(self, claims: Claims, issuer: str) -> str:
        from joserfc import jws

        protected = {"alg": self.key.algorithm, "kid": self.key.kid}
        return jws.serialize_compact(protected, orjson.dumps(claims.to_dict(issuer)), self.key.jwk,
                                     [self.key.algorithm])

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys signed. Raises BadToken.

        The algorithm is that of the key, never what the token says it is.
        """
        from joserfc import jws
        from joserfc.errors import JoseError

        if len(token) > LONGEST_TOKEN:
            raise BadToken("too long")
        try:
            kid = jws.extract_compact(token.encode("ascii")).headers().get("kid")
            key = self.known.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise BadToken("signed by a key that is not ours")
            claims = orjson.loads(jws.deserialize_compact(token, key.jwk, [key.algorithm]).payload)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise BadToken("not a token, or its signature is wrong") from error
        if not isinstance(claims, dict):
            raise BadToken("claims are not an object")
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, by which others verify our tokens."""
        return {"keys": [{"use": "sig", "kty": key.jwk.key_type, "kid": kid, "alg": key.algorithm,
                          **{name: value for name, value in key.jwk.as_dict(private=False).items()
                             if name in PUBLIC_PARTS}}
                         for kid, key in self.known.items()]}


def openid_configuration(issuer: str, jwks_uri: str, algorithms: Sequence[str]) -> dict[str, Any]:
    """The OpenID Connect discovery document of the issuer."""
    return {"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": list(algorithms)}
