"""Who manages which fields, at the API server: managedFields of every write, and what an apply makes of an object.

The rules are `api.managed`'s. Here is what they need of the server: in which versions a kind can be seen, which fields
a door resets, and what happens to managedFields that a client sends. Source: Kubernetes documentation, "Server-Side
Apply".
"""

from __future__ import annotations

from typing import Any, TypeVar

from timonier.api import times
from timonier.api.errors import BadRequest, Cause, Conflict
from timonier.api.kinds import Kind
from timonier.api.managed import conform, elements, operations, types
from timonier.api.managed.fields import FieldSet
from timonier.api.managed.last_applied import synchronised, upgradable
from timonier.api.managed.managers import BadManagers, Managers, applier, decode, encode, encoded, is_reset, updater
from timonier.api.managed.merge import Unmergeable
from timonier.api.managed.operations import Conflicts, Door, InVersion, Operation, View
from timonier.api.managed.whole import Incomparable
from timonier.api.patches.clone import clone
from timonier.apiserver.conversion import from_storage, is_view, to_storage
from timonier.apiserver.resources import Resources
from timonier.apiserver.templates import SPEC
from timonier.apiserver.views import Views
from timonier.kit.clock import Clock

Object = dict[str, Any]
T = TypeVar("T")

UPGRADED_BY = "kubectl"
"""The applier who may take what `kubectl apply` without --server-side set before."""
INVALID = (".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated "
           "mutating admission controller; please fix your requests: {}")


class Ownership:
    """Writes and reads managedFields. `resources` says in which versions a kind can be seen, `views` shows them."""

    def __init__(self, resources: Resources, views: Views, clock: Clock) -> None:
        self.resources, self.views, self.clock = resources, views, clock
        self._doors: dict[tuple[str, str], Door] = {}

    async def created(self, kind: Kind, obj: Object, manager: str, resets: FieldSet,
                      of_spec: FieldSet | None = None) -> FieldSet:
        """Write into a new object that `manager` manages all that it says. Returns that, if nobody else has a part.

        `of_spec` is what there is to manage of its spec, where that is known and the spec is filled.
        """
        door = self.door(kind, "", resets)
        claimed, written = given(obj, None)
        if claimed:
            await self._record(door, kind, obj, door.blank, claimed, written, manager)
            return {}
        spec = obj.get("spec")
        if of_spec:
            obj["spec"] = {}
        try:
            kind.shape.fill(obj)
            fields = door.fresh(obj)
        except Incomparable:
            return {}  # as in `_record`
        finally:
            if of_spec:
                obj["spec"] = spec
        if of_spec:
            fields = fields | {SPEC: of_spec}
        if fields:
            version = door.apiVersion
            obj["metadata"]["managedFields"] = [encoded(updater(manager, version), fields, version, self.now())]
        return fields

    async def changed(self, kind: Kind, obj: Object, old: Object, manager: str, subresource: str,
                      resets: FieldSet) -> None:
        """Write into a changed object that `manager` manages what is not as it was in `old`.

        An object that nobody manages stays so until somebody applies it.
        """
        before = old["metadata"].get("managedFields")
        if subresource:
            obj["metadata"].pop("managedFields", None)  # there, nobody can claim anything
        managers, written = given(obj, before)
        if not managers:
            return
        if is_view(kind):
            kind.shape.fill(old)
        await self._record(self.door(kind, subresource, resets), kind, obj, bare(old), managers, written, manager)

    async def _record(self, door: Door, kind: Kind, obj: Object, old: Object, managers: Managers, written: Any,
                      manager: str) -> None:
        kind.shape.fill(obj)
        me = updater(manager, door.apiVersion, door.subresource)
        try:
            result = await self._done(kind, door, operations.update(door, old, obj, managers, me, self.now()))
        except Incomparable:
            return  # a list whose items have no keys: validation refuses it, in its own words
        if result is managers and written:
            obj["metadata"]["managedFields"] = written
        elif result:
            obj["metadata"]["managedFields"] = encode(result)

    async def apply(self, kind: Kind, live: Object | None, config: Object, manager: str, subresource: str,
                    resets: FieldSet, *, force: bool) -> Object:
        """The object that applying `config` makes of `live`, or of nothing, with its managedFields.

        Raises BadRequest where the configuration is not of the kind's type, and Conflict with a cause for each field
        that somebody else manages.
        """
        door = self.door(kind, subresource, resets)
        refuse_misfit(kind, door, config)
        managers = decode((live or {}).get("metadata", {}).get("managedFields"), known=True)
        old, me = bare(live) if live else door.blank, applier(manager, subresource)
        if live and is_view(kind):
            kind.shape.fill(old)

        async def attempt(forced: bool) -> operations.Applied:
            return await self._done(kind, door, operations.apply(door, old, config, managers, me, self.now(),
                                                                 force=forced))
        try:
            result = await attempt(force)
        except Conflicts as conflicts:
            rest = upgradable(door, old, conflicts.found) if manager == UPGRADED_BY else conflicts.found
            if rest:
                raise refusal(rest) from None
            result = await attempt(True)
        except (Unmergeable, Incomparable) as error:
            raise BadRequest(f"failed to merge config: {error}") from None
        obj = clone(result.obj)  # which shares parts with the configuration and with the blank object
        obj["metadata"] = obj.get("metadata") or {}
        if manager == UPGRADED_BY:
            synchronised(obj, config)
        if result.managers:
            obj["metadata"]["managedFields"] = encode(result.managers)
        return obj

    def door(self, kind: Kind, subresource: str, resets: FieldSet) -> Door:
        """What a kind is written through; made once for a schema."""
        key = (kind.id, subresource)
        found, type_now = self._doors.get(key), types.of_object(kind.shape.schema)
        if found is None or found.type is not type_now:
            blank: Object = {"apiVersion": kind.apiVersion, "kind": kind.kind}
            kind.shape.fill(blank)
            found = self._doors[key] = Door(type_now, kind.apiVersion, subresource, resets, blank)
        return found

    async def _done(self, kind: Kind, door: Door, operation: Operation[T]) -> T:
        """The result of an operation, which is shown objects in other versions as it asks for them."""
        try:
            wanted = next(operation)
            while True:
                wanted = operation.send(await self._view(kind, door, wanted))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _view(self, kind: Kind, door: Door, wanted: InVersion) -> View | None:
        """An object in another version; None where that is not served. What a door resets has the same name in each."""
        start = self.resources.find(wanted.apiVersion, kind.kind)
        target = self.resources.find(wanted.wanted, kind.kind)
        if start is None or target is None:
            return None
        obj = wanted.obj
        if start is not target:
            if kind.custom is None:
                sound = start.shape.check(clone(obj)).obj  # what was only merged may still hold nulls
                obj = from_storage(target, to_storage(start, sound)) | {"apiVersion": target.apiVersion}
                target.shape.fill(obj)
            else:
                obj = await self.views.converted(kind, obj, target.apiVersion)
        return View(types.of_object(target.shape.schema), obj, door.reset)

    def now(self) -> str:
        return times.rfc3339(self.clock.now())


