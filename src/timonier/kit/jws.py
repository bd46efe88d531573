"""Signed JSON: the keys that sign and verify tokens, and what a signature is worth (RFC 7515, 7517).

A key knows its one algorithm, and a token is verified by what the key says, never by what the token claims of itself.
What the signed claims mean is for the caller. The library that signs costs 0.1 s to import, and is so at the first
token.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from timonier.kit.fatal import CannotRun, needed

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

PRIVATE = (RSAPrivateKey, EllipticCurvePrivateKey)
EC_ALGORITHMS = {256: "ES256", 384: "ES384", 521: "ES512"}
PUBLIC_PARTS = frozenset({"n", "e", "crv", "x", "y"})
BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
LONGEST_TOKEN = 16 * 1024
"""Characters; what is longer is no token."""


class BadSignature(Exception):
    """A token that none of the keys signed. The text is for the log."""


@dataclass(frozen=True)
class Key:
    """A key, or its public half; the algorithm of its signatures; and its id, the hash of the public half."""

    material: RSAPrivateKey | EllipticCurvePrivateKey | RSAPublicKey | EllipticCurvePublicKey = field(repr=False)
    algorithm: str
    kid: str

    @classmethod
    def of(cls, material: Any) -> Key:
        """A key of what `cryptography` loaded: RSA, or EC on a NIST curve. Raises ValueError."""
        public = material.public_key() if isinstance(material, PRIVATE) else material
        if not isinstance(public, RSAPublicKey | EllipticCurvePublicKey):
            raise ValueError("a key of tokens must be an RSA key or an EC key")
        if isinstance(public, EllipticCurvePublicKey) and public.key_size not in EC_ALGORITHMS:
            raise ValueError(f"an EC key of tokens cannot be on the curve {public.curve.name}")
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kid = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return cls(material, "RS256" if isinstance(public, RSAPublicKey) else EC_ALGORITHMS[public.key_size], kid)

    @classmethod
    def from_pem(cls, pem: bytes) -> Key:
        """From the first key in PEM. Raises ValueError."""
        return keys_of(pem)[0]

    @property
    def private(self) -> bool:
        return isinstance(self.material, PRIVATE)

    @cached_property
    def jwk(self) -> RSAKey | ECKey:
        from joserfc.jwk import ECKey, RSAKey

        made = RSAKey if isinstance(self.material, RSAPrivateKey | RSAPublicKey) else ECKey
        if isinstance(self.material, PRIVATE):
            return made.import_key(self.material.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made.import_key(self.material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def keys_of(pem: bytes) -> list[Key]:
    """Every key in PEM: private keys, public keys, those of certificates. Raises ValueError where there is none."""
    found = [Key.of(material(block.group(0), block.group(1))) for block in BLOCK.finditer(pem)
             if block.group(1) != b"EC PARAMETERS"]
    if not found:
        raise ValueError("there is no key in it")
    return found


def material(block: bytes, label: bytes) -> Any:
    if label == b"CERTIFICATE":
        return x509.load_pem_x509_certificate(block).public_key()
    return load_pem_private_key(block, None) if label.endswith(b"PRIVATE KEY") else load_pem_public_key(block)


def read_keys(path: Path) -> list[Key]:
    """The keys of a PEM file. Raises CannotRun."""
    with needed("cannot read the keys of tokens"):
        content = path.read_bytes()
    try:
        return keys_of(content)
    except (ValueError, TypeError, UnsupportedAlgorithm, KeyError) as error:
        raise CannotRun(f"{path} holds no key of tokens (PEM, RSA or EC, without password): "
                        f"{' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class Keyring:
    """The key that signs, and those by which tokens are verified: by their ids, its own first, older ones behind it."""

    key: Key
    known: Mapping[str, Key]

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Keyring:
        """The first of the keys signs. Raises ValueError where it cannot."""
        by_id: dict[str, Key] = {}
        for key in keys:
            by_id.setdefault(key.kid, key)
        first = next(iter(by_id.values()))
        if not first.private:
            raise ValueError("the key that signs tokens must be a private key")
        return cls(first, by_id)

    @classmethod
    def from_pem(cls, *pems: bytes) -> Keyring:
        """From keys in PEM; the first signs. Raises ValueError."""
        return cls.of(key for pem in pems for key in keys_of(pem))

    @classmethod
    def from_files(cls, signing: Path, *verifying: Path) -> Keyring:
        """From PEM files. Raises CannotRun."""
        first, *_ = read_keys(signing)
        if not first.private:
            raise CannotRun(f"{signing} holds no private key, so it cannot sign tokens")
        return cls.of([first, *(key for path in verifying for key in read_keys(path))])

    @property
    def algorithms(self) -> list[str]:
        return sorted({key.algorithm for key in self.known.values()})

    def sign(self, claims: Mapping[str, Any]) -> str:
        from joserfc import jws

        protected = {"alg": self.key.algorithm, "kid": self.key.kid}
        return jws.serialize_compact(protected, orjson.dumps(claims), self.key.jwk, [self.key.algorithm])

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys signed: the one that it names, any where it names none.

        Raises BadSignature.
        """
        from joserfc import jws
        from joserfc.errors import JoseError

        if len(token) > LONGEST_TOKEN:
            raise BadSignature("too long")
        try:
            kid = jws.extract_compact(token.encode("ascii")).headers().get("kid")
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise BadSignature("not a token") from error
        named = self.known.get(kid) if isinstance(kid, str) else None
        candidates = [named] if named else [] if kid else list(self.known.values())
        if not candidates:
            raise BadSignature("signed by a key that is not ours")
        for key in candidates:
            try:
                claims = orjson.loads(jws.deserialize_compact(token, key.jwk, [key.algorithm]).payload)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if not isinstance(claims, dict):
                raise BadSignature("claims are not an object")
            return claims
        raise BadSignature("its signature is wrong")

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, by which others verify our tokens."""
        return {"keys": [{"use": "sig", "kty": key.jwk.key_type, "kid": kid, "alg": key.algorithm,
                          **{name: value for name, value in key.jwk.as_dict(private=False).items()
                             if name in PUBLIC_PARTS}}
                         for kid, key in self.known.items()]}


def peek(token: str) -> dict[str, Any]:
    """What a token claims, whoever signed it: enough to know whom to ask. Empty where it is no token."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST_TOKEN:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
