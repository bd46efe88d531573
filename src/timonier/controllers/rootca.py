"""The root CA: every namespace has a ConfigMap with which its pods verify the API server.

Source: kubernetes/pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, itself

NAME = "kube-root-ca.crt"
ANNOTATIONS = {"kubernetes.io/description": (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters.")}


class RootCaController:
    """A key is a namespace; `authority` is the CA in PEM."""

    name = "root-ca-certificate-publisher-controller"

    def __init__(self, authority: str) -> None:
        self._authority = authority

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Namespace, itself),
                Watch(core_v1.ConfigMap, lambda found, _: (found.metadata.namespace,), fields=f"metadata.name={NAME}")]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        namespace = snapshot.get(core_v1.Namespace, key)
        if namespace is None or namespace.metadata.deletionTimestamp or namespace.status.phase == "Terminating":
            return Plan()
        data = {"ca.crt": self._authority}
        current = snapshot.get(core_v1.ConfigMap, f"{key}/{NAME}")
        if current is None:
            meta = meta_v1.ObjectMeta(name=NAME, namespace=key, annotations=ANNOTATIONS)
            return Plan(create=[core_v1.ConfigMap(metadata=meta, data=data)])
        wanted = clone(current)
        wanted.data = data
        wanted.metadata.annotations |= ANNOTATIONS
        return Plan(update=[wanted] if wanted != current else [])
