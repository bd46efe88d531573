"""The garbage collector: keeps the graph by mirrors of every kind that discovery names, and plans from it.

Nothing is deleted on the word of a mirror: that owners are gone is confirmed by the API server, and an object is
deleted only in the version that was judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.api.types import meta_v1
from timonier.client.client import BACKGROUND
from timonier.client.client import FOREGROUND as IN_FOREGROUND
from timonier.client.client import ORPHAN as ORPHANING
from timonier.client.informer import Informer, SharedInformers
from timonier.client.wire import Object, Partial
from timonier.controllers.garbage.graph import FOREGROUND, ORPHAN, Fate, Graph, Item, Verdict, without
from timonier.controllers.shared.discovered import Discovered
from timonier.kit.clock import Clock, Seconds, Time, sleep_unless
from timonier.kit.http import HttpError
from timonier.reconcile.plan import Delete, Outcome, Patch, Plan, Reference
from timonier.reconcile.snapshot import Snapshot, Watch

log = logging.getLogger(__name__)

REDISCOVER: Seconds = 30.0
SETTLED: Seconds = 0.5
"""How long after a definition has changed it is asked what is served: its names have been accepted by then."""
FILLING: Seconds = 1.0
"""How long one mirror that does not fill keeps the next from beginning."""
UNKNOWN_KIND: Seconds = 30.0
NEEDED = frozenset({"delete", "list", "watch"})
IGNORED = frozenset({("", "Event"), ("events.k8s.io", "Event")})
"""They own nothing, are owned by nothing, and are many."""
DEFINING = frozenset({("apiextensions.k8s.io", "CustomResourceDefinition"), ("apiregistration.k8s.io", "APIService")})
"""When they change, other kinds are served."""


class GarbageController:
    """A key is a uid. `follow` has to run beside it; `enqueue` is the queue that it is run from."""

    name = "garbage-collector-controller"

    def __init__(self, informers: SharedInformers, discovered: Discovered, clock: Clock) -> None:
        self.graph = Graph()
        self.enqueue: Callable[[str], None] = lambda uid: None
        self._informers, self._discovered, self._clock = informers, discovered, clock
        self._mirrors: dict[Kind, tuple[Informer[Any], bool]] = {}
        self._begun = False  # whether every kind that is served has a mirror
        self._defined = asyncio.Event()

    @property
    def watches(self) -> Sequence[Watch[Any]]:
        return ()

    async def follow(self) -> None:
        """Mirror the kinds that are served, as they come and go."""
        while True:
            try:
                kinds = await self._discovered.kinds(SETTLED)
                await self.mirror([kind for kind in kinds if set(kind.verbs) >= NEEDED
                                   and (kind.group, kind.kind) not in IGNORED])
            except (ApiError, HttpError) as error:
                log.warning("discovery failed", extra={"error": str(error)})
            await self._until_defined(REDISCOVER if self._mirrors else 1.0)

    async def _until_defined(self, longest: Seconds) -> None:
        """Sleep, or until a definition has changed and shown its effect."""
        await sleep_unless(self._clock, longest, self._defined)
        if self._defined.is_set():
            await self._clock.sleep(SETTLED)
            self._defined.clear()

    async def mirror(self, kinds: Iterable[Kind]) -> None:
        """Have a mirror of each of these kinds and of no others.

        They are many: each is filled before the next begins, so that they do not stand in the way of work that waits.
        """
        served = set(kinds)
        self._begun = served <= set(self._mirrors)
        for kind in served - set(self._mirrors):
            shared = self._informers.complete(kind)
            informer = shared or self._informers.informer(Partial, kind=kind)
            self._mirrors[kind] = informer, shared is None
            informer.on_change(self._handler(kind, slim=shared is None))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FILLING):
                    await informer.synced.wait()
        self._begun = True
        for kind in set(self._mirrors) - served:
            informer, own = self._mirrors.pop(kind)
            if own:
                self._informers.drop(informer)
            for obj in informer.list():
                item = self.graph.items.get(obj.metadata.uid)
                if item is not None and item.kind == kind:  # and has not been seen in another version since
                    self._changed(kind, obj.metadata, None)

    def _handler(self, kind: Kind, *, slim: bool) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            if slim and new is not None:
                new.metadata.labels.clear()
                new.metadata.annotations.clear()
            self._changed(kind, old.metadata if old else None, new.metadata if new else None)
        return changed

    def _changed(self, kind: Kind, old: meta_v1.ObjectMeta | None, new: meta_v1.ObjectMeta | None) -> None:
        if (kind.group, kind.kind) in DEFINING:
            self._defined.set()
        for uid in self.graph.change(kind, old, new):
            self.enqueue(uid)

    @property
    def complete(self) -> bool:
        """Whether every kind's mirror is filled, so that dependents which are not seen do not exist."""
        mirrors = [mirror for mirror, _ in self._mirrors.values()]
        return self._begun and bool(mirrors) and all(mirror.synced.is_set() for mirror in mirrors)

    def plan(self, key: str, snapshot: Snapshot, now: Time) -> Plan:
        item = self.graph.items.get(key)
        if item is None:
            return Plan()
        if not self.complete:
            return Plan(again=1.0)
        verdict = self.graph.judge(item)
        absent = [self._reference(item, owner) for owner in verdict.absent]
        if None in absent:
            return Plan(again=UNKNOWN_KIND)  # whether an owner of a kind that is not served is gone, nobody can say
        return plan_of(self.graph, item, verdict, [each for each in absent if each is not None])

    def _reference(self, item: Item, owner: meta_v1.OwnerReference) -> Reference | None:
        group = owner.apiVersion.rpartition("/")[0]
        kind = next((each for each in self._mirrors if each.group == group and each.kind == owner.kind), None)
        if kind is None:
            return None
        return Reference(kind, owner.name, item.meta.namespace if kind.namespaced else "", owner.uid)


