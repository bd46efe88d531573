"""StorageVersionMigration: have every object of a resource written again, in today's version and with today's key.

Source: Kubernetes documentation, "Migrate Kubernetes Objects Using Storage Version Migration".
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from timonier.api import times
from timonier.api.errors import ApiError, NotFound
from timonier.api.kinds import BY_ID, Kind
from timonier.apiserver.registry import Registry

log = logging.getLogger(__name__)

Object = dict[str, Any]

MIGRATION = BY_ID["storagemigration.k8s.io/v1/StorageVersionMigration"]
RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
REASONS = {RUNNING: "StorageVersionMigrationInProgress", SUCCEEDED: "StorageVersionMigrationSucceeded",
           FAILED: "StorageVersionMigrationFailed"}


async def migrate_forever(registry: Registry) -> None:
    """Carry out migrations, one after the other, as they are asked for."""
    wanted = asyncio.Event()
    end = registry.cache(MIGRATION).subscribe(lambda delta: wanted.set())
    try:
        while True:
            wanted.clear()
            try:
                await migrate_all(registry)
            except ApiError as error:
                log.warning("migration interrupted", extra={"error": error.message})
            await wanted.wait()
    finally:
        end()


async def migrate_all(registry: Registry) -> None:
    await registry.feed.current()
    for migration in registry.peek_all(MIGRATION):
        if not {SUCCEEDED, FAILED} & {each["type"] for each in conditions(migration) if each["status"] == "True"}:
            await migrate(registry, migration)


async def migrate(registry: Registry, migration: Object) -> None:
    """One migration, from Running to Succeeded or Failed."""
    name, asked = migration["metadata"]["name"], migration["spec"]["resource"]
    group, resource = asked.get("group", ""), asked.get("resource", "")
    kind = next((each for each in registry.resources if (each.group, each.plural) == (group, resource)), None)
    if kind is None or "update" not in kind.verbs:
        await tell(registry, name, FAILED, f"resource does not exist or cannot be migrated: {resource}.{group}")
        return
    revision = await registry.feed.current()
    await tell(registry, name, RUNNING, "", revision)
    try:
        for item in list(registry.cache(kind).within()):
            await rewrite(registry, kind, item.namespace, item.name)
    except ApiError as error:
        await tell(registry, name, FAILED, error.message)
        return
    log.info("objects migrated", extra={"resource": resource, "group": group})
    await tell(registry, name, SUCCEEDED, "")


async def rewrite(registry: Registry, kind: Kind, namespace: str, name: str) -> None:
    """Have an object written again where it is stored otherwise than it would be now."""
    try:
        await registry.change(kind, namespace, name, lambda old: old)
    except NotFound:
        return


async def tell(registry: Registry, name: str, condition: str, message: str, revision: int = 0) -> None:
    """Have a migration's status say how far it is."""
    def edit(old: Object) -> Object:
        now = times.rfc3339(registry.clock.now())
        others = [each for each in conditions(old) if each["type"] not in (condition, RUNNING)]
        made = {"type": condition, "status": "True", "reason": REASONS[condition], "message": message,
                "lastTransitionTime": now}
        status = (old.get("status") or {}) | {"conditions": [*others, made]}
        return old | {"status": status | ({"resourceVersion": str(revision)} if revision else {})}

    try:
        await registry.change(MIGRATION, "", name, edit, "status")
    except NotFound:
        return


def conditions(migration: Object) -> list[Object]:
    return list((migration.get("status") or {}).get("conditions") or ())
