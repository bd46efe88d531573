"""NodeResourcesFit, strategy LeastAllocated: the share of CPU and memory that would stay free."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import CPU, MEMORY, Request
from timonier.scheduler.snapshot import Snapshot


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    total = np.zeros(len(nodes.names), dtype=np.int64)
    for place, resource in enumerate((CPU, MEMORY)):
        allocatable = nodes.resources.allocatable[:, place]
        free = np.maximum(allocatable - nodes.scored[:, place] - request.scored.get(resource, 0), 0)
        total += free * 100 // np.maximum(allocatable, 1)
    return total // 2
