"""The ClusterTrustBundle by which pods verify the API server: one of signer `kubernetes.io/kube-apiserver-serving`.

Its name tells its content, so that a new authority is a new bundle; the old one is deleted.
Source: KEP-3257; kubernetes/pkg/controller/certificates/clustertrustbundlepublisher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from timonier.api.types import core_v1, meta_v1
from timonier.api.types.certificates_v1 import ClusterTrustBundle, ClusterTrustBundleSpec
from timonier.kit.clock import Time
from timonier.reconcile.plan import Delete, Plan
from timonier.reconcile.snapshot import Snapshot, Watch

SIGNER = "kubernetes.io/kube-apiserver-serving"
SYSTEM = "kube-system"
"""The namespace whose being there sets the controller going, where no bundle does."""
HASHED = 12
"""Bytes of the digest that a name ends with."""


class BundlePublisher:
    """There is one key, the name of the bundle of `authority`, which is in PEM."""

    name = "kube-apiserver-serving-clustertrustbundle-publisher-controller"

    def __init__(self, authority: str) -> None:
        self._authority = authority
        digest = hashlib.sha256(authority.encode()).digest()[:HASHED].hex()
        self._bundle = f"{SIGNER.replace('/', ':')}:{digest}"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(ClusterTrustBundle, lambda bundle, _: (self._bundle,), fields=f"spec.signerName={SIGNER}"),
                Watch(core_v1.Namespace, lambda namespace, _: (self._bundle,) * (namespace.metadata.name == SYSTEM))]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        old = [Delete.of(bundle) for bundle in snapshot.list(ClusterTrustBundle) if bundle.metadata.name != key]
        found = snapshot.get(ClusterTrustBundle, key)
        wanted = ClusterTrustBundle(metadata=meta_v1.ObjectMeta(name=key) if found is None else found.metadata,
                                    spec=ClusterTrustBundleSpec(signerName=SIGNER, trustBundle=self._authority))
        if found is None:
            return Plan(create=[wanted], delete=old)
        return Plan(update=[wanted] if wanted.spec != found.spec else [], delete=old)
