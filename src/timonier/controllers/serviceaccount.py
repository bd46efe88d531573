"""Service accounts: every namespace has one called `default`. Source: kubernetes/pkg/controller/serviceaccount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

NAME = "default"


class ServiceAccountController:
    """A key is a namespace."""

    name = "serviceaccount-controller"

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Namespace, itself),
                Watch(core_v1.ServiceAccount, lambda account, _: (account.metadata.namespace,),
                      fields=f"metadata.name={NAME}")]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        namespace = snapshot.get(core_v1.Namespace, key)
        if namespace is None or namespace.metadata.deletionTimestamp or namespace.status.phase == "Terminating":
            return Plan()
        if snapshot.get(core_v1.ServiceAccount, f"{key}/{NAME}") is not None:
            return Plan()
        return Plan(create=[core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=NAME, namespace=key))])
