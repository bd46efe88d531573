"""The scheduler as a running thing: informers feed the cycle, the cycle decides, a few tasks carry it out."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Awaitable, Callable

from timonier.api.types import core_v1
from timonier.client.client import Client
from timonier.client.election import Election
from timonier.client.informer import SharedInformers
from timonier.component.showing import showing
from timonier.component.shown import Shown, configuration
from timonier.kit.clock import Clock, SystemClock, sleep_unless
from timonier.kit.kubeconfig import load
from timonier.reconcile.events import Recorder
from timonier.scheduler.bind import GATED_MESSAGE, Binder
from timonier.scheduler.cycle import Bind, Cycle
from timonier.scheduler.metrics import render
from timonier.scheduler.request import request_of
from timonier.scheduler.settings import SchedulerSettings

Job = Callable[[], Awaitable[None]]

NAME = "default-scheduler"
"""What events say they come from."""
CONFIGURATION, SYNCED = "componentconfig", "scheduler-informer-sync"
"""What /configz and /readyz call it."""
JOBS_PER_BINDER = 8
"""Jobs that may wait for each binder before deciding pauses."""
IDLE = 60.0
"""Seconds after which the loop looks at the queue though nobody woke it."""


async def run(settings: SchedulerSettings, shown: Shown | None = None) -> None:
    """Schedule until cancelled. What there is to show is added to `shown`."""
    clock, shown = SystemClock(), shown or Shown()
    shown.configuration[CONFIGURATION] = configuration(settings)
    async with (Client(load(settings.kubeconfig), name="timonier-scheduler", clock=clock) as client,
                showing(settings, shown, client)):
        if settings.leader_elect:
            identity = f"{socket.gethostname()}_{uuid.uuid4()}"
            election = Election(client, "kube-scheduler", "kube-system", identity, clock)
            await election.lead(lambda: schedule(client, settings, clock, shown))
        else:
            await schedule(client, settings, clock, shown)


async def schedule(client: Client, settings: SchedulerSettings, clock: Clock, shown: Shown) -> None:
    """Schedule with a client that the caller owns."""
    informers = SharedInformers(client)
    woken = asyncio.Event()
    cycle = Cycle(settings, clock.monotonic, woken.set)
    shown.clients.append(client.requests)
    shown.metrics["scheduler"] = lambda: render(cycle.attempts, cycle.queue)
    shown.unready[SYNCED] = "the mirrors are not filled yet"
    pods = informers.informer(core_v1.Pod, fields="status.phase!=Succeeded,status.phase!=Failed")
    recorder = Recorder(client, NAME, clock)
    binder = Binder(client, cycle, recorder, clock, pods.get, socket.gethostname())
    jobs: asyncio.Queue[Job] = asyncio.Queue(settings.binders * JOBS_PER_BINDER)
    informers.informer(core_v1.Node).on_change(cycle.node_changed)
    informers.informer(core_v1.Namespace).on_change(cycle.namespace_changed)
    pods.on_change(cycle.pod_changed)
    async with asyncio.TaskGroup() as group:
        group.create_task(informers.run(), name="informers")
        group.create_task(recorder.run(), name="events")
        for number in range(settings.binders):
            group.create_task(work(jobs), name=f"binder {number}")
        await informers.synced()
        shown.unready[SYNCED] = ""
        pods.on_change(lambda _, new: tell_gated(new, binder, jobs, settings.scheduler_name))
        await decide_for_ever(cycle, binder, jobs, woken, clock)


async def work(jobs: asyncio.Queue[Job]) -> None:
    while True:
        job = await jobs.get()
        await job()


async def decide_for_ever(cycle: Cycle, binder: Binder, jobs: asyncio.Queue[Job], woken: asyncio.Event,
                          clock: Clock) -> None:
    """One decision after the other; others get a turn between them."""
    while True:
        woken.clear()
        task = cycle.turn()
        if task is None:
            await until_woken(woken, cycle.queue.next_due(), clock)
        elif isinstance(task, Bind):
            await jobs.put(lambda task=task: binder.bind(task))  # type: ignore[misc]
        else:
            await jobs.put(lambda task=task: binder.report(task))  # type: ignore[misc]
        await asyncio.sleep(0)


async def until_woken(woken: asyncio.Event, due: float | None, clock: Clock) -> None:
    """Return when something happened, or when the next pod is due."""
    pause = IDLE if due is None else min(due - clock.monotonic(), IDLE)
    await sleep_unless(clock, pause, woken)


def tell_gated(pod: core_v1.Pod | None, binder: Binder, jobs: asyncio.Queue[Job], scheduler: str) -> None:
    """A pod with gates says so in its condition; where all binders are busy, its next change tells it."""
    if pod is None or not pod.spec.schedulingGates or pod.spec.schedulerName not in (scheduler, "") or jobs.full():
        return
    request = request_of(pod)
    jobs.put_nowait(lambda: binder.write_condition(request, "SchedulingGated", GATED_MESSAGE))
