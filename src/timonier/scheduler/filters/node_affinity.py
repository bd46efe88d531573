"""NodeAffinity: `nodeSelector` and required node affinity."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.nodeselection import chosen_nodes
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    if request.nodeSelector or request.node_terms is not None:
        yield Rejection(~chosen_nodes(request, nodes), "node(s) didn't match Pod's node affinity/selector",
                        curable=False)
