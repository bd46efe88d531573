"""PodTopologySpread: fewer matching pods in the domain (ScheduleAnyway); keys with more domains count for more."""

from __future__ import annotations

import math

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.spread import Spread
from timonier.scheduler.topology import has_label


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    """Kubernetes's formula; nodes that lack a label get 0, but a system default whose label no node has is left out."""
    soft = [constraint for constraint in request.spread if not constraint.hard
            and (not constraint.group.owner or bool(has_label(nodes, constraint.topologyKey)[candidates].any()))]
    zero = np.zeros(len(nodes.names), dtype=np.int64)
    if not soft:
        return zero
    spread = Spread(request, nodes, soft)
    among = candidates & spread.labelled
    if not among.any():
        return zero
    raw = np.zeros(len(nodes.names))
    for constraint in soft:
        weight = math.log(spread.domains(constraint, among) + 2)
        raw += spread.counts(constraint) * weight + (constraint.maxSkew - 1)
    score = np.round(raw).astype(np.int64)
    least, most = int(score[among].min()), int(score[among].max())
    if most == 0:
        return np.where(among, 100, 0).astype(np.int64)
    return np.where(among, 100 * (most + least - score) // most, 0).astype(np.int64)