def plan_of(graph: Graph, item: Item, verdict: Verdict, absent: Sequence[Reference]) -> Plan:
    """The writes that a verdict comes to."""
    match verdict.fate:
        case Fate.RELEASE:
            return Plan(absent=absent, patch=[owners_patch(item, verdict.keep)])
        case Fate.DELETE:
            return Plan(absent=absent, delete=[deletion(item, verdict)])
        case Fate.FINISH:
            return Plan(patch=[finalizer_patch(item, FOREGROUND)])
        case Fate.ORPHAN_DEPENDENTS:
            uid = item.meta.uid
            return Plan(patch=[owners_patch(each, without(each.meta.ownerReferences, uid))
                               for each in graph.dependents(uid)], then=lambda outcome: released(item, outcome))
        case _:
            return Plan()


def released(item: Item, outcome: Outcome) -> Plan:
    """Once its dependents have forgotten it, an owner may go."""
    return Plan() if outcome.failed else Plan(patch=[finalizer_patch(item, ORPHAN)])


def deletion(item: Item, verdict: Verdict) -> Delete:
    propagation = BACKGROUND
    if ORPHAN in item.meta.finalizers:
        propagation = ORPHANING
    elif FOREGROUND in item.meta.finalizers or verdict.foreground:
        propagation = IN_FOREGROUND
    meta = item.meta
    return Delete(Partial, meta.name, meta.namespace, meta.uid, meta.resourceVersion, propagation, kind=item.kind)


def owners_patch(item: Item, owners: Iterable[meta_v1.OwnerReference]) -> Patch:
    return metadata_patch(item, {"ownerReferences": [msgspec.to_builtins(each) for each in owners]})


def finalizer_patch(item: Item, finalizer: str) -> Patch:
    return metadata_patch(item, {"finalizers": [each for each in item.meta.finalizers if each != finalizer]})


def metadata_patch(item: Item, change: dict[str, Any]) -> Patch:
    """A change of metadata that holds only for the version that was judged."""
    meta = item.meta
    patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion} | change}
    return Patch(Partial, meta.name, meta.namespace, patch, kind=item.kind)
