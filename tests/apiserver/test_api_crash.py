"""An API server killed with SIGKILL at random moments, again and again over one store, under load.

Writers create, replace, apply and delete objects of their own in a namespace with a quota, and keep what was
acknowledged; a watcher follows from before the first kill to behind the last, resuming where it was. After every kill
what is there must be what was acknowledged, or, of the one write that each writer had under way, what was asked. In
the end the watcher's events, replayed, must be the collection, every acknowledged write among them once and in order,
and the quota must count what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.control_plane import ControlPlane

from timonier.api import errors
from timonier.api.types import core_v1, meta_v1
from timonier.client.client import Client
from timonier.kit import kubeconfig
from timonier.kit.http import HttpError

ROUNDS = 10
STORES = int(os.environ.get("CRASH_STORES", "1"))
"""How many stores are treated so, `ROUNDS` kills each; `make crash` asks for 20."""
WRITERS, KEYS = 6, 4
LONGEST_LIFE = 0.6
"""Seconds after it answers at which a server is killed at the latest."""
NAMESPACE = "crash"
GONE = "gone"


@dataclass
class Writer:
    """Changes its own few objects for ever.

    `sure` is what was acknowledged, `perhaps` what the write under way was to bring.
    """

    number: int
    sure: dict[str, str] = field(default_factory=dict)
    perhaps: dict[str, str] = field(default_factory=dict)
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    count: int = 0

    async def work(self, client: Client, chance: random.Random) -> None:
        while True:
            name = f"w{self.number}-{chance.randrange(KEYS)}"
            try:
                await self.write(client, name, chance)
            except (HttpError, errors.ServiceUnavailable, errors.TooManyRequests):
                return  # the server is gone: what became of this write will be seen
            except (errors.NotFound, errors.AlreadyExists, errors.Conflict):
                raise AssertionError(f"{name} is not as it was acknowledged: {self.sure.get(name)}") from None

    async def write(self, client: Client, name: str, chance: random.Random) -> None:
        self.count += 1
        value = f"{self.number}.{self.count}"
        there = self.sure.get(name, GONE) != GONE
        obj = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace=NAMESPACE), data={"value": value})
        if there and chance.random() < 0.3:
            self.perhaps = {name: GONE}
            await client.delete(core_v1.ConfigMap, name, NAMESPACE)
        elif chance.random() < 0.4:
            self.perhaps = {name: value}
            done = await client.apply(obj, manager=f"writer-{self.number}", force=True)
            self.acknowledged.append((name, int(done.metadata.resourceVersion)))
        else:
            self.perhaps = {name: value}
            done = await (client.update(obj) if there else client.create(obj))
            self.acknowledged.append((name, int(done.metadata.resourceVersion)))
        self.sure |= self.perhaps
        self.perhaps = {}

    def settle(self, there: dict[str, str]) -> None:
        """Compare with what is there after a kill. An unacknowledged write may have happened, or not."""
        for key in range(KEYS):
            name = f"w{self.number}-{key}"
            found, sure = there.get(name, GONE), self.sure.get(name, GONE)
            assert found in (sure, self.perhaps.get(name, sure)), f"{name}: {found}, acknowledged {sure}"
            self.sure[name] = found
        self.perhaps = {}


@dataclass
class Follower:
    """One watch over all lives of the server."""

    revision: str = ""
    events: list[tuple[int, str, str]] = field(default_factory=list)

    async def follow(self, client: Client) -> None:
        while True:
            with contextlib.suppress(HttpError, errors.ServiceUnavailable, errors.TooManyRequests):
                async for event in client.watch(core_v1.ConfigMap, NAMESPACE, resourceVersion=self.revision):
                    meta = event.object.metadata
                    if event.type != "BOOKMARK":
                        value = GONE if event.type == "DELETED" else event.object.data.get("value", "")
                        self.events.append((int(meta.resourceVersion), meta.name, value))
                    self.revision = meta.resourceVersion
            await asyncio.sleep(0.02)

    def state(self) -> dict[str, str]:
        state: dict[str, str] = {}
        for _, name, value in self.events:
            state[name] = value
        return {name: value for name, value in state.items() if value != GONE}


@contextlib.asynccontextmanager
async def patient(plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client(kubeconfig.load(plane.kubeconfig)) as client:
        yield client


async def ready(client: Client) -> None:
    """Return once the server serves."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(HttpError, errors.ApiError):
                await client.raw("GET", "/readyz", attempts=1)
                return
            await asyncio.sleep(0.02)


