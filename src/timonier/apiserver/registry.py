"""The verbs without HTTP: create, update and delete objects, as dicts, by kind; reading them is in `reading`.

Every write walks the same path: metadata rules, admission that changes, the kind's strategy, validation, admission that
refuses, the store. Changing and deleting are optimistic: the path is walked from the object as it is, and again
where somebody else was faster. What came over the wire has been decoded and defaulted before it gets here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from timonier.api import errors, validation
from timonier.api.errors import Cause, Conflict, ServiceUnavailable
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.apiserver import deletion, metadata, objects, ownership, templates
from timonier.apiserver.admitting import UNASKED, Admission, admitted
from timonier.apiserver.cache import Item
from timonier.apiserver.conversion import from_storage, to_storage
from timonier.apiserver.deletion import DeleteOptions
from timonier.apiserver.feed import Feed
from timonier.apiserver.ownership import Ownership
from timonier.apiserver.reading import Reading
from timonier.apiserver.request import SERVER, Annotator, Attributes, Object, User, Warner, unheard, unwritten
from timonier.apiserver.resources import Resources
from timonier.apiserver.strategies.base import Strategy
from timonier.apiserver.strategies.custom import CustomStrategy
from timonier.apiserver.strategies.kinds import STRATEGIES
from timonier.apiserver.templates import NO_DRAFT, Draft, Given, Late
from timonier.kit.clock import Clock, SystemClock
from timonier.store import contract
from timonier.store.contract import ABSENT

NAME_TRIES = 8
"""Names generated before a collision becomes the user's problem, as in Kubernetes."""
WRITE_TRIES = 32
"""Optimistic attempts before the server says that it is too busy. Each lost one means that another writer won."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf the registry acts, and how."""

    user: User = SERVER
    dry_run: bool = False
    warn: Warner = unheard
    options: Object = field(default_factory=dict)
    annotate: Annotator = unwritten
    manager: str = "kube-apiserver"
    """The name under which managedFields remember what is written."""


FOUND_OUT = ("status", "binding")
"""What is written there is how things are, not how they are wanted, and counts no generation."""
INTERNAL = Caller()
Edit = Callable[[Object], Object | Awaitable[Object | None] | None]
"""Makes the object wanted of the object that is there, which it may change; None leaves it alone. It may run again.
An edit that has to wait, such as an apply to objects that a webhook converts, is a coroutine.
"""
Permit = Callable[[], Awaitable[None]]
"""Asked before an object that is not there is created by a change; raises where that is not allowed."""


STAGES = 5
"""Of the creation of an object: in each it waits for nothing, mostly."""
stage = partial(asyncio.sleep, 0)
"""Gives way after a stage, to those who are in it as well: see `fairness.turns`."""


async def permitted() -> None:
    """The permit of the server itself."""


async def never(key: str) -> bool:
    """Whether what is stored should be written again though nothing changes: not where it is stored one way only."""
    return False


