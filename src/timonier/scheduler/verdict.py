"""What a filter has to say: nodes that it rejects, and why. The explanation is data; `decide` turns it into words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from timonier.scheduler.columns import Counts, Mask
from timonier.scheduler.request import Request
from timonier.scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Rejection:
    """Some nodes and a reason in Kubernetes's words. `curable` says whether evicting pods could help."""

    nodes: Mask
    reason: str
    curable: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """`reject` gives every reason for every node that a pod cannot run on; it changes nothing."""

    name: str
    reject: Callable[[Request, Snapshot], Iterable[Rejection]]


@dataclass(frozen=True, slots=True)
class Score:
    """`rate` gives each of the `candidates` 0 to 100 (of other nodes it may say anything); it counts `weight` times."""

    name: str
    rate: Callable[[Request, Snapshot, Mask], Counts]
    weight: int
