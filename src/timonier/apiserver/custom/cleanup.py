"""A definition goes after its objects: they are deleted, and waited for, before its finalizer is taken away."""

from __future__ import annotations

import asyncio

from timonier.api.errors import ApiError, NotFound
from timonier.api.kinds import Kind
from timonier.apiserver.cache import Delta
from timonier.apiserver.custom.conditions import (
    CLEANUP,
    COMPLETED,
    IN_PROGRESS,
    NEVER_ESTABLISHED,
    Condition,
    is_true,
    with_condition,
)
from timonier.apiserver.custom.rows import rows_of, shapes_of
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Object


async def clean(registry: Registry, definitions: Kind, name: str) -> None:
    """Delete the objects of a definition and let it go. Raises ApiError where that fails; it may be tried again."""

    async def tell(condition: Condition, *, done: bool = False) -> Object:
        def edit(definition: Object) -> Object:
            status = with_condition(definition.get("status") or {}, condition, registry.clock.now())
            metadata = dict(definition["metadata"])
            if done:
                metadata["finalizers"] = [each for each in metadata.get("finalizers") or () if each != CLEANUP]
            return definition | {"metadata": metadata, "status": status}
        return await registry.change(definitions, "", name, edit, "status")

    try:
        definition = await tell(IN_PROGRESS)
        if not is_true(definition, "Established"):
            await tell(NEVER_ESTABLISHED, done=True)
            return
        try:
            await delete_all(registry, stored_kind(definition))
        except ApiError as error:
            await tell(Condition("Terminating", "True", "InstanceDeletionFailed",
                                 f"could not issue all deletes: {error.message}"))
            raise
        await tell(COMPLETED, done=True)
    except NotFound:
        return


def stored_kind(definition: Object) -> Kind:
    """The kind of a definition in the version in which its objects are stored."""
    return next(kind for kind in rows_of(definition, shapes_of(definition)) if kind.apiVersion == kind.storage)


async def delete_all(registry: Registry, kind: Kind) -> None:
    """Delete every object of a kind, and return when none is left. Raises ApiError."""
    changed = asyncio.Event()

    def notice(delta: Delta | None) -> None:
        changed.set()

    end = registry.cache(kind).subscribe(notice)
    try:
        await registry.feed.current()
        for item in list(registry.cache(kind).within()):
            try:
                await registry.delete(kind, item.namespace, item.name)
            except NotFound:
                continue
        while registry.cache(kind).items:
            await changed.wait()
            changed.clear()
    finally:
        end()
