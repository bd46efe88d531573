"""What a cluster must have before anybody can be let in: the default roles and bindings.

Missing objects are created; of those that exist, missing rules and subjects are added and nothing is taken away, unless
their annotation `rbac.authorization.kubernetes.io/autoupdate` says "false".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from timonier.api.errors import AlreadyExists, Conflict
from timonier.api.kinds import BY_ID, Kind
from timonier.api.patches.clone import clone
from timonier.apiserver.auth.aggregation import outdated
from timonier.apiserver.auth.escalation import uncovered
from timonier.apiserver.auth.mirror import Cache
from timonier.apiserver.auth.policy import objects
from timonier.apiserver.auth.rbac import GROUP, Rule
from timonier.apiserver.request import Object

log = logging.getLogger(__name__)

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
CLUSTER_ROLE = BY_ID[f"{GROUP}/v1/ClusterRole"]
ATTEMPTS = 5


class Registry(Cache, Protocol):
    """The part of the registry that writes, and that reads what is true now."""

    async def list(self, kind: Kind) -> list[Object]: ...

    async def create(self, kind: Kind, obj: Object, namespace: str = "") -> Object: ...

    async def update(self, kind: Kind, obj: Object, namespace: str = "") -> Object: ...


async def bootstrap(registry: Registry) -> None:
    """Make the default roles and bindings; safe to run at every start, and in several servers at once."""
    wanted = list(objects())
    bindings = [obj for obj in wanted if obj["kind"].endswith("Binding")]
    await ensure_all(registry, [obj for obj in wanted if not obj["kind"].endswith("Binding")])
    await ensure_all(registry, bindings)
    await keep_aggregated(registry)


async def ensure_all(registry: Registry, wanted: Sequence[Object]) -> None:
    """Together, so that the store can make many writes durable at once."""
    await asyncio.gather(*(ensure(registry, obj) for obj in wanted))


async def ensure(registry: Registry, wanted: Object) -> None:
    kind = BY_ID[f"{wanted['apiVersion']}/{wanted['kind']}"]
    metadata = wanted["metadata"]
    namespace = metadata.get("namespace", "")
    for _ in range(ATTEMPTS):
        found = registry.peek(kind, namespace, metadata["name"])
        try:
            if found is None:
                await registry.create(kind, wanted, namespace)
            elif (changed := completed(found, wanted)) is not None:
                await registry.update(kind, clone(changed), namespace)
            return
        except AlreadyExists:
            return
        except Conflict:
            await asyncio.sleep(0.05)
    log.warning("default policy not updated, as others keep writing it", extra={"object": metadata["name"]})


def completed(found: Object, wanted: Object) -> Object | None:
    """What exists with what it lacks; None where it lacks nothing, or is not to be touched."""
    if (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    if "roleRef" in wanted:
        if found.get("roleRef") != wanted["roleRef"]:
            return None
        have = found.get("subjects") or []
        missing = [subject for subject in wanted.get("subjects") or () if subject not in have]
        return {**found, "subjects": [*have, *missing]} if missing else None
    if wanted.get("aggregationRule"):
        return None
    held = [Rule.of(rule) for rule in found.get("rules") or ()]
    lacking = [rule for rule in wanted["rules"] if any(uncovered(held, [Rule.of(rule)]))]
    return {**found, "rules": [*(found.get("rules") or ()), *lacking]} if lacking else None


async def keep_aggregated(registry: Registry) -> None:
    """Write the aggregated ClusterRoles whose rules are not those of the roles that they select.

    Call it after each write of a ClusterRole; one aggregated role may be gathered into another, so it looks again
    until nothing is left to do.
    """
    for _ in range(ATTEMPTS):
        stale = outdated(await registry.list(CLUSTER_ROLE))
        if not stale:
            return
        for role in stale:
            try:
                await registry.update(CLUSTER_ROLE, role)
            except Conflict:
                continue