def given(obj: Object, before: Any) -> tuple[Managers, Any]:
    """The managers that a written object claims, taken out of it: those that it had, unless it names others.

    Also the managedFields in which they stand already, where they do.
    """
    claimed = obj["metadata"].pop("managedFields", None)
    if claimed is not None and claimed != before:
        if is_reset(claimed):
            return {}, None
        try:
            if managers := decode(claimed):
                return managers, None
        except BadManagers:
            pass  # a client that spoils what it does not understand changes nothing by it
    return decode(before, known=True), before


def bare(obj: Object) -> Object:
    """The object without its managedFields."""
    return obj | {"metadata": {name: value for name, value in obj["metadata"].items() if name != "managedFields"}}


def admitted(obj: Object, before: Any) -> str:
    """Put back managedFields that admission has spoiled. Returns what there is to warn of."""
    after = obj["metadata"].get("managedFields")
    if after is before:
        return ""
    try:
        obj["metadata"]["managedFields"] = encode(decode(after))
    except BadManagers as error:
        obj["metadata"]["managedFields"] = before
        return INVALID.format(error)
    return ""


def unmoved(obj: Object, old: Object) -> bool:
    """Whether nothing but the times of managers differs, which is then taken back: it is no reason to write."""
    after, before = obj["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not after or not before or len(after) != len(before) or after == before:
        return False
    if any(timeless(new) != timeless(last) for new, last in zip(after, before, strict=True)):
        return False
    obj["metadata"]["managedFields"] = before
    if obj == old:
        return True
    obj["metadata"]["managedFields"] = after
    return False


def timeless(entry: Object) -> Object:
    return {name: value for name, value in entry.items() if name != "time"}


def refuse_misfit(kind: Kind, door: Door, config: Object) -> None:
    """Raise BadRequest for a configuration of another kind, or that does not have the structure of its kind."""
    version, name = config.get("apiVersion"), config.get("kind")
    if (version, name) != (kind.apiVersion, kind.kind):
        raise BadRequest(f"invalid object type: {go_kind(str(version or ''), str(name or ''))}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("managedFields"), list):
        raise BadRequest("metadata.managedFields must be nil")
    if found := conform.faults(door.type, config):
        told = metadata if isinstance(metadata, dict) else {}
        raise BadRequest(f"failed to create typed patch object ({told.get('namespace') or ''}/{told.get('name') or ''};"
                         f" {go_kind(kind.apiVersion, kind.kind)}): {conform.sentence(found)}")


def go_kind(apiVersion: str, name: str) -> str:
    """A kind as Go shows it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`."""
    return f"{apiVersion if '/' in apiVersion else f'/{apiVersion}'}, Kind={name}"


def refusal(found: list[operations.Conflict]) -> Conflict:
    """409 with a cause for each field."""
    causes = [Cause("FieldManagerConflict", elements.shown(one.path), f"conflict with {one.manager}") for one in found]
    if len(found) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    lines: list[str] = []
    for manager in dict.fromkeys(one.manager for one in found):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {elements.shown(one.path)}" for one in found if one.manager == manager]
    return Conflict(f"Apply failed with {len(found)} conflicts: " + "\n".join(lines), causes=causes)
