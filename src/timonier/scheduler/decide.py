"""The decision: filter, score, choose; and where nothing fits, why, node by node. Pure: a snapshot in, data out.

The words are Kubernetes's, since people search for them: `0/2 nodes are available: 1 Insufficient cpu, …`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.filters import FILTERS
from timonier.scheduler.request import Request
from timonier.scheduler.scores import SCORES
from timonier.scheduler.snapshot import Snapshot

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why one node was rejected: the filter, its reasons, and whether evicting pods from it could help."""

    filter: str
    texts: tuple[str, ...]
    curable: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A node, or for each node the reasons against it. `filters` are those that rejected any node."""

    node: str | None
    reasons: Mapping[str, Reasons] = field(default_factory=dict)

    @property
    def filters(self) -> frozenset[str]:
        return frozenset(reason.filter for reason in self.reasons.values())

    def message(self, preemption: str = "") -> str:
        """As in the PodScheduled condition and the FailedScheduling event; what preemption found is added to it."""
        if not self.reasons:
            return NO_NODES
        text = unavailable(len(self.reasons), Counter(text for why in self.reasons.values() for text in why.texts))
        return f"{text} preemption: {preemption}" if preemption else text


def unavailable(nodes: int, histogram: Mapping[str, int]) -> str:
    """`0/2 nodes are available: 1 Insufficient cpu, 1 Too many pods.`, sorted as text, as Kubernetes sorts."""
    counted = sorted(f"{count} {reason}" for reason, count in histogram.items())
    return f"0/{nodes} nodes are available: {', '.join(counted)}."


def decide(request: Request, nodes: Snapshot, turn: int = 0) -> Decision:
    """Choose a node. Of several that are equally good, `turn` picks one, so that a caller can take them in turn."""
    candidates = possible_nodes(request, nodes)
    if not candidates.any():
        return Decision(None, explain(request, nodes))
    if request.nominated and (row := nodes.row_of.get(request.nominated)) is not None and candidates[row]:
        return Decision(request.nominated)
    rows = np.flatnonzero(candidates)
    if len(rows) > 1:
        points = total_score(request, nodes, candidates)[rows]
        rows = rows[points == points.max()]
    return Decision(nodes.names[rows[turn % len(rows)]])


def possible_nodes(request: Request, nodes: Snapshot) -> Mask:
    """The nodes that no filter rejects."""
    candidates = nodes.exists.copy()
    for each in FILTERS:
        for rejection in each.reject(request, nodes):
            candidates &= ~rejection.nodes
        if not candidates.any():
            break
    return candidates


def total_score(request: Request, nodes: Snapshot, candidates: Mask) -> Counts:
    total = np.zeros(len(nodes.names), dtype=np.int64)
    for score in SCORES:
        total += score.weight * score.rate(request, nodes, candidates)
    return total


def explain(request: Request, nodes: Snapshot) -> dict[str, Reasons]:
    """For each node the reasons of the first filter that rejects it."""
    found: dict[str, Reasons] = {}
    left = nodes.exists.copy()
    for each in FILTERS:
        texts: dict[int, list[str]] = {}
        incurable: set[int] = set()
        for rejection in each.reject(request, nodes):
            for row in np.flatnonzero(rejection.nodes & left).tolist():
                texts.setdefault(row, []).append(rejection.reason)
                if not rejection.curable:
                    incurable.add(row)
        for row, reasons in texts.items():
            found[nodes.names[row]] = Reasons(each.name, tuple(reasons), row not in incurable)
            left[row] = False
        if not left.any():
            break
    return found
