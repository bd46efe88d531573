"""An operator: every Basket has a ConfigMap of its name that says how large it is, and a status that says so too.

Run it against any cluster that `kubectl` reaches:

    kubectl apply -f examples/basket.yaml
    python examples/basket_operator.py
    kubectl create -f - <<< '{"apiVersion": "test.example.com/v1", "kind": "Basket", "metadata": {"name": "mine"}}'
    kubectl get baskets,configmaps
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from timonier.api.types import core_v1, meta_v1
from timonier.client.custom import CustomObject
from timonier.kit.clock import Time
from timonier.reconcile.operator import operate
from timonier.reconcile.plan import Note, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, clone, controller_of, itself


class BasketSpec(Struct, omit_defaults=True):
    size: int = 0


class BasketStatus(Struct, omit_defaults=True):
    configMap: str = ""
    size: int = 0


class Basket(CustomObject):
    apiVersion, kind, plural = "test.example.com/v1", "Basket", "baskets"
    spec: BasketSpec = field(default_factory=BasketSpec)
    status: BasketStatus = field(default_factory=BasketStatus)


class BasketController:
    """What is wanted is computed, not done: the runner writes it, and asks again whenever something changes."""

    name = "basket-operator"
    watches: Sequence[Watch[Any]] = (Watch(Basket, itself), Watch(core_v1.ConfigMap, controller_of("Basket")))

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        basket = snapshot.get(Basket, key)
        if basket is None or basket.metadata.deletionTimestamp:
            return Plan()  # its ConfigMap is collected with it, since it is owned
        wanted = config_map(basket)
        there = snapshot.get(core_v1.ConfigMap, key)
        settled = there is not None and there.data.get("size") == wanted.data["size"]
        reported = clone(basket)
        reported.status = BasketStatus(configMap=wanted.metadata.name, size=basket.spec.size)
        return Plan(
            apply=[] if settled else [wanted],
            status=None if reported.status == basket.status else reported,
            events=[] if settled else [Note(basket, "Filled", f"Basket holds {basket.spec.size}")])


def config_map(basket: Basket) -> core_v1.ConfigMap:
    """The ConfigMap that a basket wants, owned by it."""
    owner = meta_v1.OwnerReference(apiVersion=basket.apiVersion, kind=basket.kind, name=basket.metadata.name,
                                   uid=basket.metadata.uid, controller=True, blockOwnerDeletion=True)
    return core_v1.ConfigMap(
        metadata=meta_v1.ObjectMeta(name=basket.metadata.name, namespace=basket.metadata.namespace,
                                    ownerReferences=[owner]),
        data={"size": str(basket.spec.size)})


if __name__ == "__main__":
    operate(BasketController())
