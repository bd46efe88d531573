"""TaintToleration: a node with a NoSchedule or NoExecute taint takes only pods that tolerate it."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.tolerations import repelled
from timonier.scheduler.verdict import Rejection

REASON = "node(s) had untolerated taint(s)"


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    away = repelled(request, nodes)
    if away.any():
        yield Rejection(away, REASON, curable=False)
