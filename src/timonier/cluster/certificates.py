"""The cluster's keys and certificates: one CA, and one short-named pair for each identity.

ECDSA P-256 throughout (a pair takes half a millisecond). Private keys are readable by their owner alone. Files that
exist and are still good are kept, so starting again changes no identity.
Source: kubernetes.io, "PKI certificates and requirements".
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=365)
CA_LIFE = datetime.timedelta(days=3650)
RENEW_BEFORE = datetime.timedelta(days=30)
BACKDATED = datetime.timedelta(minutes=5)
"""Clocks differ a little; a certificate is good from slightly before it was made."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate names: CN is the user or server, O the groups; `hosts` are names and addresses it serves."""

    name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Authority:
    """A CA of the cluster, made on first use in a folder of its own."""

    def __init__(self, folder: Path, name: str = "timonier-ca") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.pair = Pair(folder / "ca.crt", folder / "ca.key")
        if not (self.pair.certificate.exists() and self.pair.key.exists()):
            self._make(name)
        self._key = serialization.load_pem_private_key(self.pair.key.read_bytes(), None)
        self._certificate = x509.load_pem_x509_certificate(self.pair.certificate.read_bytes())

    def _make(self, common_name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = distinguished_name(common_name, ())
        builder = dated(x509.CertificateBuilder().subject_name(name).issuer_name(name), CA_LIFE)
        certificate = (
            builder.public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self.pair.key, private_pem(key))
        write_private(self.pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)

    def issue(self, file: str, identity: Identity) -> Pair:
        """The pair `file.crt`, `file.key` for an identity; an existing one is kept while it is good for it."""
        pair = Pair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        if pair.key.exists() and self.still_good(pair.certificate, identity):
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        builder = dated(x509.CertificateBuilder().subject_name(distinguished_name(identity.name, identity.groups))
                        .issuer_name(self._certificate.subject), LIFE)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] if identity.hosts else [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            builder.public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._certificate.public_key()),  # type: ignore[arg-type]
                           critical=False)
        )
        if identity.hosts:
            builder = builder.add_extension(alternative_names(identity.hosts), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())  # type: ignore[arg-type]
        write_private(pair.key, private_pem(key))
        write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        return pair

    def still_good(self, file: Path, identity: Identity) -> bool:
        """Whether a certificate exists, is ours, names the identity, and does not end soon."""
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            certificate.verify_directly_issued_by(self._certificate)
        except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
            return False
        if certificate.subject != distinguished_name(identity.name, identity.groups):
            return False
        if certificate.not_valid_after_utc - RENEW_BEFORE < now():
            return False
        return hosts_of(certificate) == set(identity.hosts)


def signing_key(file: Path) -> Path:
    """The key that signs service-account tokens (ES256), made on first use."""
    if not file.exists():
        write_private(file, private_pem(ec.generate_private_key(ec.SECP256R1())))
    return file


def encryption_key(file: Path) -> Path:
    """32 random bytes that encrypt Secrets at rest, made on first use."""
    if not file.exists():
        write_private(file, os.urandom(32))
    return file


def distinguished_name(name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def dated(builder: x509.CertificateBuilder, life: datetime.timedelta) -> x509.CertificateBuilder:
    start = now() - BACKDATED
    return builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + life)


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
                         key_encipherment=not signs_certificates, content_commitment=False, data_encipherment=False,
                         key_agreement=False, encipher_only=False, decipher_only=False)


def alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([as_general_name(host) for host in hosts])


def as_general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def hosts_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def write_private(file: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that never exists half-written or more readable than `mode`."""
    draft = file.with_name(file.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
        stream.write(content)
    draft.replace(file)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
