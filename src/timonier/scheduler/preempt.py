"""Preemption: which pods of lower priority would have to go so that a pod fits. Pure; `run` evicts them.

On each node where evicting could help, all pods of lower priority are taken away in thought; if the pod then fits, they
are put back one by one, the most important first, and those for whom no room is left are the victims. Of the nodes the
one whose victims matter least is chosen. Disruption budgets are not looked at yet.
Source: Kubernetes documentation, "Pod Priority and Preemption".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from timonier.scheduler.columns import Mask
from timonier.scheduler.decide import Decision, explain, possible_nodes, unavailable
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot

CANDIDATES = 100
"""Nodes with victims after which no more are looked for."""
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
LEAVING = "not eligible due to terminating pods on the nominated node."


@dataclass(frozen=True, slots=True)
class Preemption:
    """The node to make room on and the pods that have to go, or a message that says why there is none.

    `nominated` is the node where room is kept for the pod from now on: this one, or one that was found before.
    """

    node: str | None
    victims: tuple[Request, ...] = ()
    message: str = ""
    nominated: str = ""


def preempt(request: Request, nodes: Snapshot, decision: Decision) -> Preemption:
    """What to evict for a pod that `decision` found no node for."""
    if not decision.considered:
        return Preemption(None)
    if not request.may_preempt:
        return Preemption(None, message=NEVER, nominated=request.nominated)
    if any(pod.leaving and pod.priority < request.priority
           for pod in nodes.on_node.get(request.nominated, {}).values()):
        return Preemption(None, message=LEAVING, nominated=request.nominated)
    curable, helpless = curable_nodes(decision), ~nodes.with_pods_below(request.priority)
    why_not = Counter({NOT_HELPFUL: decision.considered - int(curable.sum()),
                       NO_VICTIMS: int((curable & helpless).sum())})
    found: dict[str, tuple[Request, ...]] = {}
    for row in np.flatnonzero(curable & ~helpless).tolist():
        node = nodes.names[row]
        victims = victims_on(node, request, nodes)
        if isinstance(victims, str):
            why_not[victims] += 1
        else:
            found[node] = victims
        if len(found) == CANDIDATES:
            break
    if not found:
        return Preemption(None, message=unavailable(decision.considered, +why_not))
    chosen = min(found, key=lambda node: loss(found[node]))
    return Preemption(chosen, found[chosen], nominated=chosen)


def curable_nodes(decision: Decision) -> Mask:
    """The nodes against which nothing speaks that would still speak without the pods on them."""
    curable = np.zeros(len(decision.names), dtype=np.bool_)
    for refusal in decision.refusals:
        curable |= refusal.nodes
    for refusal in decision.refusals:
        if not refusal.curable:
            curable &= ~refusal.nodes
    return curable


def victims_on(node: str, request: Request, nodes: Snapshot) -> tuple[Request, ...] | str:
    """Who has to leave a node for a pod to fit, or why nobody would help."""
    lower = [pod for pod in nodes.on_node.get(node, {}).values() if pod.priority < request.priority]
    if short := still_short(node, lower, request, nodes):
        return short
    row = nodes.row_of[node]
    with without(lower, nodes):
        if not possible_nodes(request, nodes)[row]:
            return ", ".join(refusal.reason for refusal in explain(request, nodes) if refusal.nodes[row])
        victims = []
        for pod in sorted(lower, key=lambda pod: (-pod.priority, pod.started, pod.uid)):
            nodes.add_pod(pod, node)
            if not possible_nodes(request, nodes)[row]:
                nodes.remove_pod(pod.uid)
                victims.append(pod)
    return tuple(victims)


def still_short(node: str, lower: Sequence[Request], request: Request, nodes: Snapshot) -> str:
    """The first resource of which there is too little even without the lower pods; arithmetic, to save time."""
    row, table = nodes.row_of[node], nodes.resources
    for resource, wanted in request.resources.items():
        column = table.column(resource)
        freed = sum(pod.resources.get(resource, 0) for pod in lower)
        if table.allocatable[column][row] - table.requested[column][row] + freed < wanted:
            return f"Insufficient {resource}"
    return ""


@contextmanager
def without(pods: Sequence[Request], nodes: Snapshot) -> Iterator[None]:
    """The snapshot without some pods; afterwards all of them are back."""
    places = {pod.uid: nodes.pods[pod.uid][1] for pod in pods}
    for pod in pods:
        nodes.remove_pod(pod.uid)
    try:
        yield
    finally:
        for pod in pods:
            if pod.uid not in nodes.pods:
                nodes.add_pod(pod, places[pod.uid])


def loss(victims: Sequence[Request]) -> tuple[int, int, int, float]:
    """How much evicting them costs: highest priority, sum of priorities, number, and then who runs longest."""
    highest = max((pod.priority for pod in victims), default=-(2**31))
    total = sum(pod.priority + 2**31 for pod in victims)
    earliest = min((pod.started for pod in victims if pod.priority == highest), default=0.0)
    return highest, total, len(victims), -earliest
