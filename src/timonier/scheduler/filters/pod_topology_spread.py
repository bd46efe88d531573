"""PodTopologySpread: no domain has more than `maxSkew` matching pods above the emptiest one (DoNotSchedule)."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.spread import Spread
from timonier.scheduler.verdict import Rejection

REASON = "node(s) didn't match pod topology spread constraints"


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    hard = [constraint for constraint in request.spread if constraint.hard]
    if not hard:
        return
    spread = Spread(request, nodes, hard)
    yield Rejection(~spread.labelled, f"{REASON} (missing required label)", curable=False)
    skewed = ~nodes.exists
    for constraint in hard:
        counts, least = spread.counts(constraint), spread.least(constraint)
        own = constraint.group.has(request.namespace, request.labels, owner=request.owner)
        skewed |= counts + int(own) - least > constraint.maxSkew
    yield Rejection(skewed & spread.labelled, REASON, curable=True)
