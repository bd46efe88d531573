"""Whether to believe a client's certificate: by a CA that is trusted, in its time, and meant for clients.

TLS has proved that the client holds the certificate's key, and nothing else (`kit.tls`). The rules are those of Go's
`x509.Verify` for a chain of two, leaf and CA, which Kubernetes's x509 authentication asks with the usage clientAuth;
stricter in one: a CA's certificate is nobody's. Chains with intermediates are not followed: put the CA that issues
into the file of trusted ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from timonier.kit.clock import Time
from timonier.kit.fatal import CannotRun, needed

T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)

REMEMBERED = 1024
"""Certificates whose verdict is remembered."""
HASHES = frozenset({"sha256", "sha384", "sha512"})
"""What a signature may be made over; Ed25519, which has its own, apart."""
RSA_BITS = 2048
UNDERSTOOD = frozenset({ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE,
                        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.CERTIFICATE_POLICIES})
"""Extensions that may be critical. A certificate with others that are must not be used (RFC 5280, 4.2)."""
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
              x509.UnsupportedGeneralNameType)
"""What reading the parts of a certificate that a stranger made may raise."""


class Untrusted(Exception):
    """A certificate is not to be believed; the message says why."""


class Span(NamedTuple):
    """A time in which a certificate holds, both ends included."""

    begins: Time
    ends: Time


class Authorities:
    """The CAs whose certificates are believed; with none, nobody's are."""

    def __init__(self, certificates: Iterable[x509.Certificate] = ()) -> None:
        self.certificates = [certificate for certificate in certificates if may_issue(certificate)]

    @classmethod
    def from_file(cls, file: Path) -> Authorities:
        """The CAs of a PEM file. Raises CannotRun where it has none."""
        with needed("cannot read certificates"):
            content = file.read_bytes()
        try:
            authorities = cls(x509.load_pem_x509_certificates(content))
        except ValueError as error:
            raise CannotRun(f"{file} holds no certificates (PEM): {error}") from error
        if not authorities.certificates:
            raise CannotRun(f"{file} holds no certificate of a CA that may issue certificates for clients")
        return authorities

    def verify(self, certificate: x509.Certificate) -> Sequence[Span]:
        """The times in which a certificate is to be believed. Raises Untrusted."""
        try:
            check_leaf(certificate)
        except UNREADABLE as error:
            raise Untrusted(f"it cannot be read: {error}") from error
        spans = [common(certificate, authority) for authority in self.certificates if issued(certificate, authority)]
        if not spans:
            raise Untrusted("it was issued by an unknown authority")
        return spans


class Verified(Generic[T]):
    """What certificates that are to be believed say, in the words of `read`; verdicts are remembered."""

    def __init__(self, authorities: Authorities, read: Callable[[x509.Certificate], T]) -> None:
        self.authorities, self.read = authorities, read
        self.known: OrderedDict[bytes, tuple[Sequence[Span], T] | str] = OrderedDict()

    def of(self, der: bytes, now: Time) -> T:
        """What a certificate says. Raises Untrusted, also where it holds no longer or not yet."""
        verdict = self.known.get(der)  # the same object for all requests of a connection: found without comparing
        if verdict is None:
            verdict = self.known[der] = self.judge(der)
            if len(self.known) > REMEMBERED:
                self.known.popitem(last=False)
        if isinstance(verdict, str):
            raise Untrusted(verdict)
        spans, said = verdict
        for begins, ends in spans:
            if begins <= now <= ends:
                return said
        raise Untrusted("it has expired or is not yet valid")

    def judge(self, der: bytes) -> tuple[Sequence[Span], T] | str:
        """The times in which a certificate holds and what it says, or why it is not to be believed."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            return self.authorities.verify(certificate), self.read(certificate)
        except Untrusted as error:
            return str(error)
        except UNREADABLE as error:
            return f"it cannot be read: {error}"


def check_leaf(certificate: x509.Certificate) -> None:
    """Raise Untrusted where a certificate is not for a client, whoever issued it; UNREADABLE where it is damaged."""
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise Untrusted("it is the certificate of a CA")
    if not for_clients(certificate):
        raise Untrusted("its extended key usage does not include clientAuth")
    if unknown := not_understood(certificate):
        raise Untrusted(f"it has a critical extension that is not understood: {unknown[0]}")
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS:
        raise Untrusted(f"its RSA key has less than {RSA_BITS} bits")


def may_issue(certificate: x509.Certificate) -> bool:
    """Whether a certificate is one of a CA that may issue certificates for clients."""
    try:
        constraints, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
        return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign) \
            and for_clients(certificate) and not not_understood(certificate)
    except UNREADABLE:
        return False


def issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate, over a hash that cannot be forged."""
    try:
        used = certificate.signature_hash_algorithm
        if used is not None and used.name not in HASHES:
            return False
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def common(certificate: x509.Certificate, authority: x509.Certificate) -> Span:
    return Span(max(each.not_valid_before_utc.timestamp() for each in (certificate, authority)),
                min(each.not_valid_after_utc.timestamp() for each in (certificate, authority)))


def for_clients(certificate: x509.Certificate) -> bool:
    """A certificate that names no usage is good for any, as in Go."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    return usages is None or ExtendedKeyUsageOID.CLIENT_AUTH in usages \
        or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def not_understood(certificate: x509.Certificate) -> list[str]:
    return [each.oid.dotted_string for each in certificate.extensions if each.critical and each.oid not in UNDERSTOOD]


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
