"""NodeResourcesBalancedAllocation: CPU and memory of a node should fill up alike."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import CPU, MEMORY, Request
from timonier.scheduler.snapshot import Snapshot


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    table = nodes.resources
    cpu, memory = (
        np.minimum((table.requested[place] + request.resources.get(resource, 0))
                   / np.maximum(table.allocatable[place], 1), 1.0)
        for place, resource in enumerate((CPU, MEMORY)))
    deviation = np.abs(cpu - memory) / 2  # the standard deviation of two figures
    found: Counts = ((1 - deviation) * 100).astype(np.int64)
    return found
