"""Node addresses: each node is given a part of the cluster's pod range, no two of them the same.

Source: kubernetes/pkg/controller/nodeipam/ipam, range allocator.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

from timonier.api.types import core_v1
from timonier.kit.clock import Time
from timonier.reconcile.plan import WARNING, Note, Patch, Plan
from timonier.reconcile.snapshot import Snapshot, Watch, itself

RETRY = 60.0
"""Seconds after which a node for which no range was left is looked at again."""


class NodeIpamController:
    """Must run with one worker: what it has given lies in its memory until the mirror shows it."""

    name = "node-ipam-controller"

    def __init__(self, cluster_cidr: str, mask_size: int) -> None:
        self._range, self._mask = ipaddress.ip_network(cluster_cidr), mask_size
        self._given: dict[str, str] = {}

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.Node, itself)]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        node = snapshot.get(core_v1.Node, key)
        if node is None or node.spec.podCIDR or node.metadata.deletionTimestamp:
            return Plan()
        nodes = snapshot.list(core_v1.Node)
        alive = {each.metadata.uid for each in nodes}
        self._given = {uid: given for uid, given in self._given.items() if uid in alive}
        taken = {each.spec.podCIDR for each in nodes if each.spec.podCIDR} | set(self._given.values())
        free = self._given.get(node.metadata.uid) or next(self._free(taken), None)
        if free is None:
            return Plan(events=[Note(node, "CIDRNotAvailable", f"Node {key} status is now: CIDRNotAvailable", WARNING)],
                        again=RETRY)
        self._given[node.metadata.uid] = free
        patch = {"metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resourceVersion},
                 "spec": {"podCIDR": free, "podCIDRs": [free]}}
        return Plan(patch=[Patch(core_v1.Node, key, "", patch)])

    def _free(self, taken: set[str]) -> Iterator[str]:
        others = [ipaddress.ip_network(each) for each in taken]
        for subnet in self._range.subnets(new_prefix=self._mask):
            if str(subnet) not in taken and not any(overlap(subnet, other) for other in others):
                yield str(subnet)


def overlap(one: Any, other: Any) -> bool:
    return one.version == other.version and bool(one.overlaps(other))
