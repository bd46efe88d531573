"""Bringing raw figures to 0 to 100 over the candidates, as Kubernetes does."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask

MOST = 100


def by_largest(raw: Counts, candidates: Mask, *, reverse: bool = False) -> Counts:
    """In proportion to the largest; reversed, the largest gets 0 and nothing at all gets 100."""
    largest = int(raw[candidates].max(initial=0))
    if largest == 0:
        return np.full(len(raw), MOST if reverse else 0, dtype=np.int64)
    scaled = raw * MOST // largest
    return MOST - scaled if reverse else scaled


def by_range(raw: Counts, candidates: Mask) -> Counts:
    """The smallest gets 0, the largest 100; where all are alike, all get 0."""
    among = raw[candidates]
    smallest, largest = (int(among.min()), int(among.max())) if len(among) else (0, 0)
    if largest == smallest:
        return np.zeros(len(raw), dtype=np.int64)
    return (raw - smallest) * MOST // (largest - smallest)
