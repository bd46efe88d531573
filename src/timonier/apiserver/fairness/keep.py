"""Keeps the FlowSchemas and PriorityLevelConfigurations that every cluster has, and tells which schemas lead nowhere.

Source: Kubernetes documentation, "API Priority and Fairness", "Maintenance of the Mandatory and Suggested
Configuration Objects".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from timonier.api import times
from timonier.api.errors import AlreadyExists, ApiError, NotFound
from timonier.api.kinds import Kind
from timonier.apiserver.fairness.defaults import AUTO_UPDATE, LEVELS, MANDATORY, SCHEMAS
from timonier.apiserver.fairness.gate import FLOW_SCHEMA, LEVEL
from timonier.apiserver.registry import Registry
from timonier.kit.clock import Seconds, Time

log = logging.getLogger(__name__)

Object = dict[str, Any]

EVERY: Seconds = 60.0
"""Between two looks at the objects, where none of them changed."""
DANGLING = "Dangling"


async def keep_forever(registry: Registry, every: Seconds = EVERY) -> None:
    """Repair the objects now, now and then, and whenever one changes."""
    changed = asyncio.Event()
    ends = [registry.cache(kind).subscribe(lambda delta: changed.set()) for kind in (FLOW_SCHEMA, LEVEL)]
    try:
        while True:
            changed.clear()
            try:
                await keep(registry)
            except ApiError as error:
                log.warning("flow control objects not repaired", extra={"error": error.message})
            try:
                async with asyncio.timeout(every):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        for end in ends:
            end()


async def keep(registry: Registry) -> None:
    """One pass; safe in several servers at once."""
    await registry.feed.current()
    for kind, wanted in ((LEVEL, LEVELS), (FLOW_SCHEMA, SCHEMAS)):
        for obj in wanted:
            await ensure(registry, kind, obj)
        await remove_unwanted(registry, kind, wanted)
    await registry.feed.current()
    levels = {obj["metadata"]["name"] for obj in registry.peek_all(LEVEL)}
    for obj in registry.peek_all(FLOW_SCHEMA):
        await tell_dangling(registry, obj, levels)


async def ensure(registry: Registry, kind: Kind, wanted: Object) -> None:
    """Make an object, or give it the spec that it should have, unless its annotation says that it is somebody's."""
    name = wanted["metadata"]["name"]
    found = registry.peek(kind, "", name)
    if found is None:
        try:
            await registry.create(kind, {"metadata": dict(wanted["metadata"]), "spec": wanted["spec"]})
        except AlreadyExists:
            return
    elif changed(found, wanted) is not None:
        try:
            await registry.change(kind, "", name, lambda old: changed(old, wanted))
        except NotFound:
            return


def changed(found: Object, wanted: Object) -> Object | None:
    """An object with the spec and annotation that it should have; None where it has them or keeps its own."""
    if not automatic(found) and wanted["metadata"]["name"] not in MANDATORY:
        return None
    annotations = (found["metadata"].get("annotations") or {}) | wanted["metadata"]["annotations"]
    # What defaults and zero values add to a spec is no difference.
    if covers(found["spec"], wanted["spec"]) and found["metadata"].get("annotations") == annotations:
        return None
    return found | {"spec": wanted["spec"], "metadata": found["metadata"] | {"annotations": annotations}}


def automatic(found: Object) -> bool:
    """Whether the server may change an object: as its annotation says, or, without one, while nobody else has."""
    says: object = (found["metadata"].get("annotations") or {}).get(AUTO_UPDATE)
    return says == "true" if says in ("true", "false") else bool(found["metadata"].get("generation", 1) == 1)


def covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there, and beside it nothing but zero values and defaults of empty fields."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return not any(found[key] for key in found.keys() - wanted.keys()) and \
            all(covers(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(covers, found, wanted))
    return bool(found == wanted)


async def remove_unwanted(registry: Registry, kind: Kind, wanted: Iterable[Object]) -> None:
    """Delete what an older server suggested and this one does not."""
    names = {obj["metadata"]["name"] for obj in wanted}
    for obj in registry.peek_all(kind):
        name = obj["metadata"]["name"]
        if name not in names and (obj["metadata"].get("annotations") or {}).get(AUTO_UPDATE) == "true":
            try:
                await registry.delete(kind, "", name)
            except NotFound:
                continue


async def tell_dangling(registry: Registry, schema: Object, levels: set[str]) -> None:
    """Have a FlowSchema's status say whether its level exists."""
    if dangling(schema, levels, registry.clock.now()) is None:
        return
    try:
        await registry.change(FLOW_SCHEMA, "", schema["metadata"]["name"],
                              lambda old: dangling(old, levels, registry.clock.now()), "status")
    except NotFound:
        return


def dangling(schema: Object, levels: set[str], now: Time) -> Object | None:
    """A FlowSchema with the condition that is true of it; None where it has it."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    reference = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    wanted = {"type": DANGLING, "status": "False", "reason": "Found", "message": f"{reference} and it exists"} \
        if level in levels else {"type": DANGLING, "status": "True", "reason": "NotFound",
                                 "message": f"{reference} but there is no such object"}
    conditions = (schema.get("status") or {}).get("conditions") or []
    old: Object = next((each for each in conditions if each["type"] == DANGLING), {})
    if all(old.get(key) == value for key, value in wanted.items()):
        return None
    moment = old.get("lastTransitionTime") if old.get("status") == wanted["status"] else None
    wanted["lastTransitionTime"] = moment or times.rfc3339(now)
    others = [each for each in conditions if each["type"] != DANGLING]
    return schema | {"status": {"conditions": [*others, wanted]}}
