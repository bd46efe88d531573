"""Certificates: who may approve, sign and attest in the name of a signer, and what nobody may ask of one.

The rights are verbs on `signers`, by the name of the signer or of its whole domain (`example.com/*`).
Source: Kubernetes documentation, "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction",
"ClusterTrustBundleAttest".
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, refuse
from timonier.apiserver.auth.authorise import Authoriser
from timonier.apiserver.request import MASTERS_GROUP, Attributes, Object

if TYPE_CHECKING:
    from cryptography.x509 import Name

GROUP = "certificates.k8s.io"
REQUESTS, BUNDLES = "certificatesigningrequests", "clustertrustbundles"
API_CLIENT = "kubernetes.io/kube-apiserver-client"


@dataclass(frozen=True)
class SignerPlugin(Plugin):
    """A check of one verb on a signer, where one resource is written through one door."""

    authoriser: Authoriser

    async def may(self, attributes: Attributes, verb: str, signer: str) -> bool:
        domain = signer.partition("/")[0]
        for name in (signer, f"{domain}/*"):
            asked = Attributes(attributes.user, verb, group=GROUP, version="*", resource="signers", name=name)
            if (await self.authoriser.decide(asked)).allowed:
                return True
        return False


class CertificateApproval(SignerPlugin):
    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == (GROUP, REQUESTS, "approval", UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        signer = signer_of(old)
        if not await self.may(attributes, "approve", signer):
            raise refuse(attributes, f'user not permitted to approve requests with signerName "{signer}"', obj)


class CertificateSigning(SignerPlugin):
    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == (GROUP, REQUESTS, "status", UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        before, after = ((each or {}).get("status") or {} for each in (old, obj))
        if all(before.get(field) == after.get(field) for field in ("certificate", "conditions")):
            return
        signer = signer_of(old)
        if not await self.may(attributes, "sign", signer):
            raise refuse(attributes, f'user not permitted to sign requests with signerName "{signer}"', obj)


class CertificateSubjectRestriction(Plugin):
    """Nobody gets a certificate of the group that no policy holds back."""

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource, operation) == (GROUP, REQUESTS, "", CREATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        if signer_of(obj) != API_CLIENT:
            return
        from cryptography.x509.oid import NameOID

        subject = subject_of(attributes, obj)
        if any(each.value == MASTERS_GROUP for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
            raise refuse(attributes, f"use of {API_CLIENT} signer with {MASTERS_GROUP} group is not allowed", obj)


class ClusterTrustBundleAttest(SignerPlugin):
    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource, subresource) == (GROUP, BUNDLES, "") and operation in (CREATE, UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        signer = signer_of(obj)
        unchanged = old is not None and (obj or {}).get("spec") == old.get("spec")
        if signer and not unchanged and not await self.may(attributes, "attest", signer):
            raise refuse(attributes, f'user not permitted to attest for signerName "{signer}"', obj)


def signer_of(obj: Object | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName") or "")


def subject_of(attributes: Attributes, request: Object | None) -> Name:
    """The subject that a certificate is asked for. Raises Forbidden where that cannot be read."""
    from cryptography import x509

    try:
        pem = base64.b64decode(((request or {}).get("spec") or {}).get("request") or "")
        return x509.load_pem_x509_csr(pem).subject
    except ValueError as error:
        raise refuse(attributes, f"failed to parse CSR: {error}", request) from error