async def values(client: Client) -> dict[str, str]:
    listed = await client.list(core_v1.ConfigMap, NAMESPACE)
    return {each.metadata.name: each.data["value"] for each in listed.items if "value" in each.data}


async def prepare(client: Client) -> Follower:
    """The namespace with its quota, and a follower from there on."""
    await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=NAMESPACE)))
    await client.create(core_v1.ResourceQuota(
        metadata=meta_v1.ObjectMeta(name="quota", namespace=NAMESPACE),
        spec=core_v1.ResourceQuotaSpec(hard={"count/configmaps": "1000"})))
    listed = await client.list(core_v1.ConfigMap, NAMESPACE)
    return Follower(listed.metadata.resourceVersion)


async def live_and_die(plane: ControlPlane, client: Client, writers: list[Writer], chance: random.Random) -> None:
    """One life of the server: writers at work, and a kill somewhere in the middle of it."""
    tasks = [asyncio.create_task(writer.work(client, random.Random(chance.random()))) for writer in writers]
    await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
    plane.kill("apiserver")
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)


def check_history(follower: Follower, writers: list[Writer], there: dict[str, str]) -> None:
    revisions = [revision for revision, _, _ in follower.events]
    assert revisions == sorted(set(revisions)), "events out of order, or twice"
    assert {name: value for name, value in follower.state().items() if name.startswith("w")} == there
    seen = {(name, revision) for revision, name, _ in follower.events}
    assert [each for writer in writers for each in writer.acknowledged if each not in seen] == []


async def exact_quota(client: Client) -> None:
    """Return when the quota counts what is there, once the controllers have brought what they bring and looked."""
    async with asyncio.timeout(40):
        while True:
            quota = await client.get(core_v1.ResourceQuota, "quota", NAMESPACE)
            there = (await client.list(core_v1.ConfigMap, NAMESPACE)).items
            if quota.status.used.get("count/configmaps") == str(len(there)) \
                    and "kube-root-ca.crt" in {each.metadata.name for each in there}:
                return
            await asyncio.sleep(0.1)


@pytest.mark.machine
@pytest.mark.parametrize("seed", range(STORES))
async def test_no_kill_loses_a_write_an_event_or_the_count(tmp_path: Path, seed: int) -> None:
    plane, chance = ControlPlane(tmp_path), random.Random(seed)
    writers = [Writer(number) for number in range(WRITERS)]
    plane.start_api_server()
    try:
        async with patient(plane) as client:
            await ready(client)
            follower = await prepare(client)
            following = asyncio.create_task(follower.follow(client))
            for _ in range(ROUNDS):
                await live_and_die(plane, client, writers, chance)
                plane.start_api_server()
                await ready(client)
                there = await values(client)
                for writer in writers:
                    writer.settle(there)
            latest = (await client.list(core_v1.ConfigMap, NAMESPACE)).metadata.resourceVersion
            async with asyncio.timeout(30):
                while follower.state().keys() & there.keys() != there.keys() or not reached(follower, writers):
                    assert not following.done(), following
                    await asyncio.sleep(0.05)
            check_history(follower, writers, there)
            assert int(latest) >= max(revision for writer in writers for _, revision in writer.acknowledged)
            plane.start_manager()
            await exact_quota(client)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        for role in [*plane.processes]:
            plane.end(role)


def reached(follower: Follower, writers: list[Writer]) -> bool:
    """Whether the follower is behind the last acknowledged write."""
    last = max((revision for writer in writers for _, revision in writer.acknowledged), default=0)
    return bool(follower.events) and follower.events[-1][0] >= last
