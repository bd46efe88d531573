"""Approved requests are signed, by the rules of the signer that they name; those that break them fail for good.

Source: Kubernetes documentation, "Certificate Signing Requests", Kubernetes signers; KEP-1513.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timonier.api.times import rfc3339
from timonier.api.types.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from timonier.controllers.certificates.authority import Authority
from timonier.controllers.certificates.requests import RULES, Unacceptable, holds, parse, read
from timonier.kit.clock import Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself


class SigningController:
    """A key is a request."""

    name = "csrsigning"

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(CertificateSigningRequest, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        request = snapshot.get(CertificateSigningRequest, key)
        if request is None or request.status.certificate or request.spec.signerName not in RULES \
                or not holds(request, "Approved") or holds(request, "Denied", "Failed"):
            return Plan()
        changed = clone(request)
        spec = request.spec
        try:
            RULES[spec.signerName](read(request))
            changed.status.certificate = self._authority.sign(parse(spec.request), spec.usages, spec.expirationSeconds,
                                                              now)
        except Unacceptable as error:
            changed.status.conditions = [*changed.status.conditions, failure(str(error), now)]
        return Plan(status=changed)


def failure(message: str, now: Time) -> CertificateSigningRequestCondition:
    moment = rfc3339(now)
    return CertificateSigningRequestCondition(type="Failed", status="True", reason="SignerValidationFailure",
                                              message=message, lastUpdateTime=moment, lastTransitionTime=moment)
