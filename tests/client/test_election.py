"""Leader election: one leads, another takes over when it is silent, none works without the lease."""

from __future__ import annotations

import asyncio

import pytest

from timonier.api import errors
from timonier.api.types import coordination_v1
from timonier.client.election import Election, LeadershipLost
from timonier.kit.clock import FakeClock
from timonier.reconcile.snapshot import clone


class Leases:
    """A server of one Lease, that may refuse."""

    def __init__(self) -> None:
        self.lease: coordination_v1.Lease | None = None
        self.down = False

    async def get(self, *_: object) -> coordination_v1.Lease:
        self._check()
        if self.lease is None:
            raise errors.NotFound("lease")
        return clone(self.lease)

    async def create(self, lease: coordination_v1.Lease) -> None:
        self._check()
        if self.lease is not None:
            raise errors.AlreadyExists("lease")
        self._put(lease, "1")

    async def update(self, lease: coordination_v1.Lease) -> None:
        self._check()
        assert self.lease is not None
        if lease.metadata.resourceVersion != self.lease.metadata.resourceVersion:
            raise errors.Conflict("lease")
        self._put(lease, str(int(lease.metadata.resourceVersion) + 1))

    def _put(self, lease: coordination_v1.Lease, revision: str) -> None:
        self.lease = clone(lease)
        self.lease.metadata.resourceVersion = revision

    def _check(self) -> None:
        if self.down:
            raise errors.ServiceUnavailable("down")

    @property
    def holder(self) -> str:
        return self.lease.spec.holderIdentity if self.lease else ""


class Candidate:
    def __init__(self, name: str, leases: Leases, clock: FakeClock) -> None:
        self.working = False
        self.election = Election(leases, "lease", "kube-system", name, clock)  # type: ignore[arg-type]
        self.task = asyncio.create_task(self.election.lead(self.work))

    async def work(self) -> None:
        self.working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_one_of_two_leads_and_the_other_follows_when_it_ends():
    clock, leases = FakeClock(), Leases()
    a = Candidate("a", leases, clock)
    await clock.advance(1)
    b = Candidate("b", leases, clock)
    await clock.advance(60)
    assert (a.working, b.working, leases.holder) == (True, False, "a")
    await a.stop()
    await clock.advance(5)
    assert (a.working, b.working, leases.holder) == (False, True, "b")
    assert leases.lease.spec.leaseTransitions == 1
    await b.stop()


async def test_a_silent_leader_is_replaced_after_its_lease_has_run_out():
    clock, leases = FakeClock(), Leases()
    a = Candidate("a", leases, clock)
    await clock.advance(1)
    leases.down = True
    await a.stop()  # killed: it can give nothing up
    leases.down = False
    b = Candidate("b", leases, clock)
    await clock.advance(14)
    assert not b.working
    await clock.advance(5)
    assert b.working
    await b.stop()


async def test_a_leader_that_cannot_renew_stops_before_another_may_start():
    clock, leases = FakeClock(), Leases()
    a = Candidate("a", leases, clock)
    await clock.advance(3)
    assert a.working
    leases.down = True
    await clock.advance(13)
    assert not a.working
    with pytest.raises(LeadershipLost):
        await a.task


async def test_work_that_ends_ends_the_lead():
    clock, leases = FakeClock(), Leases()

    async def work() -> None:
        pass
    await Election(leases, "lease", "kube-system", "a", clock).lead(work)  # type: ignore[arg-type]
    assert leases.holder == ""
