"""Certificates of every sort, good and bad, for tests of who believes which."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
HOUR = 3600.0
NAME = "timonier-ca"


@dataclass
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """The PEM files of certificate and key."""
        certificate, key = folder / f"{id(self)}.crt", folder / f"{id(self)}.key"
        certificate.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key


def context(made: Made | None, trusted: Path, folder: Path, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS of a client that shows a certificate, in one version where one is given."""
    found = ssl.create_default_context(cafile=str(trusted))
    found.check_hostname = False
    if made is not None:
        found.load_cert_chain(*made.save(folder))
    if version is not None:
        found.minimum_version = found.maximum_version = version
    return found


def name_of(common: str, groups: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, *([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])])


def make(now: float, subject: x509.Name, issuer: Made | None = None, *, begins: float = -HOUR, ends: float = HOUR,
         usages: Sequence[x509.ObjectIdentifier] | None = (CLIENT,), ca: bool | None = False, key: Any = None,
         extra: Sequence[tuple[x509.ExtensionType, bool]] = (), digest: Any = None) -> Made:
    """A certificate that holds from `now + begins` to `now + ends`, signed by itself where it has no issuer."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    builder = (x509.CertificateBuilder().subject_name(subject)
               .issuer_name(issuer.certificate.subject if issuer else subject).public_key(own.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(datetime.datetime.fromtimestamp(int(now + begins), datetime.UTC))
               .not_valid_after(datetime.datetime.fromtimestamp(int(now + ends), datetime.UTC)))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else own
    edwards = isinstance(signer, ed25519.Ed25519PrivateKey)
    return Made(builder.sign(signer, None if edwards else digest or hashes.SHA256()), own)


def authority(now: float, common: str = NAME, **more: Any) -> Made:
    return make(now, name_of(common), **{"ca": True, "usages": None, "begins": -2 * HOUR, "ends": 24 * HOUR} | more)
