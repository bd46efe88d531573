"""What the runtime has, by pod: listed from time to time, and brought up to date as soon as the runtime has news.

News says which container, never what became of it, so it is looked up; where the runtime's own record lags behind its
news, it is looked up again. Who wants to know of a change passes a function.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from timonier.kit.clock import Clock, Seconds
from timonier.node.cri.contract import (
    Container,
    ContainerState,
    EventType,
    NotInRuntime,
    Runtime,
    RuntimeEvent,
    RuntimeFailure,
    Sandbox,
    SandboxState,
    SandboxStatus,
)
from timonier.node.kubelet import names
from timonier.node.kubelet.observed import Observed, Run

log = logging.getLogger(__name__)

QUICK_RELIST: Seconds = 1
"""Between listings while there is no stream of news."""
LAGS: tuple[Seconds, ...] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)
"""Pauses before looking again at a container that is said to have ended and is shown as running."""


@dataclass
class Entry:
    """One pod's sandboxes and runs, by id."""

    sandboxes: dict[str, SandboxStatus] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)


@dataclass
class RuntimeCache:
    runtime: Runtime
    clock: Clock
    changed: Callable[[str], None] = lambda uid: None
    """Called with the uid of a pod of which something is different now."""
    pods: dict[str, Entry] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """The pod that a container or sandbox belongs to."""
    homes: dict[str, str] = field(default_factory=dict)
    """The sandbox that a container is in."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    failing: str = ""
    """Why the last listing failed; empty while it works."""
    following: bool = False

    def observed(self, uid: str) -> Observed:
        entry = self.pods.get(uid)
        if entry is None:
            return Observed()
        sandboxes = sorted(entry.sandboxes.values(), key=lambda s: (s.sandbox.attempt, s.sandbox.created_at),
                           reverse=True)
        runs: dict[str, list[Run]] = {}
        for run in sorted(entry.runs.values(), key=lambda r: (r.status.attempt, r.status.created_at), reverse=True):
            runs.setdefault(run.status.name, []).append(run)
        return Observed(tuple(sandboxes), {name: tuple(found) for name, found in runs.items()})

    # Listing.

    async def relist(self) -> None:
        """Compare with all that the runtime has. Raises RuntimeFailure."""
        before = list(self.owners)  # what is made while the runtime lists is not gone because it was not listed
        sandboxes, containers = await asyncio.gather(self.runtime.sandboxes(), self.runtime.containers())
        present = {one.id for one in sandboxes} | {one.id for one in containers}
        for gone in [one for one in before if one not in present]:
            self._drop(gone)
        for sandbox in sandboxes:
            if self._differs(sandbox):
                await self.refresh_sandbox(sandbox.id, sandbox.uid)
        for container in containers:
            uid = container.labels.get(names.POD_UID, "")
            if uid and self._differs_container(uid, container):
                await self.refresh_container(container.id, container.sandbox_id, uid)
        self.listed.set()

    def _differs(self, sandbox: Sandbox) -> bool:
        known = self.pods.get(sandbox.uid, Entry()).sandboxes.get(sandbox.id)
        return known is None or known.sandbox.state is not sandbox.state

    def _differs_container(self, uid: str, container: Container) -> bool:
        known = self.pods.get(uid, Entry()).runs.get(container.id)
        return known is None or known.status.state is not container.state

    async def refresh_sandbox(self, sandbox_id: str, uid: str) -> None:
        try:
            status = await self.runtime.sandbox_status(sandbox_id)
        except NotInRuntime:
            self._drop(sandbox_id)
            return
        entry = self.pods.setdefault(uid, Entry())
        known = entry.sandboxes.get(sandbox_id)
        if known and known.sandbox.state is SandboxState.NOT_READY:
            return  # an answer to an earlier question has come late
        if known != status:
            entry.sandboxes[sandbox_id] = status
            self.owners[sandbox_id] = uid
            self.changed(uid)

    def made(self, container_id: str, sandbox_id: str, uid: str) -> None:
        """A container was just made, so that its end is noticed though it should come before anybody looked."""
        self.owners[container_id], self.homes[container_id] = uid, sandbox_id

    async def refresh_container(self, container_id: str, sandbox_id: str, uid: str) -> ContainerState | None:
        """Look a container up; its state, or None where it is gone."""
        try:
            status = await self.runtime.container_status(container_id)
        except NotInRuntime:
            self._drop(container_id)
            return None
        entry, run = self.pods.setdefault(uid, Entry()), Run(sandbox_id, status)
        known = entry.runs.get(container_id)
        if known and known.exited:
            return known.status.state  # an answer to an earlier question has come late
        self.homes[container_id] = sandbox_id
        if entry.runs.get(container_id) != run:
            entry.runs[container_id] = run
            self.owners[container_id] = uid
            self.changed(uid)
        return status.state

    def _drop(self, id_: str) -> None:
        uid = self.owners.pop(id_, "")
        self.homes.pop(id_, None)
        if (entry := self.pods.get(uid)) is None:
            return
        entry.sandboxes.pop(id_, None)
        entry.runs.pop(id_, None)
        if not entry.sandboxes and not entry.runs:
            del self.pods[uid]
        self.changed(uid)

    # Loops.

    async def keep_listing(self, period: Seconds) -> None:
        """List for ever, often while there is no news."""
        while True:
            try:
                await self.relist()
                self.failing = ""
            except RuntimeFailure as error:
                if not self.failing:
                    log.warning("runtime cannot be listed", extra={"error": str(error)})
                self.failing = str(error)
            await self.clock.sleep(period if self.following and not self.failing else QUICK_RELIST)

    async def follow(self) -> None:
        """Take the runtime's news for ever; where the stream breaks, it is opened again."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    self.following = True
                    async for event in self.runtime.events():
                        group.create_task(self._take(event), name=f"news of {event.container_id[:12]}")
            except* RuntimeFailure as errors:
                log.info("runtime's news are interrupted", extra={"error": str(errors.exceptions[0])})
            self.following = False
            await self.clock.sleep(QUICK_RELIST)

    async def _take(self, event: RuntimeEvent) -> None:
        uid = self.owners.get(event.container_id)
        if uid is None or event.type is EventType.CONTAINER_STARTED:
            return  # whoever starts a container looks itself
        try:
            await self._look(event, uid)
        except RuntimeFailure as error:
            log.warning("container cannot be looked up", extra={"container": event.container_id, "error": str(error)})

    async def _look(self, event: RuntimeEvent, uid: str) -> None:
        for pause in (*LAGS, None):
            entry = self.pods.get(uid, Entry())
            if event.container_id in entry.sandboxes:
                await self.refresh_sandbox(event.container_id, uid)
                now = self.pods.get(uid, Entry()).sandboxes.get(event.container_id)
                lagging = now is not None and now.sandbox.state is SandboxState.READY
            elif home := self.homes.get(event.container_id):
                state = await self.refresh_container(event.container_id, home, uid)
                lagging = state in (ContainerState.RUNNING, ContainerState.CREATED)
            else:
                return
            if event.type is not EventType.CONTAINER_EXITED or not lagging or pause is None:
                return
            await self.clock.sleep(pause)
