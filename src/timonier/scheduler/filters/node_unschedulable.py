"""NodeUnschedulable: a cordoned node takes only pods that tolerate the taint that cordoning stands for."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.tolerations import is_tolerated
from timonier.scheduler.verdict import Rejection

CORDONED = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    if nodes.unschedulable.any() and not is_tolerated(request, CORDONED):
        yield Rejection(nodes.unschedulable, "node(s) were unschedulable", curable=False)
