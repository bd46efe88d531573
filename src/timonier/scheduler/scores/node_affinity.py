"""NodeAffinity: the weights of the preferred terms that a node matches."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.nodeselection import whole_term
from timonier.scheduler.request import Request
from timonier.scheduler.scores.normalise import by_largest
from timonier.scheduler.snapshot import Snapshot


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    def compute() -> Counts:
        total = np.zeros(len(nodes.names), dtype=np.int64)
        for term in request.preferred_nodes:
            total += term.weight * whole_term(term.preference, nodes)
        return total

    return by_largest(nodes.of_nodes(("preferred", request.node_key), compute), candidates)
