"""Sizes: how many replicas each ReplicaSet of a Deployment should have now. Numbers in, numbers out.

A rolling update never has fewer than `minimum` pods available, nor more than `maximum` in all; within these it moves as
fast as it can. Sets are small records here, so that a test can enumerate them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from timonier.api.types import apps_v1
from timonier.controllers.deployment.revisions import DESIRED, MAXIMUM
from timonier.controllers.shared.shares import share

RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class Sized:
    """A ReplicaSet's numbers. `base` is the most that the Deployment could have when the set was last scaled."""

    name: str
    replicas: int
    available: int
    base: int = 0
    desired: int = 0

    @classmethod
    def of(cls, replica_set: apps_v1.ReplicaSet) -> Sized:
        annotations = replica_set.metadata.annotations
        return cls(replica_set.metadata.name, replicas(replica_set), replica_set.status.availableReplicas,
                   number(annotations.get(MAXIMUM)), number(annotations.get(DESIRED)))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a Deployment's spec says about numbers of pods."""

    desired: int
    surge: int
    unavailable: int

    @property
    def maximum(self) -> int:
        return self.desired + self.surge

    @property
    def minimum(self) -> int:
        return self.desired - self.unavailable

    @classmethod
    def of(cls, deployment: apps_v1.Deployment) -> Bounds:
        desired, strategy = replicas(deployment), deployment.spec.strategy
        if strategy is None or strategy.type == RECREATE:
            return cls(desired, 0, 0)
        rolling = strategy.rollingUpdate or apps_v1.RollingUpdateDeployment()
        surge = share(rolling.maxSurge, desired, round_up=True)
        unavailable = share(rolling.maxUnavailable, desired, round_up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1  # otherwise percentages of a small Deployment would round to no way forward
        return cls(desired, surge, min(unavailable, desired))


Sizes = dict[str, int]


def replicas(obj: apps_v1.ReplicaSet | apps_v1.Deployment) -> int:
    return 1 if obj.spec.replicas is None else obj.spec.replicas


def number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def first_size(bounds: Bounds, old: Sequence[Sized], recreate: bool) -> int:
    """Replicas that a set which does not exist yet begins with."""
    return grown(bounds, Sized("", 0, 0), old, recreate)


def grown(bounds: Bounds, new: Sized, old: Sequence[Sized], recreate: bool) -> int:
    """Replicas of the new set: as many as there is room for."""
    if recreate or new.replicas > bounds.desired:
        return bounds.desired
    total = new.replicas + sum(each.replicas for each in old)
    room = max(0, bounds.maximum - total)
    return new.replicas + min(room, bounds.desired - new.replicas)


def rolling(bounds: Bounds, new: Sized, old: Sequence[Sized]) -> Sizes:
    """The next step of a rolling update: the new set grows, or else the old ones shrink. `old` is oldest first."""
    size = grown(bounds, new, old, recreate=False)
    if size != new.replicas:
        return {new.name: size}
    return shrunk(bounds, new, old)


def shrunk(bounds: Bounds, new: Sized, old: Sequence[Sized]) -> Sizes:
    """Old sets smaller by what can be missed: first what is not available anyway, then what the minimum allows."""
    total = new.replicas + sum(each.replicas for each in old)
    spare = total - bounds.minimum - (new.replicas - new.available)
    if spare <= 0:
        return {}
    sizes = {each.name: each.replicas for each in old}
    for each in old:
        useless = min(spare, max(0, each.replicas - each.available))
        sizes[each.name] -= useless
        spare -= useless
    healthy = new.available + sum(each.available for each in old) - bounds.minimum
    for each in old:
        fewer = min(max(0, healthy), sizes[each.name])
        sizes[each.name] -= fewer
        healthy -= fewer
    return {each.name: sizes[each.name] for each in old if sizes[each.name] != each.replicas}


def scaled(bounds: Bounds, new: Sized | None, old: Sequence[Sized], rolling_update: bool,
           status_replicas: int) -> Sizes:
    """Sizes after the Deployment itself was scaled: shares of the whole, in proportion. `old` is oldest first."""
    everything = [*old, *([new] if new else [])]
    running = [each for each in everything if each.replicas > 0]
    if len(running) <= 1:
        only = running[0] if running else new or (old[-1] if old else None)
        return {only.name: bounds.desired} if only and only.replicas != bounds.desired else {}
    if new and new.desired == new.replicas == new.available == bounds.desired:
        return {each.name: 0 for each in old if each.replicas}
    return proportional(bounds, running, status_replicas) if rolling_update else {}


def proportional(bounds: Bounds, running: Sequence[Sized], status_replicas: int) -> Sizes:
    """Add or remove replicas in proportion to what each set has; the largest takes what rounding leaves."""
    allowed = bounds.maximum if bounds.desired > 0 else 0
    to_add = allowed - sum(each.replicas for each in running)
    newest_first = [*reversed(running)] if to_add > 0 else [*running]
    ranked = sorted(newest_first, key=lambda each: -each.replicas)
    sizes, added = {}, 0
    for each in ranked:
        part = proportion(bounds, each, to_add, added, status_replicas)
        sizes[each.name] = each.replicas + part
        added += part
    if to_add:
        sizes[ranked[0].name] = max(0, sizes[ranked[0].name] + to_add - added)
    return {each.name: sizes[each.name] for each in ranked if sizes[each.name] != each.replicas}


def proportion(bounds: Bounds, each: Sized, to_add: int, added: int, status_replicas: int) -> int:
    """One set's part of what is added (or removed, when negative)."""
    if to_add in (0, added):
        return 0
    base = each.base or status_replicas
    if bounds.desired == 0:
        part = -each.replicas
    elif base == 0:
        part = 0
    else:
        part = int(Fraction(each.replicas * bounds.maximum, base) + Fraction(1, 2)) - each.replicas
    return min(part, to_add - added) if to_add > 0 else max(part, to_add - added)
