"""Events: what a component has to tell about an object, aggregated so that a loop cannot flood the store.

The same event again raises a count; many that differ in their message alone become one; beyond a burst, one every five
minutes is let through for each object. Source: client-go, package record, whose limits these are.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from timonier.api import errors, times
from timonier.api.types import core_v1, meta_v1
from timonier.client.client import Client
from timonier.client.wire import Object
from timonier.kit.bucket import Bucket
from timonier.kit.clock import Clock, Time
from timonier.kit.http import HttpError
from timonier.reconcile.plan import NORMAL, Note

log = logging.getLogger(__name__)

SIMILAR = 10
"""Events that differ only in their message, within `WINDOW`, before they are told as one."""
WINDOW = 600.0
BURST, REFILL = 25, 300.0
"""Events about one object that may come at once; seconds until one more may."""
REMEMBERED = 4096
QUEUED = 1000
COMBINED = "(combined from similar events): "


@dataclass(slots=True)
class Told:
    """An event that is on the server: where, and how often it has happened."""

    name: str
    count: int
    first: str


@dataclass
class Correlator:
    """Decides what becomes of an event: a new object, one more count, or nothing. Pure but for its memory."""

    allowances: OrderedDict[tuple[str, ...], Bucket] = field(default_factory=OrderedDict)
    similar: OrderedDict[tuple[str, ...], tuple[Time, set[str]]] = field(default_factory=OrderedDict)
    told: OrderedDict[tuple[str, ...], Told] = field(default_factory=OrderedDict)

    def correlate(self, about: core_v1.ObjectReference, note: Note, now: Time) -> tuple[tuple[str, ...], str] | None:
        """The key under which the event is counted and its message, or None where it is one too many."""
        thing = (about.kind, about.namespace, about.name, about.uid, about.fieldPath)
        if not remember(self.allowances, thing, Bucket(BURST, now)).take(1 / REFILL, BURST, now):
            return None
        group = (*thing, note.type, note.reason)
        since, messages = remember(self.similar, group, (now, set()))
        if now - since > WINDOW:
            since, messages = self.similar[group] = (now, set())
        messages.add(note.message)
        if len(messages) >= SIMILAR:
            return group, COMBINED + note.message
        return (*group, note.message), note.message


def remember(memory: OrderedDict[tuple[str, ...], Any], key: tuple[str, ...], default: Any) -> Any:
    """What is kept under a key, or the default, kept from now on; the least recently used is forgotten."""
    value = memory.setdefault(key, default)
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
    return value


def reference_to(obj: Object, fieldPath: str = "") -> core_v1.ObjectReference:
    """A reference to an object, or to a part of it such as `spec.containers{web}`."""
    meta = obj.metadata
    return core_v1.ObjectReference(apiVersion=obj.apiVersion, kind=obj.kind, name=meta.name, namespace=meta.namespace,
                                   uid=meta.uid, resourceVersion=meta.resourceVersion, fieldPath=fieldPath)


class Recorder:
    """Takes events without waiting and writes them in the background while `run` runs; the oldest give way."""

    def __init__(self, client: Client, component: str, clock: Clock, *, host: str = "") -> None:
        self._client, self._clock = client, clock
        self._component, self._host = component, host
        self._correlator = Correlator()
        self._queue: deque[tuple[core_v1.ObjectReference, Note, Time]] = deque(maxlen=QUEUED)
        self._arrived = asyncio.Event()
        self._last = 0

    def event(self, about: Object, reason: str, message: str, *, type: str = NORMAL, fieldPath: str = "") -> None:  # noqa: A002 -- the field's name
        """Tell something about an object, or about its part `fieldPath`."""
        self._queue.append((reference_to(about, fieldPath), Note(about, reason, message, type), self._clock.now()))
        self._arrived.set()

    def note(self, note: Note) -> None:
        self.event(note.about, note.reason, note.message, type=note.type)

    async def run(self) -> None:
        while True:
            while self._queue:
                await self._tell(*self._queue.popleft())
            self._arrived.clear()
            await self._arrived.wait()

    async def _tell(self, about: core_v1.ObjectReference, note: Note, now: Time) -> None:
        correlated = self._correlator.correlate(about, note, now)
        if correlated is None:
            return
        key, message = correlated
        told = self._correlator.told.get(key)
        try:
            if told is None or not await self._count(told, about, message, now):
                remember(self._correlator.told, key, None)
                self._correlator.told[key] = await self._create(about, note, message, now)
        except (errors.ApiError, HttpError) as error:
            self._correlator.told.pop(key, None)
            log.debug("event not written", extra={"reason": note.reason, "object": about.name, "error": str(error)})

    async def _count(self, told: Told, about: core_v1.ObjectReference, message: str, now: Time) -> bool:
        """Raise the count of an event; False where it has expired meanwhile."""
        patch = {"count": told.count + 1, "lastTimestamp": times.rfc3339(now), "message": message}
        try:
            await self._client.patch(core_v1.Event, told.name, about.namespace or "default", patch)
        except errors.NotFound:
            return False
        told.count += 1
        return True

    async def _create(self, about: core_v1.ObjectReference, note: Note, message: str, now: Time) -> Told:
        self._last = max(self._last + 1, int(now * 1e9))
        stamp = times.rfc3339(now)
        event = core_v1.Event(
            metadata=meta_v1.ObjectMeta(name=f"{about.name}.{self._last:x}", namespace=about.namespace or "default"),
            involvedObject=about, reason=note.reason, message=message, type=note.type, count=1, firstTimestamp=stamp,
            lastTimestamp=stamp, source=core_v1.EventSource(component=self._component, host=self._host),
            reportingComponent=self._component, reportingInstance=self._host)
        await self._client.create(event)
        return Told(event.metadata.name, 1, stamp)
