"""Requests that have served their turn are deleted: an hour after their verdict, a day after they were left alone.

Those for pods' certificates are written anew at each attempt, and go after a quarter of an hour.
Source: kubernetes/pkg/controller/certificates/cleaner, whose figures these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timonier.api.times import parse
from timonier.api.types.certificates_v1 import CertificateSigningRequest, PodCertificateRequest
from timonier.controllers.certificates.requests import condition
from timonier.kit.clock import Seconds, Time
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

DECIDED: Seconds = 3600.0
PENDING: Seconds = 24 * 3600.0
OF_PODS: Seconds = 15 * 60.0


class CleaningController:
    """A key is a request."""

    name = "csrcleaner"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(CertificateSigningRequest, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        request = snapshot.get(CertificateSigningRequest, key)
        if request is None or request.metadata.deletionTimestamp:
            return Plan()
        left = ends(request) - now
        return Plan(delete=[Delete.of(request)]) if left <= 0 else Plan(again=left)


class PodRequestCleaner:
    """A key is a PodCertificateRequest."""

    name = "podcertificaterequestcleaner"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(PodCertificateRequest, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        request = snapshot.get(PodCertificateRequest, key)
        if request is None or request.metadata.deletionTimestamp:
            return Plan()
        left = parse(request.metadata.creationTimestamp) + OF_PODS - now
        return Plan(delete=[Delete.of(request)]) if left <= 0 else Plan(again=left)


def ends(request: CertificateSigningRequest) -> Time:
    """When a request may go; one that was approved and not signed yet waits as long as one that nobody looked at."""
    times = [parse(request.metadata.creationTimestamp) + PENDING]
    for verdict in ("Denied", "Failed", *(("Approved",) if request.status.certificate else ())):
        found = condition(request, verdict)
        if found is not None and (moment := found.lastUpdateTime or found.lastTransitionTime):
            times.append(parse(moment) + DECIDED)
    if request.status.certificate:
        times.append(expiry(request.status.certificate))
    return min(times)


def expiry(pem: bytes) -> Time:
    """When an issued certificate ends; never for one that cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc.timestamp()
    except ValueError:
        return float("inf")
