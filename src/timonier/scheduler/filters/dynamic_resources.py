"""DynamicResources: pods that claim devices. Allocating devices is not built, so such a pod waits and is told why."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    if request.devices:
        yield Rejection(nodes.exists, "node(s) cannot allocate resource claims, which this scheduler does not support",
                        curable=False)
