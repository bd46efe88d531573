"""What may be used only where a quota counts it, as the administrator says; else whatever no quota counts is free."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.api.quota import scopes
from timonier.api.quota.amounts import Amounts, without_zeros

Object = dict[str, Any]


class Refused(Exception):
    """A write that quotas do not allow; the message says why."""


@dataclass(frozen=True)
class Limited:
    """A LimitedResource: whatever of a resource is named so, and objects that are within these scopes."""

    group: str
    resource: str
    contains: tuple[str, ...] = ()
    """Parts of the names under which quotas count."""
    scopes: tuple[Object, ...] = ()


def check_covered(limits: Sequence[Limited], place: tuple[str, str], obj: Object, usage: Amounts,
                  counted: Collection[str], quotas: Sequence[Object]) -> None:
    """Raises Refused where quotas count less of an object than they have to.

    `place` is its group and resource; `counted` are the names under which quotas count it.
    """
    if free := sorted({*names(limits, place, usage)}.difference(counted)):
        raise Refused(f"insufficient quota to consume: {','.join(free)}")
    demanded = [each for limit in limits for each in scopes.matching(limit.scopes, *place, obj)]
    if not demanded:
        return
    covered = {each["scopeName"] for quota in quotas
               for each in scopes.matching(scopes.requirements(quota["spec"]), *place, obj)}
    if bare := [told(each) for each in demanded if each["scopeName"] not in covered]:
        raise Refused(f"insufficient quota to match these scopes: [{' '.join(bare)}]")


def names(limits: Sequence[Limited], place: tuple[str, str], usage: Amounts) -> Iterator[str]:
    """The names of what an object uses and a quota has to count."""
    parts = [part for limit in limits if (limit.group, limit.resource) == place for part in limit.contains]
    return (name for name in without_zeros(usage) if any(part in name for part in parts))


def told(requirement: Object) -> str:
    """`{PriorityClass In [high]}`"""
    values = " ".join(requirement.get("values") or ())
    return f"{{{requirement['scopeName']} {requirement.get('operator', '')} [{values}]}}"
