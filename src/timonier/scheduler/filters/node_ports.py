"""NodePorts: a host port can be taken once for each protocol and address; 0.0.0.0 is every address."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.verdict import Rejection

ANY = ("0.0.0.0", "::")


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    if not request.ports:
        return
    taken = np.zeros(len(nodes.names), dtype=np.bool_)
    for protocol, number, address in request.ports:
        for row, addresses in nodes.ports.get((protocol, number), {}).items():
            if address in ANY or address in addresses or any(other in ANY for other in addresses):
                taken[row] = True
    yield Rejection(taken, "node(s) didn't have free ports for the requested pod ports", curable=True)
