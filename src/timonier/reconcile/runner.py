"""The one runner: it watches what controllers depend on, queues keys, asks for plans, carries them out, retries.

A controller is a name, the kinds that it watches, and a plan. Everything that is the same for all of them is here, so
that no controller has a loop of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from timonier.api import errors
from timonier.client.client import Client
from timonier.client.informer import Informer, SharedInformers
from timonier.client.queue import WorkQueue
from timonier.client.wire import Object
from timonier.kit.clock import Clock, Seconds, Time
from timonier.kit.http import HttpError
from timonier.reconcile.events import Recorder
from timonier.reconcile.execute import NoAnswer, execute
from timonier.reconcile.expectations import Expectations
from timonier.reconcile.metrics import Counts
from timonier.reconcile.plan import Plan
from timonier.reconcile.snapshot import STANDARD_INDEXES, Snapshot, Watch

log = logging.getLogger(__name__)

WORKERS = 4
"""Keys of one controller that are worked on at the same time."""
ECHO: Seconds = 1.0
"""A key whose own writes the mirrors do not show yet is looked at again after so long, if no event comes first."""
DOUBT: Seconds = 2.0
"""The least pause after a write of which it is not known whether it took effect."""


class Controller(Protocol):
    """What the runner runs. `plan` is pure, or awaits what no mirror can show."""

    name: str
    """Of its queue, and the component that its events name: `replicaset-controller`."""

    @property
    def watches(self) -> Sequence[Watch[Any]]: ...

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan | Awaitable[Plan]: ...


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until something changes."""


@dataclass(frozen=True, slots=True)
class Later:
    """Look again after so many seconds."""

    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """It failed; try again, ever later."""

    error: Exception


class Running:
    """One controller with its queue."""

    def __init__(self, controller: Controller, client: Client, informers: SharedInformers, clock: Clock) -> None:
        self.controller, self.queue = controller, WorkQueue(clock)
        self.counts = Counts(self.queue)
        self.recorder = Recorder(client, controller.name, clock)
        self._client, self._clock = client, clock
        self.mirrors: dict[type[Object], Informer[Any]] = {
            watch.cls: informers.informer(watch.cls, watch.namespace, fields=watch.fields)
            for watch in controller.watches}
        self.snapshot = Snapshot(self.mirrors)
        self._expectations = Expectations(self.mirrors, clock)

    def subscribe(self) -> None:
        """Queue keys as objects change, beginning with all that are there."""
        for watch in self.controller.watches:
            informer = self.mirrors[watch.cls]
            for name, values in (*STANDARD_INDEXES.items(), *watch.indexes.items()):
                informer.add_index(name, values)
        for watch in self.controller.watches:
            self.mirrors[watch.cls].on_change(self._handler(watch))

    def _handler(self, watch: Watch[Any]) -> Callable[[Any, Any], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for key in watch.keys(obj, self.snapshot):
                        self.counts.adds += 1
                        self.queue.add(key)
        return changed

    async def run(self, workers: int) -> None:
        for mirror in self.mirrors.values():
            await mirror.synced.wait()
        async with asyncio.TaskGroup() as group:
            name = self.controller.name
            group.create_task(self.queue.run(), name=f"{name} timer")
            group.create_task(self.recorder.run(), name=f"{name} events")
            for number in range(workers):
                group.create_task(self._work(), name=f"{name} worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            started = self._clock.monotonic()
            try:
                match await self.attempt(key):
                    case Done():
                        self.queue.forget(key)
                    case Later(seconds):
                        self.queue.forget(key)
                        self.queue.add_after(key, seconds)
                    case Retry(error):
                        self._retry(key, error)
            finally:
                self.queue.done(key)
                self._count(self._clock.monotonic() - started)

    async def attempt(self, key: str) -> Done | Later | Retry:
        """Plan one key and carry the plan out."""
        if not self._expectations.met(key):
            return Later(ECHO)
        try:
            plan = self.controller.plan(key, self.snapshot, self._clock.now())
            if not isinstance(plan, Plan):
                plan = await plan
            again: list[Seconds] = []
            problems: list[Exception] = []
            following: Plan | None = plan
            while following is not None:
                outcome = await execute(self._client, following, self.controller.name)
                self._expectations.expect(key, outcome)
                problems += (error for error in outcome.errors if not harmless(error))
                for note in following.events:
                    self.recorder.note(note)
                again += [following.again] if following.again is not None else []
                following = following.then(outcome) if following.then else None
        except (errors.ApiError, HttpError) as error:
            return Retry(error)
        except Exception as error:
            log.exception("plan failed", extra={"controller": self.controller.name, "key": key})
            return Retry(error)
        if problems:
            return Retry(problems[0])
        return Later(min(again)) if again else Done()

    def _retry(self, key: str, error: Exception) -> None:
        self.counts.retries += 1
        if isinstance(error, NoAnswer | HttpError):
            self.queue.add_after(key, DOUBT)
            return
        pause = self.queue.back_off(key)
        if not isinstance(error, errors.Conflict):
            level = logging.WARNING if self.queue.failures(key) in (3, 8, 12, 16) else logging.DEBUG
            log.log(level, "will try again", extra={"controller": self.controller.name, "key": key,
                                                    "error": str(error), "pause": round(pause, 3)})

    def _count(self, seconds: Seconds) -> None:
        self.counts.done += 1
        self.counts.busy_seconds += seconds
        self.counts.longest_seconds = max(self.counts.longest_seconds, seconds)


def harmless(error: errors.ApiError) -> bool:
    """Whether a failed write leaves nothing to do: what it was about, or the namespace around it, is gone or going."""
    return isinstance(error, errors.NotFound) or any(cause.reason == "NamespaceTerminating" for cause in error.causes)


class Runner:
    """Runs controllers over shared informers."""

    def __init__(self, client: Client, informers: SharedInformers, clock: Clock) -> None:
        self._client, self._informers, self._clock = client, informers, clock
        self._running: list[tuple[Running, int]] = []

    def add(self, controller: Controller, *, workers: int = WORKERS) -> Running:
        running = Running(controller, self._client, self._informers, self._clock)
        self._running.append((running, workers))
        return running

    @property
    def counts(self) -> dict[str, Counts]:
        return {running.controller.name: running.counts for running, _ in self._running}

    async def run(self) -> None:
        """Run all of them; nothing is written before the mirrors that a controller reads are filled."""
        for running, _ in self._running:
            running.subscribe()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informers.run(), name="informers")
            for running, workers in self._running:
                group.create_task(running.run(workers), name=running.controller.name)