class Registry(Reading):
    """All objects of a cluster. `admission` may be set until the first request."""

    def __init__(self, feed: Feed, *, clock: Clock | None = None, strategies: dict[str, Strategy] | None = None,
                 generated_name: Callable[[str], str] = metadata.generated_name,
                 stale: Callable[[str], Awaitable[bool]] = never) -> None:
        super().__init__(feed)
        self.store, self.stale = feed.store, stale
        self.resources = Resources()
        self.clock = clock or SystemClock()
        self.ownership = Ownership(self.resources, self.views, self.clock)
        self.admission: Admission = UNASKED
        self.generated_name = generated_name
        self._strategies = {key: strategy() for key, strategy in STRATEGIES.items()} | (strategies or {})
        self.given: Late[Given] = Late()
        self.sound: Late[Object] = Late()
        self._rule, self._custom = Strategy(), CustomStrategy()

    def strategy(self, kind: Kind) -> Strategy:
        if kind.custom is not None:
            return self._custom
        return self._strategies.get(kind.stored_id, self._rule)

    async def create(self, kind: Kind, obj: Object, namespace: str = "", caller: Caller = INTERNAL, *,
                     record: bool = True, draft: Draft = NO_DRAFT) -> Object:
        """Write a new object and return it as stored. Raises AlreadyExists, Invalid, Forbidden, …

        `obj` is the caller's no longer, and what is returned is not to be changed. `record` is false where it says
        already who manages its fields.
        """
        metadata.in_namespace(kind, objects.metadata_of(obj), namespace or obj["metadata"].get("namespace", ""))
        await stage()
        await self._begun(kind, obj, draft, caller, record=record)
        stored, obj = self.resources.stored(kind), to_storage(kind, obj)
        attributes = attributes_of(kind, caller, "create", "CREATE", obj)
        await stage()
        await admitted(self.admission, attributes, obj, None)
        base = obj["metadata"].get("generateName") or ""
        if obj["metadata"].get("name") or not base:
            return await self._create(kind, stored, obj, attributes, caller, sheds=record)
        for attempt in range(1, NAME_TRIES + 1):
            candidate, name = clone(obj), self.generated_name(base)
            candidate["metadata"]["name"] = name
            try:
                return await self._create(kind, stored, candidate, replace(attributes, name=name), caller,
                                          sheds=record)
            except errors.AlreadyExists as error:
                if attempt == NAME_TRIES:
                    raise errors.AlreadyExists(f"{error.message}, the server was not able to generate a unique name "
                                               "for the object", group=kind.group, resource=kind.plural,
                                               name=error.name, retry_after=1) from None
        raise AssertionError("unreachable")

    async def _begun(self, kind: Kind, obj: Object, draft: Draft, caller: Caller, *, record: bool) -> None:
        """Write into a new object, in place, what it leaves unsaid and who manages its fields."""
        known = draft.known
        if known is None:
            kind.shape.default(obj)
        metadata.tidy(obj["metadata"])
        if record:
            fields = await self.ownership.created(kind, obj, caller.manager, self.strategy(kind).resets(kind, ""),
                                                  known.fields if known else None)
            if known is None and fields:
                self.given.learn(draft.key, lambda: Given.of(obj["spec"], fields))

    async def _create(self, kind: Kind, stored: Kind, obj: Object, attributes: Attributes, caller: Caller, *,
                      sheds: bool) -> Object:
        """Write a new object as admission left it, under the name that it now has. Raises AlreadyExists, …"""
        metadata.begin(stored, obj["metadata"], self.clock.now())
        strategy = self.strategy(kind)
        strategy.prepare_create(stored, obj, caller.user)
        judged = kind if kind.judged else stored
        async with strategy.creating(stored, obj, dry_run=caller.dry_run):
            await stage()
            template = templates.sound_key(stored, obj)
            spec = self.sound.get(template)
            if spec is None:
                refuse_invalid(judged, obj, judged.shape.validate(obj, None))
                silent = tell(strategy, stored, obj, None, caller)
            else:
                refuse_invalid(judged, obj, validation.of_metadata(judged, obj))
            await stage()
            await self.admission.validate(attributes, obj, None)
            obj = finished(stored, obj, spec)
            if spec is None and template and silent and templates.stands_alone(obj["spec"]):
                self.sound.learn(template, partial(clone, obj["spec"]))
            key = kind.key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            try:
                if caller.dry_run:
                    if await self.store.get(key):
                        raise contract.Conflict(key, None)
                    return from_storage(kind, obj)
                revision = await self.store.write(key, await self._bytes(kind, obj, sheds=sheds), expect=ABSENT)
            except contract.Conflict:
                raise errors.already_exists(kind.group, kind.plural, obj["metadata"]["name"]) from None
            except contract.StoreError as error:
                raise unavailable(error) from error
        return from_storage(kind, with_revision(obj, revision))

    async def update(self, kind: Kind, obj: Object, namespace: str = "", subresource: str = "",
                     caller: Caller = INTERNAL, permit: Permit = permitted) -> Object:
        """Replace an object, or, through a subresource, the part of it that this is. Raises NotFound, Conflict, …

        The whole object is replaced where `metadata.resourceVersion` is the current one, or is absent and the kind
        lets that pass.
        """
        namespace = namespace or objects.metadata_of(obj).get("namespace", "")
        metadata.in_namespace(kind, objects.metadata_of(obj), namespace)
        creates = self.strategy(kind).create_on_update and not subresource
        return await self.change(kind, namespace, obj["metadata"]["name"], lambda old: clone(obj), subresource, caller,
                                 create=permit if creates else None)

    async def change(self, kind: Kind, namespace: str, name: str, edit: Edit, subresource: str = "",
                     caller: Caller = INTERNAL, *, verb: str = "update", create: Permit | None = None,
                     record: bool = True, admission: Admission | None = None) -> Object:
        """Apply an edit to an object as it is when written. Raises NotFound, and whatever the edit raises.

        `edit` works on the kind's own version; its result is defaulted here. With a permit to `create`, it is asked
        what it makes of `{}` where there is no such object. `record` is false where it says itself who manages what.
        `admission` is asked instead of the registry's own.
        """
        key = kind.key(namespace, name)
        item = await self._current(kind, key)
        for _ in range(WRITE_TRIES):
            if item is None:
                if create is None:
                    raise errors.not_found(kind.group, kind.plural, name)
                await create()
                return await self._create_by_update(kind, edit, namespace, caller, record=record)
            try:
                return await self._change(kind, item, edit, subresource, caller, verb, record=record,
                                          admission=admission or self.admission)
            except contract.Conflict as lost:
                item = None if lost.current is None else await self.views.one(kind, Item.of(lost.current))
        raise too_busy(kind, name)

    async def _create_by_update(self, kind: Kind, edit: Edit, namespace: str, caller: Caller, *,
                                record: bool) -> Object:
        obj = await edited(edit, {})
        assert obj is not None
        if obj["metadata"].get("resourceVersion") or obj["metadata"].get("uid"):
            raise errors.not_found(kind.group, kind.plural, obj["metadata"]["name"])
        return await self.create(kind, obj, namespace, caller, record=record)

    async def _change(self, kind: Kind, item: Item, edit: Edit, subresource: str, caller: Caller,
                      verb: str, *, record: bool, admission: Admission) -> Object:
        """One attempt. Raises the store's Conflict where the item is no longer the current one."""
        stored, strategy, old = self.resources.stored(kind), self.strategy(kind), item.fresh()
        wanted = await edited(edit, from_storage(kind, item.fresh()))
        if wanted is None:
            return from_storage(kind, old)
        metadata.carry_over(kind, wanted, old, unconditional=strategy.unconditional(subresource))
        kind.shape.default(wanted)
        metadata.tidy(wanted["metadata"])
        if record:
            await self.ownership.changed(kind, wanted, from_storage(kind, old), caller.manager, subresource,
                                         strategy.resets(kind, subresource))
        obj = to_storage(kind, wanted)
        attributes = attributes_of(kind, caller, verb, "UPDATE", obj, subresource)
        await admitted(admission, attributes, obj, old)
        if subresource == "status":
            strategy.prepare_status(stored, obj, old)
        elif not subresource:
            strategy.prepare_update(stored, obj, old)
        judged = kind if kind.judged else stored
        async with strategy.updating(stored, obj, old, dry_run=caller.dry_run):
            refuse_invalid(judged, obj, judged.shape.validate(obj, old, subresource))
            if not subresource:
                tell(strategy, stored, obj, old, caller)
            await admission.validate(attributes, obj, old)
            if subresource not in FOUND_OUT:
                metadata.count_change(stored, obj, old)
            obj = finished(stored, obj)
            if (obj == old or ownership.unmoved(obj, old)) and await self.views.unmoved(kind, item, old) \
                    and not await self.stale(item.key):
                return from_storage(kind, old)
            if caller.dry_run:
                return from_storage(kind, obj)
            if deletion.over(stored, obj):
                await self._remove(stored, item)
                return from_storage(kind, obj)
            try:
                data = await self._bytes(kind, obj, sheds=record)
                revision = await self.store.write(item.key, data, expect=item.revision)
            except contract.Unavailable as error:
                raise unavailable(error) from error
        return from_storage(kind, with_revision(obj, revision))

    async def delete(self, kind: Kind, namespace: str, name: str, caller: Caller = INTERNAL, *,
                     admission: Admission | None = None) -> tuple[Object, bool]:
        """Delete an object, as `caller.options` (DeleteOptions) say. Raises NotFound, Conflict.

        Returns the object as it was or now is, and whether it is gone already. `admission` is asked instead of the
        registry's own.
        """
        options, stored = DeleteOptions.of(caller.options), self.resources.stored(kind)
        key = kind.key(namespace, name)
        item = await self._current(kind, key)
        for _ in range(WRITE_TRIES):
            if item is None:
                raise errors.not_found(kind.group, kind.plural, name)
            try:
                return await self._delete(kind, stored, item, options, caller, admission or self.admission)
            except contract.Conflict as lost:
                item = None if lost.current is None else await self.views.one(kind, Item.of(lost.current))
        raise too_busy(kind, name)

    async def _delete(self, kind: Kind, stored: Kind, item: Item, options: DeleteOptions, caller: Caller,
                      admission: Admission) -> tuple[Object, bool]:
        old = item.fresh()
        self.strategy(kind).prepare_delete(stored, old, self.clock.now())
        attributes = attributes_of(kind, caller, "delete", "DELETE", old)
        await admission.admit(attributes, None, old)
        await admission.validate(attributes, None, old)
        wanted = deletion.plan(stored, old, options, self.clock.now()).obj
        if wanted is None or deletion.over(stored, wanted):
            if not caller.dry_run:
                await self._remove(stored, item)
            return from_storage(kind, old), True
        wanted = finished(stored, wanted)
        if wanted == old or caller.dry_run:
            return from_storage(kind, wanted), False
        try:
            revision = await self.store.write(item.key, await self._bytes(kind, wanted), expect=item.revision)
        except contract.Unavailable as error:
            raise unavailable(error) from error
        return from_storage(kind, with_revision(wanted, revision)), False

    async def _remove(self, stored: Kind, item: Item) -> None:
        try:
            await self.store.delete(item.key, expect=item.revision)
        except contract.Unavailable as error:
            raise unavailable(error) from error
        await self.strategy(stored).deleted(stored, item.fresh())

    async def _current(self, kind: Kind, key: str) -> Item | None:
        await self.feed.current()
        item = self.cache(kind).items.get(key)
        return item if item is None or kind.custom is None else await self.views.one(kind, item)

    async def _bytes(self, kind: Kind, obj: Object, *, sheds: bool = False) -> bytes:
        """An object as the store is to hold it. One that sheds goes without its managedFields if else it is too large.

        Raises what `objects.encode` raises.
        """
        try:
            return objects.encode(obj if kind.custom is None else await self.views.stored(kind, obj))
        except objects.TooLargeToStore:
            if not sheds or obj["metadata"].pop("managedFields", None) is None:
                raise
            return await self._bytes(kind, obj)


