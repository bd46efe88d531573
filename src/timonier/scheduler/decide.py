"""The decision: filter, score, choose; and where nothing fits, why, node by node. Pure: a snapshot in, data out.

The words are Kubernetes's, since people search for them: `0/2 nodes are available: 1 Insufficient cpu, …`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
class Refusal:
    """Some nodes, the first filter that rejects them, and one of its reasons."""

    filter: str
    reason: str
    nodes: Mask
    curable: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A node, or what speaks against each. `names` are those of the snapshot's rows at that moment."""

    node: str | None
    refusals: tuple[Refusal, ...] = ()
    names: Sequence[str] = ()
    considered: int = 0
    """How many nodes there were."""

    @property
    def filters(self) -> frozenset[str]:
        """The filters that rejected any node."""
        return frozenset(refusal.filter for refusal in self.refusals)

    @property
    def reasons(self) -> dict[str, Reasons]:
        """The explanation node by node."""
        found: dict[str, Reasons] = {}
        for refusal in self.refusals:
            for row in np.flatnonzero(refusal.nodes).tolist():
                before = found.get(self.names[row], Reasons(refusal.filter, (), True))
                found[self.names[row]] = Reasons(refusal.filter, (*before.texts, refusal.reason),
                                                 before.curable and refusal.curable)
        return found

    def message(self, preemption: str = "") -> str:
        """As in the PodScheduled condition and the FailedScheduling event; what preemption found is added to it."""
        if not self.considered:
            return NO_NODES
        histogram = Counter[str]()
        for refusal in self.refusals:
            histogram[refusal.reason] += int(refusal.nodes.sum())
        text = unavailable(self.considered, histogram)
        return f"{text} preemption: {preemption}" if preemption else text


def unavailable(nodes: int, histogram: Mapping[str, int]) -> str:
    """`0/2 nodes are available: 1 Insufficient cpu, 1 Too many pods.`, sorted as text, as Kubernetes sorts."""
    counted = sorted(f"{count} {reason}" for reason, count in histogram.items())
    return f"0/{nodes} nodes are available: {', '.join(counted)}."


def decide(request: Request, nodes: Snapshot, turn: int = 0) -> Decision:
    """Choose a node. Of several that are equally good, `turn` picks one, so that a caller can take them in turn."""
    candidates = possible_nodes(request, nodes)
    if not candidates.any():
        return Decision(None, explain(request, nodes), [*nodes.names], len(nodes.row_of))
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


def explain(request: Request, nodes: Snapshot) -> tuple[Refusal, ...]:
    """For each node the reasons of the first filter that rejects it."""
    found: list[Refusal] = []
    left = nodes.exists.copy()
    for each in FILTERS:
        rejected = np.zeros(len(left), dtype=np.bool_)
        for rejection in each.reject(request, nodes):
            where = rejection.nodes & left
            if where.any():
                found.append(Refusal(each.name, rejection.reason, where, rejection.curable))
                rejected |= where
        left &= ~rejected
        if not left.any():
            break
    return tuple(found)
