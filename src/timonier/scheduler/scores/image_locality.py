"""ImageLocality: how much of the pod's images a node has already; images that few nodes have count less."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot

SMALL, LARGE = 23 << 20, 1000 << 20
"""Bytes below which images do not matter, and bytes a container beyond which more does not."""


def rate(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    present = np.zeros(len(nodes.names), dtype=np.int64)
    known = max(1, len(nodes.row_of))
    for image in request.images:
        sizes = nodes.images.get(full_name(image), {})
        for row, size in sizes.items():
            present[row] += size * len(sizes) // known
    most = LARGE * max(1, len(request.images))
    if not present.any():
        return present
    return (np.clip(present, SMALL, most) - SMALL) * 100 // (most - SMALL)


def full_name(image: str) -> str:
    """The name with a tag, as nodes report it."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"
