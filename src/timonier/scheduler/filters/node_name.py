"""NodeName: a pod that names its node runs there or nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    if request.nodeName:
        others = nodes.exists.copy()
        if (row := nodes.row_of.get(request.nodeName)) is not None:
            others[row] = False
        yield Rejection(others, "node(s) didn't match the requested node name", curable=False)
