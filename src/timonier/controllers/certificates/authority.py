"""The authority that signs: a key, its certificate, and how long what it signs holds."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timonier.controllers.certificates.requests import Unacceptable, names
from timonier.kit.clock import Seconds, Time
from timonier.kit.fatal import CannotRun, needed

if TYPE_CHECKING:
    from cryptography import x509

BACKDATED: Seconds = 300.0
"""Clocks differ a little: a certificate holds from slightly before it was made."""
SHORT: Seconds = 8 * 3600.0
"""What holds for less than this is not cut by the time that it was backdated."""
SHORTEST: Seconds = 600.0

KEY_USAGES = {"signing": "digital_signature", "digital signature": "digital_signature",
              "content commitment": "content_commitment", "key encipherment": "key_encipherment",
              "key agreement": "key_agreement", "data encipherment": "data_encipherment",
              "cert sign": "key_cert_sign", "crl sign": "crl_sign", "encipher only": "encipher_only",
              "decipher only": "decipher_only"}
EXTENDED_USAGES = {"any": "2.5.29.37.0", "server auth": "1.3.6.1.5.5.7.3.1", "client auth": "1.3.6.1.5.5.7.3.2",
                   "code signing": "1.3.6.1.5.5.7.3.3", "email protection": "1.3.6.1.5.5.7.3.4",
                   "s/mime": "1.3.6.1.5.5.7.3.4", "ipsec end system": "1.3.6.1.5.5.7.3.5",
                   "ipsec tunnel": "1.3.6.1.5.5.7.3.6", "ipsec user": "1.3.6.1.5.5.7.3.7",
                   "timestamping": "1.3.6.1.5.5.7.3.8", "ocsp signing": "1.3.6.1.5.5.7.3.9",
                   "microsoft sgc": "1.3.6.1.4.1.311.10.3.3", "netscape sgc": "2.16.840.1.113730.4.1"}


@dataclass(frozen=True)
class Authority:
    """A CA in PEM; `longest` is for how long its certificates hold where nobody asks for less."""

    certificate_pem: bytes
    key_pem: bytes
    longest: Seconds

    @classmethod
    def from_files(cls, certificate: Path, key: Path, longest: Seconds) -> Authority:
        """Raises CannotRun."""
        with needed("cannot read --cluster-signing-cert-file and --cluster-signing-key-file"):
            made = cls(certificate.read_bytes(), key.read_bytes(), longest)
        try:
            fits = made.key.public_key() == made.certificate.public_key()
        except (ValueError, TypeError) as error:
            raise CannotRun(f"{certificate} and {key} are not a certificate and its key (PEM): {error}") from error
        if not fits:
            raise CannotRun(f"{key} is not the key of {certificate}")
        return made

    @cached_property
    def certificate(self) -> x509.Certificate:
        from cryptography import x509

        return x509.load_pem_x509_certificates(self.certificate_pem)[0]

    @cached_property
    def key(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return load_pem_private_key(self.key_pem, None)

    def sign(self, request: x509.CertificateSigningRequest, usages: list[str], seconds: Seconds | None,
             now: Time) -> bytes:
        """The certificate in PEM. Raises Unacceptable."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
        from cryptography.hazmat.primitives.serialization import Encoding

        begins, ends = self.span(seconds, now)
        builder = (x509.CertificateBuilder().subject_name(request.subject).issuer_name(self.certificate.subject)
                   .public_key(request.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(begins).not_valid_after(ends)
                   .add_extension(x509.BasicConstraints(False, None), critical=True)
                   .add_extension(key_usage(usages), critical=True)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        if extended := [x509.ObjectIdentifier(EXTENDED_USAGES[each]) for each in usages if each in EXTENDED_USAGES]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if found := names(request):
            builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=not request.subject.rdns)
        edwards = isinstance(self.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        return builder.sign(self.key, None if edwards else hashes.SHA256()).public_bytes(Encoding.PEM)

    def span(self, seconds: Seconds | None, now: Time) -> tuple[datetime.datetime, datetime.datetime]:
        """From when to when a certificate holds: never longer than the authority's own."""
        life = min(max(seconds, SHORTEST), self.longest) if seconds is not None else self.longest
        begins = now - BACKDATED
        ends = min(now + life if life < SHORT else begins + life, self.certificate.not_valid_after_utc.timestamp())
        if ends <= now:
            raise Unacceptable("refusing to sign a certificate that expired in the past")
        return moment(begins), moment(ends)


def moment(time: Time) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(time), datetime.UTC)


def key_usage(usages: list[str]) -> x509.KeyUsage:
    from cryptography import x509

    bits = {KEY_USAGES[each] for each in usages if each in KEY_USAGES}
    if not bits & {"key_agreement"}:
        bits -= {"encipher_only", "decipher_only"}
    return x509.KeyUsage(**{bit: bit in bits for bit in dict.fromkeys(KEY_USAGES.values())})
