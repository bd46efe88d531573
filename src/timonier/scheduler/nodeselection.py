"""Which nodes a node selector chooses: `nodeSelector` and the terms of node affinity, over label columns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from timonier.api.selectors import integer
from timonier.api.types import core_v1
from timonier.scheduler.columns import Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot


def chosen_nodes(request: Request, nodes: Snapshot) -> Mask:
    """The nodes that match the pod's nodeSelector and required node affinity."""
    def compute() -> Mask:
        found = np.ones(len(nodes.names), dtype=np.bool_)
        for key, value in request.nodeSelector:
            found &= nodes.domains(key).one_of([value])
        if request.node_terms is not None:
            found &= any_term(request.node_terms.nodeSelectorTerms, nodes)
        return found

    return nodes.of_nodes(("chosen", request.node_key), compute)


def any_term(terms: Iterable[core_v1.NodeSelectorTerm], nodes: Snapshot) -> Mask:
    found = np.zeros(len(nodes.names), dtype=np.bool_)
    for term in terms:
        found |= whole_term(term, nodes)
    return found


def whole_term(term: core_v1.NodeSelectorTerm, nodes: Snapshot) -> Mask:
    """Where all of its conditions hold; a term without any chooses nothing."""
    if not term.matchExpressions and not term.matchFields:
        return np.zeros(len(nodes.names), dtype=np.bool_)
    found = np.ones(len(nodes.names), dtype=np.bool_)
    for expression in term.matchExpressions:
        found &= by_label(expression, nodes)
    for expression in term.matchFields:
        found &= by_name(expression, nodes)
    return found


def by_label(expression: core_v1.NodeSelectorRequirement, nodes: Snapshot) -> Mask:
    column = nodes.domains(expression.key)
    match expression.operator:
        case "In":
            return column.one_of(expression.values)
        case "NotIn":
            return ~column.one_of(expression.values)
        case "Exists":
            return column.where(lambda value: True)
        case "DoesNotExist":
            return ~column.where(lambda value: True)
        case "Gt" | "Lt":
            bound = integer(expression.values[0]) if expression.values else None
            if bound is not None:
                return column.where(lambda value: is_beyond(value, bound, above=expression.operator == "Gt"))
    return np.zeros(len(nodes.names), dtype=np.bool_)


def is_beyond(value: str, bound: int, *, above: bool) -> bool:
    number = integer(value)
    return number is not None and (number > bound if above else number < bound)


def by_name(expression: core_v1.NodeSelectorRequirement, nodes: Snapshot) -> Mask:
    """`matchFields` knows one field, `metadata.name`, and two operators."""
    named = np.zeros(len(nodes.names), dtype=np.bool_)
    for name in expression.values:
        if name in nodes.row_of:
            named[nodes.row_of[name]] = True
    if expression.key != "metadata.name" or expression.operator not in ("In", "NotIn"):
        return np.zeros(len(nodes.names), dtype=np.bool_)
    return named if expression.operator == "In" else ~named
