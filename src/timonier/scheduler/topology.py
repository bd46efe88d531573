"""Domains: the nodes that have the same value of a label, and sums over them."""

from __future__ import annotations

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.snapshot import Snapshot


def has_label(nodes: Snapshot, topologyKey: str) -> Mask:
    found: Mask = nodes.domains(topologyKey).codes >= 0
    return found


def in_domain(nodes: Snapshot, topologyKey: str, counts: Counts) -> Counts:
    """For each node the sum of `counts` over its domain; 0 for nodes without the label."""
    column = nodes.domains(topologyKey)
    places = column.codes + 1  # 0 is for nodes without the label
    sums = np.bincount(places, weights=counts, minlength=len(column.values) + 1).astype(np.int64)
    sums[0] = 0
    found: Counts = sums[places]
    return found
