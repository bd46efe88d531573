"""TaintToleration: a node with a NoSchedule or NoExecute taint takes only pods that tolerate it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timonier.scheduler.columns import Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot, Taint
from timonier.scheduler.tolerations import REPELLING, is_tolerated, repelled
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    away = repelled(request, nodes)
    if not away.any():
        return
    for (key, value), where in by_first_taint(request, nodes, away).items():
        yield Rejection(where, f"node(s) had untolerated taint {{{key}: {value}}}", curable=False)


def by_first_taint(request: Request, nodes: Snapshot, away: Mask) -> dict[tuple[str, str], Mask]:
    """Nodes by the key and value of the first of their taints that repels the pod."""
    def is_first(taint: Taint) -> bool:
        return taint[2] in REPELLING and not is_tolerated(request, taint)

    def compute() -> dict[tuple[str, str], Mask]:
        found: dict[tuple[str, str], Mask] = {}
        for row in np.flatnonzero(away):
            key, value, _ = next(taint for taint in nodes.taints[row] if is_first(taint))
            found.setdefault((key, value), np.zeros(len(away), dtype=np.bool_))[row] = True
        return found

    return nodes.of_nodes(("first taint", request.tolerations), compute)
