"""TaintToleration: fewer taints of effect PreferNoSchedule that the pod does not tolerate."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import Request
from timonier.scheduler.scores.normalise import by_largest
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.tolerations import is_tolerated


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    def compute() -> Counts:
        unwelcome = np.zeros(len(nodes.names), dtype=np.int64)
        for taint, where in nodes.tainted.items():
            if taint[2] == "PreferNoSchedule" and not is_tolerated(request, taint):
                unwelcome += where
        return unwelcome

    return by_largest(nodes.of_nodes(("unwelcome", request.tolerations), compute), candidates, reverse=True)
