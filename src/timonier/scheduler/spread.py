"""Counting for topology spread, for filter and score alike: which nodes count, and how many pods a domain has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.nodeselection import chosen_nodes
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.terms import SpreadConstraint
from timonier.scheduler.tolerations import repelled
from timonier.scheduler.topology import has_label, in_domain


class Spread:
    """The constraints of one pod over one snapshot. A node counts only if it has every constraint's label."""

    def __init__(self, request: Request, nodes: Snapshot, constraints: Sequence[SpreadConstraint]) -> None:
        self._request, self._nodes = request, nodes
        self.labelled: Mask = nodes.exists.copy()
        for constraint in constraints:
            self.labelled &= has_label(nodes, constraint.topologyKey)

    def counted(self, constraint: SpreadConstraint) -> Mask:
        """The nodes whose pods count, by the constraint's policies on affinity and taints."""
        found = self.labelled
        if constraint.honor_affinity and (self._request.nodeSelector or self._request.node_terms is not None):
            found = found & chosen_nodes(self._request, self._nodes)
        if constraint.honor_taints:
            found = found & ~repelled(self._request, self._nodes)
        return found

    def counts(self, constraint: SpreadConstraint) -> Counts:
        """For each node, how many matching pods its domain has."""
        pods = np.where(self.counted(constraint), self._nodes.count(constraint.group), 0)
        return in_domain(self._nodes, constraint.topologyKey, pods)

    def least(self, constraint: SpreadConstraint) -> int:
        """The fewest matching pods in a domain; 0 where there are fewer domains than `minDomains`."""
        counted = self.counted(constraint)
        if self.domains(constraint, counted) < constraint.minDomains:
            return 0
        return int(self.counts(constraint)[counted].min())

    def domains(self, constraint: SpreadConstraint, among: Mask) -> int:
        """In how many domains some nodes are."""
        column = self._nodes.domains(constraint.topologyKey)
        seen = np.zeros(len(column.values) + 1, dtype=np.bool_)
        seen[np.where(among, column.codes, -1)] = True
        return int(seen[:-1].sum())  # the last one is for nodes without the label
