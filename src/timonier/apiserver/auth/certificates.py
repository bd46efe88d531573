"""Client certificates: the subject of one that is to be believed (`kit.trust`) is a user."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from timonier.apiserver.auth.identity import CREDENTIAL
from timonier.apiserver.request import AUTHENTICATED_GROUP, User

UID_ATTRIBUTE = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""The subject attribute that holds a user's uid (KEP-4766)."""


def read_certificate(certificate: x509.Certificate) -> User | None:
    """Subject CN is the user's name, each O a group; None where it has no CN."""
    subject = certificate.subject
    name = first(subject, NameOID.COMMON_NAME)
    if not name:
        return None
    groups = [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    fingerprint = f"X509SHA256={certificate.fingerprint(hashes.SHA256()).hex()}"
    return User(name, first(subject, UID_ATTRIBUTE), tuple(dict.fromkeys([*groups, AUTHENTICATED_GROUP])),
                {CREDENTIAL: (fingerprint,)})


def common_name(certificate: x509.Certificate) -> str:
    return first(certificate.subject, NameOID.COMMON_NAME)


def first(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)), "")
