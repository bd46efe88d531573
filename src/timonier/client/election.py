"""Leader election: of several processes that could do a work, the one that holds a Lease does it.

A holder renews every few seconds; another takes over once it has seen no renewal for the lease's duration, by its own
clock, so clocks need not agree. A holder that cannot renew in time stops its work before another may start.
Source: client-go, package leaderelection, whose figures these are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from timonier.api import errors
from timonier.api.times import micro
from timonier.api.types import coordination_v1, meta_v1
from timonier.client.client import Client
from timonier.kit.clock import Clock, Seconds
from timonier.kit.fatal import CannotRun
from timonier.kit.http import HttpError

log = logging.getLogger(__name__)


class LeadershipLost(CannotRun):
    """The lease could not be renewed in time; the work was stopped."""

    def __init__(self, lease: str) -> None:
        super().__init__(f"lease {lease} could not be renewed in time, so another may hold it; start this again")


@dataclass
class Election:
    """One candidate for one Lease."""

    client: Client
    name: str
    namespace: str
    identity: str
    clock: Clock
    duration: Seconds = 15.0
    deadline: Seconds = 10.0
    """A holder that has not renewed for so long gives up."""
    retry: Seconds = 2.0
    _seen: tuple[str, float] = field(default=("", 0.0), init=False)

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then work while holding it. Raises LeadershipLost; gives the lease up at the end."""
        while not await self._try():
            await self.clock.sleep(self.retry)
        log.info("leading", extra={"lease": self.name, "identity": self.identity})
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew(), name=f"renew {self.name}")
                await work()
                renewing.cancel()
        except BaseExceptionGroup as group_error:
            lost, others = group_error.split(LeadershipLost)
            if lost is not None and others is None:
                raise LeadershipLost(self.name) from None
            raise
        finally:
            await self._give_up()

    async def _renew(self) -> None:
        renewed = self.clock.monotonic()
        while True:
            await self.clock.sleep(self.retry)
            if await self._try():
                renewed = self.clock.monotonic()
            elif self.clock.monotonic() - renewed >= self.deadline:
                raise LeadershipLost(self.name)

    async def _try(self) -> bool:
        """Take or renew the lease; whether we hold it now. Failures to reach the server count as no."""
        try:
            async with asyncio.timeout(self.deadline / 2):
                return await self._take()
        except (errors.ApiError, HttpError, TimeoutError) as error:
            log.debug("lease not taken", extra={"lease": self.name, "error": str(error)})
            return False

    async def _take(self) -> bool:
        now = micro(self.clock.now())
        try:
            lease = await self.client.get(coordination_v1.Lease, self.name, self.namespace)
        except errors.NotFound:
            await self.client.create(coordination_v1.Lease(
                metadata=meta_v1.ObjectMeta(name=self.name, namespace=self.namespace),
                spec=coordination_v1.LeaseSpec(holderIdentity=self.identity, leaseDurationSeconds=int(self.duration),
                                               acquireTime=now, renewTime=now, leaseTransitions=0)))
            return True
        spec = lease.spec
        if spec.holderIdentity != self.identity:
            if spec.holderIdentity and not self._expired(spec):
                return False
            spec.acquireTime, spec.leaseTransitions = now, (spec.leaseTransitions or 0) + 1
        spec.holderIdentity, spec.renewTime, spec.leaseDurationSeconds = self.identity, now, int(self.duration)
        await self.client.update(lease)
        return True

    def _expired(self, spec: coordination_v1.LeaseSpec) -> bool:
        """Whether nothing has been renewed for the duration that its holder promised."""
        mark, now = f"{spec.holderIdentity} {spec.renewTime}", self.clock.monotonic()
        if self._seen[0] != mark:
            self._seen = (mark, now)
        return now - self._seen[1] > (spec.leaseDurationSeconds or self.duration)

    async def _give_up(self) -> None:
        """Let another lead at once instead of after the lease's duration."""
        try:
            async with asyncio.timeout(self.retry):
                lease = await self.client.get(coordination_v1.Lease, self.name, self.namespace)
                if lease.spec.holderIdentity == self.identity:
                    lease.spec.holderIdentity, lease.spec.leaseDurationSeconds = "", 1
                    await self.client.update(lease)
        except (errors.ApiError, HttpError, TimeoutError) as error:
            log.debug("lease not given up", extra={"lease": self.name, "error": str(error)})
