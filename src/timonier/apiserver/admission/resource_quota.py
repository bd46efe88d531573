"""ResourceQuota: a namespace uses no more than its quotas allow, however many write at a time.

Usage is written down, with a write that only one of several servers can win, before the object is: a crash in between
leaves a quota that says too much, never too little, and its controller, which counts anew, puts that right. Those who
write into one namespace at the same time are charged together, with one write of each quota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from timonier.api.errors import ApiError, Conflict, NotFound
from timonier.api.kinds import BY_ID
from timonier.api.quota.amounts import same
from timonier.api.quota.charge import Write, charged, concerned
from timonier.api.quota.limited import Limited, Refused
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin, refuse
from timonier.apiserver.registry import INTERNAL, Registry
from timonier.apiserver.request import SERVER, Attributes, Object
from timonier.kit.clock import Clock

QUOTA = BY_ID["v1/ResourceQuota"]
TRIES = 8
"""Times that a quota that others write too is read anew before a request is told of the conflict."""


@dataclass(eq=False)
class Waiting:
    """A request that waits for its charge. `result` is an error, or None where the charge holds."""

    attributes: Attributes
    write: Write
    settled: bool = False
    result: ApiError | None = None

    def settle(self, result: ApiError | None = None) -> None:
        self.settled, self.result = True, result


@dataclass
class Desk:
    """Where those who write into one namespace are charged: one at a time, for all who wait by then."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[Waiting] = field(default_factory=list)


@dataclass
class ResourceQuota(Plugin):
    registry: Registry
    clock: Clock
    limits: Sequence[Limited] = ()
    """What is used only where a quota counts it."""
    _seen: int = -1
    _limited: frozenset[str] = frozenset()
    _desks: dict[str, Desk] = field(default_factory=dict)

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        if (group, resource) == ("", "pods"):
            return (subresource, operation) in (("", CREATE), ("resize", UPDATE))
        return operation in (CREATE, UPDATE) and not subresource

    def limited(self, namespace: str) -> bool:
        """Whether a namespace has a quota."""
        changes = self.registry.changes(QUOTA)
        if changes != self._seen:
            self._limited = frozenset(item.namespace for item in self.registry.cache(QUOTA).within())
            self._seen = changes
        return namespace in self._limited

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises Forbidden where a quota would be exceeded or does not know, Conflict where others win too often."""
        namespace, limits = attributes.namespace, () if attributes.user is SERVER else self.limits
        if obj is None or not namespace or not (limits or self.limited(namespace)):
            return
        write = Write(attributes.group, attributes.resource, obj, old, self.clock.now(), limits)
        if concerned(write) is None:
            return
        mine, desk = Waiting(attributes, write), self._desks.setdefault(namespace, Desk())
        desk.waiting.append(mine)
        try:
            async with desk.lock:
                if not mine.settled:
                    await self.settle(namespace, desk)
        finally:
            if mine in desk.waiting:
                desk.waiting.remove(mine)
            if not desk.waiting and not desk.lock.locked():
                self._desks.pop(namespace, None)
        if mine.result is not None:
            raise mine.result

    async def settle(self, namespace: str, desk: Desk) -> None:
        """Charge everybody who waits."""
        batch = [*desk.waiting]
        quotas: Sequence[Object] = await self.registry.list(QUOTA, namespace)
        for _ in range(TRIES):
            used = judge(quotas, [each for each in batch if not each.settled])
            changed = [quota for quota in quotas if quota["metadata"]["name"] in used]
            lost = [quota for quota in changed if not await self.write(quota, used[quota["metadata"]["name"]])]
            if not lost:
                break
            names = {quota["metadata"]["name"] for quota in lost}
            quotas = [quota for quota in await self.registry.list(QUOTA, namespace)
                      if quota["metadata"]["name"] in names]
        else:
            for each in unsettled(batch):
                each.settle(Conflict(f"Operation cannot be fulfilled on resourcequotas in namespace {namespace}: the "
                                     "object has been modified; please apply your changes to the latest version and "
                                     "try again", resource="resourcequotas"))
        for each in unsettled(batch):
            each.settle()

    async def write(self, quota: Object, used: dict[str, str]) -> bool:
        """Write a quota's usage down; whether it still was what it was. One that is gone limits nothing."""
        name, namespace = quota["metadata"]["name"], quota["metadata"]["namespace"]
        version = quota["metadata"]["resourceVersion"]

        def edit(current: Object) -> Object:
            if current["metadata"]["resourceVersion"] != version:
                raise Overtaken
            return current | {"status": (current.get("status") or {}) | {"used": used}}

        try:
            await self.registry.change(QUOTA, namespace, name, edit, "status", INTERNAL)
        except Overtaken:
            return False
        except NotFound:
            return True
        return True


class Overtaken(Exception):
    """Somebody else wrote the quota."""


def unsettled(batch: Sequence[Waiting]) -> Iterator[Waiting]:
    return (each for each in batch if not each.settled)


def judge(quotas: Sequence[Object], batch: Sequence[Waiting]) -> dict[str, dict[str, str]]:
    """The usage of each quota that changes once everybody who fits in is charged; who does not is settled with why.

    A dry run is judged, and charged nothing.
    """
    used: dict[str, dict[str, str]] = {}
    for each in batch:
        try:
            more = charged(quotas, used, each.write)
        except Refused as error:
            each.settle(refuse(each.attributes, str(error), each.write.obj))
            continue
        if each.attributes.dry_run or not more:
            each.settle()
        else:
            used |= more
    before = {quota["metadata"]["name"]: (quota.get("status") or {}).get("used") or {} for quota in quotas}
    return {name: after for name, after in used.items() if not same(after, before[name])}
