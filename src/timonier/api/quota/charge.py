"""What a write does to quotas: more usage, or a refusal in Kubernetes's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.api.quota import pods, scopes
from timonier.api.quota.amounts import added, beyond, increase, negative, only, told, without_zeros
from timonier.api.quota.limited import Limited, Refused, check_covered
from timonier.api.quota.usage import Measure, measure
from timonier.kit.clock import Time

Object = dict[str, Any]
Used = Mapping[str, Mapping[str, str]]
"""Usage by the name of a quota."""


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be written: a new object, or one in the place of `old`."""

    group: str
    resource: str
    obj: Object
    old: Object | None
    now: Time
    limits: Sequence[Limited] = ()
    """What may be used only where a quota counts it."""


def concerned(write: Write) -> Measure | None:
    """How a write is measured; None where it can change no usage."""
    found = measure(write.group, write.resource)
    return found if found is not None and (write.old is None or found.changes) else None


def charged(quotas: Sequence[Object], used: Used, write: Write) -> dict[str, dict[str, str]]:
    """The usage of each quota that the write would change, by the quota's name. Raises Refused.

    `used` is what quotas have used by now, where that is more than their status says.
    """
    found = concerned(write)
    if found is None:
        return {}
    counting = [quota for quota in quotas if counts(quota, found, write.group, write.resource, write.obj)]
    for quota in counting:
        check_words(quota, found, used, write)
    if not counting and not write.limits:
        return {}
    usage = found.usage(write.obj, write.now)
    if wrong := negative(usage):
        raise Refused(f"quota usage is negative for resource(s): {','.join(wrong)}")
    added_usage = usage if write.old is None else increase(usage, found.usage(write.old, write.now))
    more = {name_of(quota): without_zeros(
        added_usage if write.old is not None and counts(quota, found, write.group, write.resource, write.old)
        else usage) for quota in counting}
    if write.limits and (any(more.values()) if counting else without_zeros(added_usage)):
        names = {name for quota in counting for name in hard(quota) if found.names(name)}
        check_covered(write.limits, (write.group, write.resource), write.obj, usage, names, quotas)
    return {name_of(quota): raised(quota, used_of(quota, used), requested) for quota in counting
            if (requested := only(more[name_of(quota)], hard(quota)))}


def counts(quota: Object, found: Measure, group: str, resource: str, obj: Object) -> bool:
    """Whether a quota is about an object at all."""
    return any(found.names(name) for name in hard(quota)) and scopes.matches(quota["spec"], group, resource, obj)


def check_words(quota: Object, found: Measure, used: Used, write: Write) -> None:
    """Whether the object says what the quota needs to know, and the quota knows how much is used."""
    limited = [name for name in hard(quota) if found.names(name)]
    if (write.group, write.resource) == ("", "pods"):
        silent = pods.missing(write.obj, limited)
        if silent:
            raise Refused(f"failed quota: {name_of(quota)}: must specify {silent}")
    if not all(name in used_of(quota, used) for name in limited):
        raise Refused(f"status unknown for quota: {name_of(quota)}, resources: {','.join(sorted(limited))}")


def raised(quota: Object, before: Mapping[str, str], requested: Mapping[str, str]) -> dict[str, str]:
    """The usage with what is requested."""
    after = added(before, requested)
    exceeded = beyond(only(after, requested), hard(quota))
    if exceeded:
        raise Refused(f"exceeded quota: {name_of(quota)}, requested: {told(only(requested, exceeded))}, "
                      f"used: {told(only(before, exceeded))}, limited: {told(only(hard(quota), exceeded))}")
    return after


def name_of(quota: Object) -> str:
    return str(quota["metadata"]["name"])


def hard(quota: Object) -> dict[str, str]:
    limits: dict[str, str] = (quota.get("status") or {}).get("hard") or {}
    return limits


def used_of(quota: Object, used: Used) -> Mapping[str, str]:
    own: Mapping[str, str] = (quota.get("status") or {}).get("used") or {}
    return used.get(name_of(quota), own)
