"""Nodes get their client certificates without anybody being asked, where they have the right to.

A node that comes for the first time needs the right to create `certificatesigningrequests/nodeclient`, one that renews
its own certificate `…/selfnodeclient`; the API server is asked whether the requestor has it.
Source: Kubernetes documentation, "TLS bootstrapping", approval.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from timonier.api.times import rfc3339
from timonier.api.types import authorization_v1
from timonier.api.types.authorization_v1 import ResourceAttributes, SubjectAccessReview
from timonier.api.types.certificates_v1 import CertificateSigningRequest
from timonier.controllers.certificates.requests import KUBELET_CLIENT, Unacceptable, holds, kubelet_client, read
from timonier.kit.clock import Time
from timonier.reconcile.plan import Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

Allowed = Callable[[SubjectAccessReview], Awaitable[bool]]
SELF = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
FIRST = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


class ApprovingController:
    """A key is a request; `allowed` asks the API server."""

    name = "csrapproving"

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(CertificateSigningRequest, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan | Awaitable[Plan]:
        request = snapshot.get(CertificateSigningRequest, key)
        if request is None or request.status.certificate or holds(request, "Approved", "Denied"):
            return Plan()
        ways = recognised(request)
        return self.asked(request, ways, now) if ways else Plan()

    async def asked(self, request: CertificateSigningRequest, ways: Sequence[tuple[str, str]], now: Time) -> Plan:
        for subresource, message in ways:
            if await self._allowed(review(request, subresource)):
                return approval(request, message, now)
        return Plan()


def recognised(request: CertificateSigningRequest) -> list[tuple[str, str]]:
    """By which rights a request may be approved: those of its subresource, with what is then said."""
    if request.spec.signerName != KUBELET_CLIENT:
        return []
    try:
        asked = read(request)
        kubelet_client(asked)
    except Unacceptable:
        return []
    return [SELF, FIRST] if asked.name == request.spec.username else [FIRST]


def review(request: CertificateSigningRequest, subresource: str) -> SubjectAccessReview:
    spec = request.spec
    return SubjectAccessReview(spec=authorization_v1.SubjectAccessReviewSpec(
        user=spec.username, uid=spec.uid, groups=spec.groups, extra=spec.extra, resourceAttributes=ResourceAttributes(
            group="certificates.k8s.io", resource="certificatesigningrequests", subresource=subresource,
            verb="create")))


def approval(request: CertificateSigningRequest, message: str, now: Time) -> Plan:
    moment, meta = rfc3339(now), request.metadata
    made = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message,
            "lastUpdateTime": moment, "lastTransitionTime": moment}
    others = [{"type": each.type, "status": each.status, "reason": each.reason, "message": each.message,
               "lastUpdateTime": each.lastUpdateTime, "lastTransitionTime": each.lastTransitionTime}
              for each in request.status.conditions]
    patch = {"metadata": {"resourceVersion": meta.resourceVersion}, "status": {"conditions": [*others, made]}}
    return Plan(patch=[Patch(CertificateSigningRequest, meta.name, "", patch, subresource="approval")])
