"""What is particular about writing a kind, beyond its defaults and its validation: the hooks, and what most kinds do.

A strategy works on objects in the version in which they are stored. It does not read requests and does not write.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from timonier.api.kinds import Kind
from timonier.api.managed.fields import FieldSet
from timonier.api.warnings import warnings
from timonier.apiserver.request import User
from timonier.kit.clock import Time

Object = dict[str, Any]


class Strategy:
    """The rule: spec and status are written through different doors."""

    keeps_status_on_create = False
    """Whether whoever creates an object may say how it is; else status begins empty."""
    create_on_update = False
    """Whether PUT on a name that does not exist creates it."""
    unconditional_update = True
    """Whether PUT without a resourceVersion overwrites whatever is there."""

    def unconditional(self, subresource: str) -> bool:
        """Whether a change through a door needs no resourceVersion."""
        return self.unconditional_update or bool(subresource)

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        """Before admission and validation of a new object; in place."""
        if kind.subresource("status") and not self.keeps_status_on_create:
            obj.pop("status", None)

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        """Before admission and validation of a change through the main door; in place."""
        if kind.subresource("status"):
            keep(obj, old, "status")

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        """Before a change through /status: what is wanted stays as it was. Labels and annotations may come along."""
        written = {key: obj[key] for key in ("metadata", "status") if key in obj}
        obj.clear()
        obj.update({key: value for key, value in old.items() if key != "status"} | written)

    def resets(self, kind: Kind, subresource: str) -> FieldSet:
        """The fields that a door leaves as they were, so that nobody comes to manage them through it."""
        match subresource:
            case "":
                return {"f:status": {}} if kind.subresource("status") else {}
            case "status":
                return {"f:spec": {}}
            case "approval":
                return {"f:spec": {}, "f:status": {"f:certificate": {}}}
        return {}

    def prepare_delete(self, kind: Kind, obj: Object, now: Time) -> None:
        """Before it is planned what deleting an object does; in place."""

    def warnings(self, kind: Kind, obj: Object, old: Object | None) -> Iterable[str]:
        """What whoever writes a valid object is warned of."""
        return warnings(kind, obj, old)

    def creating(self, kind: Kind, obj: Object, *, dry_run: bool) -> AbstractAsyncContextManager[None]:
        """Around the write of a new object: what must be claimed with it, and given back where it fails."""
        return nullcontext()

    def updating(self, kind: Kind, obj: Object, old: Object, *, dry_run: bool) -> AbstractAsyncContextManager[None]:
        """Around the write of a changed object."""
        return nullcontext()

    async def deleted(self, kind: Kind, obj: Object) -> None:
        """After an object was removed from the store."""


class NoUnconditionalUpdate(Strategy):
    """Kinds that insist on a resourceVersion: two writers must never overwrite one another unknowingly."""

    unconditional_update = False


class StatusAlone(Strategy):
    """Kinds whose /status is the door to their status and to nothing else."""

    def prepare_status(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_status(kind, obj, old)
        managed = {name: value for name, value in obj["metadata"].items() if name == "managedFields"}
        obj["metadata"] = {name: value for name, value in old["metadata"].items() if name != "managedFields"} | managed

    def resets(self, kind: Kind, subresource: str) -> FieldSet:
        return super().resets(kind, subresource) | ({"f:metadata": {}} if subresource == "status" else {})


class CreateOnUpdate(Strategy):
    """Kinds that PUT creates."""

    create_on_update = True


def keep(obj: Object, old: Object, *fields: str) -> None:
    """Have fields as they were."""
    for field in fields:
        if field in old:
            obj[field] = old[field]
        else:
            obj.pop(field, None)
