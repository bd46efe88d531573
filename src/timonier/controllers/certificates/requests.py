"""What the signers of Kubernetes accept: the rules of each, as a table, over a request that was read once.

Source: Kubernetes documentation, "Certificates and Certificate Signing Requests", Kubernetes signers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timonier.api.types.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition

if TYPE_CHECKING:
    from cryptography import x509

API_CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"

NODES_GROUP, NODE_PREFIX = "system:nodes", "system:node:"
SIGNATURE, ENCIPHERMENT, CLIENT, SERVER = "digital signature", "key encipherment", "client auth", "server auth"


class Unacceptable(Exception):
    """A signer does not sign such a request; the message says why."""


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    name: str
    organisations: tuple[str, ...]
    dns: bool
    email: bool
    ip: bool
    uri: bool
    usages: frozenset[str]


def read(request: CertificateSigningRequest) -> Asked:
    """Raises Unacceptable where the request's PEM cannot be read."""
    from cryptography.x509 import DNSName, IPAddress, RFC822Name, UniformResourceIdentifier
    from cryptography.x509.oid import NameOID

    parsed = parse(request.spec.request)
    found = names(parsed)

    def texts(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(each.value) for each in parsed.subject.get_attributes_for_oid(oid))

    dns, email, ip, uri = (any(isinstance(name, kind) for name in found)
                           for kind in (DNSName, RFC822Name, IPAddress, UniformResourceIdentifier))
    return Asked("".join(texts(NameOID.COMMON_NAME)), texts(NameOID.ORGANIZATION_NAME), dns, email, ip, uri,
                 frozenset(request.spec.usages))


def parse(pem: bytes) -> x509.CertificateSigningRequest:
    from cryptography import x509

    try:
        return x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise Unacceptable(f"unable to parse csr: {error}") from error


def names(parsed: x509.CertificateSigningRequest) -> Sequence[x509.GeneralName]:
    """The names and addresses that the certificate is to hold for."""
    from cryptography import x509

    try:
        return list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise Unacceptable(f"unable to parse csr: {error}") from error


def api_client(asked: Asked) -> None:
    for usage in sorted(asked.usages - {SIGNATURE, ENCIPHERMENT, CLIENT}):
        raise Unacceptable(f"invalid usage for client certificate: {usage}")
    if CLIENT not in asked.usages:
        raise Unacceptable(f"missing required usage for client certificate: {CLIENT}")


def kubelet_client(asked: Asked) -> None:
    node(asked)
    refuse(asked.dns, "DNS subjectAltNames are not allowed")
    refuse(asked.email, "Email subjectAltNames are not allowed")
    refuse(asked.ip, "IP subjectAltNames are not allowed")
    refuse(asked.uri, "URI subjectAltNames are not allowed")
    exactly(asked.usages, {SIGNATURE, CLIENT})


def kubelet_serving(asked: Asked) -> None:
    node(asked)
    refuse(not (asked.dns or asked.ip), "DNS or IP subjectAltName is required")
    refuse(asked.email, "Email subjectAltNames are not allowed")
    refuse(asked.uri, "URI subjectAltNames are not allowed")
    exactly(asked.usages, {SIGNATURE, SERVER})


def node(asked: Asked) -> None:
    refuse(asked.organisations != (NODES_GROUP,), f"subject organization is not {NODES_GROUP}")
    refuse(not asked.name.startswith(NODE_PREFIX), f"subject common name does not begin with {NODE_PREFIX}")


def exactly(usages: Collection[str], required: set[str]) -> None:
    """Keys that cannot encipher, such as those on curves, go without that usage."""
    if usages not in (required, required | {ENCIPHERMENT}):
        raise Unacceptable(f"usages did not match [{' '.join(sorted(required | {ENCIPHERMENT}))}]")


def refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise Unacceptable(why)


RULES: dict[str, Callable[[Asked], None]] = {
    API_CLIENT: api_client, KUBELET_CLIENT: kubelet_client, KUBELET_SERVING: kubelet_serving,
    LEGACY: lambda asked: None}
"""By signer: what raises Unacceptable for requests that it does not sign."""


def condition(request: CertificateSigningRequest, wanted: str) -> CertificateSigningRequestCondition | None:
    return next((each for each in request.status.conditions if each.type == wanted), None)


def holds(request: CertificateSigningRequest, *types: str) -> bool:
    return any(each.type in types for each in request.status.conditions)