async def edited(edit: Edit, obj: Object) -> Object | None:
    """What an edit makes of an object."""
    made = edit(obj)
    return made if made is None or isinstance(made, dict) else await made


def finished(stored: Kind, obj: Object, spec: Object | None = None) -> Object:
    """An object with everything that it is never without, in the order in which it is stored.

    A `spec` is already so, and takes the place of the object's own.
    """
    obj = metadata.ordered(stored, obj)
    if spec is not None:
        obj["spec"] = {}
    stored.shape.fill(obj)
    if spec is not None:
        obj["spec"] = spec
    return obj


def refuse_invalid(kind: Kind, obj: Object, causes: list[Cause]) -> None:
    """Raise Invalid with everything that is wrong with an object, if anything is."""
    if causes:
        raise errors.invalid(kind.group, kind.kind, obj["metadata"].get("name", ""), causes)


def tell(strategy: Strategy, stored: Kind, obj: Object, old: Object | None, caller: Caller) -> bool:
    """Warn the caller of what is right and better said otherwise. Returns whether there is nothing of the kind."""
    if caller.warn is unheard:
        return False
    texts = list(strategy.warnings(stored, obj, old))
    for text in texts:
        caller.warn(text)
    return not texts


def attributes_of(kind: Kind, caller: Caller, verb: str, operation: str, obj: Object,
                  subresource: str = "") -> Attributes:
    """A write as admission sees it."""
    return Attributes(user=caller.user, verb=verb, group=kind.group, version=kind.version, resource=kind.plural,
                      subresource=subresource, namespace=obj["metadata"].get("namespace", ""),
                      name=obj["metadata"].get("name", ""), kind=kind, operation=operation, options=caller.options,
                      dry_run=caller.dry_run, warn=caller.warn, annotate=caller.annotate)


def with_revision(obj: Object, revision: int) -> Object:
    """The object as it reads after a write."""
    return obj | {"metadata": {"resourceVersion": str(revision)} | {
        key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}


def too_busy(kind: Kind, name: str) -> Conflict:
    return errors.conflict(kind.group, kind.plural, name, metadata.STALE)


def unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"the store is not available: {error}", retry_after=1)
