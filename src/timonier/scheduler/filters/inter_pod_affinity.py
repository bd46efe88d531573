"""InterPodAffinity: near the pods that the pod requires, apart from those it must avoid and those that avoid it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timonier.api.selectors import conjunction
from timonier.scheduler.columns import Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot
from timonier.scheduler.terms import PodGroup
from timonier.scheduler.topology import has_label, in_domain
from timonier.scheduler.verdict import Rejection


def reject(request: Request, nodes: Snapshot) -> Iterator[Rejection]:
    rejected = np.zeros(len(nodes.names), dtype=np.bool_)
    if request.near:
        rejected = ~near_enough(request, nodes)
        yield Rejection(rejected, "node(s) didn't match pod affinity rules", curable=False)
    if request.apart:
        too_near = ~rejected & too_near_to_others(request, nodes)
        rejected = rejected | too_near
        yield Rejection(too_near, "node(s) didn't match pod anti-affinity rules", curable=True)
    unwanted = ~rejected & unwanted_by_others(request, nodes)
    if unwanted.any():
        yield Rejection(unwanted, "node(s) didn't satisfy existing pods anti-affinity rules", curable=True)


def near_enough(request: Request, nodes: Snapshot) -> Mask:
    """Nodes in whose domains there are pods that match every term; where no pod does, the pod may be its own first."""
    groups = [term.group(nodes.namespaces) for term in request.near]
    counts = nodes.count(intersection(groups))
    labelled = np.ones(len(nodes.names), dtype=np.bool_)
    found = np.ones(len(nodes.names), dtype=np.bool_)
    anywhere = False
    for term in request.near:
        has = has_label(nodes, term.topologyKey)
        labelled &= has
        anywhere = anywhere or bool((counts[has] > 0).any())
        found &= in_domain(nodes, term.topologyKey, counts) > 0
    if not anywhere and all(group.has(request.namespace, request.labels) for group in groups):
        return labelled
    return found


def intersection(groups: list[PodGroup]) -> PodGroup:
    named = [group.namespaces for group in groups if group.namespaces is not None]
    namespaces = frozenset.intersection(*named) if named else None
    labels = groups[0].labels if len(groups) == 1 else conjunction([group.labels for group in groups])
    return PodGroup(namespaces, labels)


def too_near_to_others(request: Request, nodes: Snapshot) -> Mask:
    found = np.zeros(len(nodes.names), dtype=np.bool_)
    for term in request.apart:
        found |= in_domain(nodes, term.topologyKey, nodes.count(term.group(nodes.namespaces))) > 0
    return found


def unwanted_by_others(request: Request, nodes: Snapshot) -> Mask:
    found = np.zeros(len(nodes.names), dtype=np.bool_)
    for _, term, holders in nodes.held_towards(request, required=True):
        found |= in_domain(nodes, term.topologyKey, holders) > 0
    return found
