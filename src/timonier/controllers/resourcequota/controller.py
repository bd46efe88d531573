"""What quotas say is used: counted anew from the objects that are there.

Admission charges a quota before the object is written, so for a moment a quota rightly says more than can be counted.
Usage is therefore lowered only once nobody has charged the quota for a while; it is raised at once. A charge whose
write never came, since the server was killed or the store refused, is taken back that way too.
Source: kubernetes/pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from timonier.api import times
from timonier.api.quantity import read
from timonier.api.quota import scopes
from timonier.api.quota.amounts import added, number, same
from timonier.api.quota.usage import measure, resource_of
from timonier.api.types import core_v1, resource_v1
from timonier.client.informer import key_of
from timonier.client.wire import Object
from timonier.controllers.resourcequota.mirrors import UNANSWERED, Counted, Place
from timonier.kit.clock import Seconds, Time
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import BY_NAMESPACE, Snapshot, Watch, clone, itself

QUIET: Seconds = 2.0
"""How long nobody may have charged a quota before it is lowered: far longer than a write takes once it is charged."""
PAUSE: Seconds = 1.0
"""Between two counts for one quota: many objects come and go together."""
RESYNC: Seconds = 300.0
UNSERVED: Seconds = 5.0
"""After so long, a quota of a kind that nobody serves is looked at again: its definition may just have been made."""
MEASURED: Mapping[Place, type[Object]] = {
    ("", "pods"): core_v1.Pod, ("", "services"): core_v1.Service,
    ("", "persistentvolumeclaims"): core_v1.PersistentVolumeClaim,
    ("resource.k8s.io", "resourceclaims"): resource_v1.ResourceClaim}
"""Resources whose objects use more than a place; of all others it is enough to know how many there are."""


@dataclass(slots=True)
class Seen:
    """What is remembered of a quota: since when it is as it is, and when it was last counted for."""

    resourceVersion: str
    since: Time
    counted: Time = float("-inf")


class ResourceQuotaController:
    """A key is a quota. `counted` has to be told by the runner's queue: `counted.changed`."""

    name = "resourcequota-controller"

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._seen: dict[str, Seen] = {}

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return [Watch(core_v1.ResourceQuota, itself),
                *(Watch(cls, lambda obj, snapshot: quotas_of(obj.metadata.namespace, snapshot))
                  for cls in MEASURED.values())]

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan | Awaitable[Plan]:
        quota = snapshot.get(core_v1.ResourceQuota, key)
        if quota is None:
            self._seen.pop(key, None)
            return Plan()
        seen = self._seen.get(key)
        if seen is None or seen.resourceVersion != quota.metadata.resourceVersion:
            last = seen.counted if seen else float("-inf")
            seen = self._seen[key] = Seen(quota.metadata.resourceVersion, now, last)
        wait = seen.counted + PAUSE - now
        if wait > 0 and quota.status.hard == quota.spec.hard:
            return Plan(again=wait)
        seen.counted = now
        return self._count(quota, seen, snapshot, now)

    async def _count(self, quota: core_v1.ResourceQuota, seen: Seen, snapshot: Snapshot, now: Time) -> Plan:
        namespace = quota.metadata.namespace
        places = {resource_of(name) for name in quota.spec.hard} - {("", "")}
        try:
            numbers = await self._counted.count(places - MEASURED.keys(), namespace)
        except UNANSWERED:
            return Plan(again=PAUSE)
        objects = {place: [msgspec.to_builtins(obj) for obj in snapshot.within(MEASURED[place], namespace)]
                   for place in places & MEASURED.keys()}
        again = next_end(objects.get(("", "pods"), ()), now)
        if places - MEASURED.keys() - numbers.keys():
            again = min(again, UNSERVED)
        return recounted(quota, usage(msgspec.to_builtins(quota), objects, numbers, now), seen.since, now, again)


def quotas_of(namespace: str, snapshot: Snapshot) -> Iterable[str]:
    return [key_of(quota) for quota in snapshot.by_index(core_v1.ResourceQuota, BY_NAMESPACE, namespace)]


def usage(quota: Any, objects: Mapping[Place, Sequence[Any]], numbers: Mapping[Place, int],
          now: Time) -> dict[str, str]:
    """What is used of everything that a quota limits. `numbers` are those of the kinds that are only counted."""
    limited, total = quota["spec"].get("hard") or {}, dict[str, str]()
    for name in limited:
        place = resource_of(name)
        if place in objects:
            total[name] = "0"
        elif place in numbers:
            scoped = scopes.requirements(quota["spec"])
            total[name] = number(0 if scoped else numbers[place])
    for (group, resource), found in objects.items():
        how = measure(group, resource)
        for obj in found:
            if how is not None and scopes.matches(quota["spec"], group, resource, obj):
                used = how.usage(obj, now)
                total = added(total, {name: amount for name, amount in used.items() if name in total})
    return total


def recounted(quota: core_v1.ResourceQuota, used: Mapping[str, str], since: Time, now: Time, end: Seconds) -> Plan:
    """Write the usage down, unless it is less than the quota says and somebody may just be about to use the rest."""
    before = quota.status
    again = min(RESYNC, end)
    if same(before.hard, quota.spec.hard) and same(before.used, used):
        return Plan(again=again)
    lower = any(name in used and read(used[name])[0] < read(amount)[0] for name, amount in before.used.items())
    if lower and since + QUIET > now:
        return Plan(again=since + QUIET - now)
    changed = clone(quota)
    changed.status.hard, changed.status.used = dict(quota.spec.hard), dict(used)
    return Plan(status=changed, again=again)


def next_end(pods: Iterable[Any], now: Time) -> Seconds:
    """Seconds until the next pod that is being deleted no longer counts, whether its node says so or not."""
    ends = (times.parse(stamp) + pod["metadata"].get("deletionGracePeriodSeconds", 0) - now + 1
            for pod in pods if (stamp := pod["metadata"].get("deletionTimestamp")))
    return min((end for end in ends if end > 0), default=RESYNC)
