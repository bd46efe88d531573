"""NodeResourcesFit: what pods on a node request together stays within what is allocatable; and the number of pods."""

from __future__ import annotations

from collections.abc import Iterator

from timonier.scheduler.request import PODS, Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    table = nodes.resources
    for resource, wanted in (*request.resources.items(), (PODS, 1)):
        column = table.column(resource)
        allocatable = table.allocatable[column]
        short = allocatable - table.requested[column] < wanted
        if short.any():
            reason = "Too many pods" if resource == PODS else f"Insufficient {resource}"
            never = allocatable < wanted
            yield Rejection(short & ~never, reason, curable=True)
            yield Rejection(never, reason, curable=False)
