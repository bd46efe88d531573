"""Which taints a pod tolerates. Source: Kubernetes documentation, "Taints and Tolerations"."""

from __future__ import annotations

import numpy as np

from timonier.api.selectors import integer
from timonier.scheduler.columns import Mask
from timonier.scheduler.request import Request, TolerationKey
from timonier.scheduler.snapshot import Snapshot, Taint

REPELLING = ("NoSchedule", "NoExecute")


def tolerates(toleration: TolerationKey, taint: Taint) -> bool:
    """An empty effect or key stands for every one."""
    key, operator, value, effect = toleration
    if (effect and effect != taint[2]) or (key and key != taint[0]):
        return False
    match operator:
        case "Exists":
            return True
        case "Gt" | "Lt":
            theirs, bound = integer(taint[1]), integer(value)
            if theirs is None or bound is None:
                return False
            return theirs > bound if operator == "Gt" else theirs < bound
    return value == taint[1]


def is_tolerated(request: Request, taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in request.tolerations)


def repelled(request: Request, nodes: Snapshot) -> Mask:
    """The nodes with a taint that keeps the pod away."""
    def compute() -> Mask:
        found = np.zeros(len(nodes.names), dtype=np.bool_)
        for taint, where in nodes.tainted.items():
            if taint[2] in REPELLING and not is_tolerated(request, taint):
                found |= where
        return found

    return nodes.of_nodes(("repelled", request.tolerations), compute)
