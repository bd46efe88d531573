"""InterPodAffinity: preferred terms of the pod, and those of running pods that would like it near or far."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import Request
from timonier.scheduler.scores.normalise import by_range
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.topology import in_domain


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    total = np.zeros(len(nodes.names), dtype=np.int64)
    for weight, term in request.preferred_pods:
        total += weight * in_domain(nodes, term.topologyKey, nodes.count(term.group(nodes.namespaces)))
    for weight, term, holders in nodes.held_towards(request, required=False):
        total += weight * in_domain(nodes, term.topologyKey, holders)
    return by_range(total, candidates)
