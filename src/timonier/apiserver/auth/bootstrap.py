"""What a cluster must have before anybody can be let in: the default roles and bindings.

Missing objects are created; of those that exist, missing rules, subjects, labels and annotations are added and nothing
is taken away, unless their annotation `rbac.authorization.kubernetes.io/autoupdate` says "false". A binding of another
role is deleted and made anew, since its roleRef cannot change.
Source: Kubernetes documentation, "Using RBAC Authorization", Auto-reconciliation.
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

    async def delete(self, kind: Kind, namespace: str, name: str) -> tuple[Object, bool]: ...


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
            if found is not None and binds_another(found, wanted):
                await registry.delete(kind, namespace, metadata["name"])
                found = None
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


def is_left_alone(found: Object) -> bool:
    return (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false"


def binds_another(found: Object, wanted: Object) -> bool:
    return not is_left_alone(found) and found.get("roleRef") != wanted.get("roleRef")


def completed(found: Object, wanted: Object) -> Object | None:
    """What exists with what it lacks; None where it lacks nothing, or is not to be touched."""
    if is_left_alone(found):
        return None
    changed = found | {"metadata": marked(found["metadata"], wanted["metadata"])}
    if "roleRef" in wanted:
        changed |= grown(found, "subjects", lacking(found.get("subjects") or (), wanted.get("subjects") or ()))
    elif "aggregationRule" in wanted:
        changed |= gathering(found, wanted["aggregationRule"])
    else:
        held = [Rule.of(rule) for rule in found.get("rules") or ()]
        changed |= grown(found, "rules", [rule for rule in wanted["rules"] if any(uncovered(held, [Rule.of(rule)]))])
    return None if changed == found else changed


def marked(found: Object, wanted: Object) -> Object:
    """Metadata with the labels and annotations that a default object has; values of others stay."""
    return found | {part: wanted[part] | (found.get(part) or {}) for part in ("labels", "annotations")
                    if part in wanted}


def lacking(found: Sequence[Object], wanted: Sequence[Object]) -> list[Object]:
    return [each for each in wanted if each not in found]


def grown(found: Object, field: str, more: list[Object]) -> Object:
    return {field: [*(found.get(field) or ()), *more]} if more else {}


def gathering(found: Object, rule: Object) -> Object:
    """An aggregated role's selectors; its rules follow from them, whatever they were."""
    field = "clusterRoleSelectors"
    has = (found.get("aggregationRule") or {}).get(field) or []
    more = lacking(has, rule[field])
    return {"aggregationRule": {field: [*has, *more]}} if more else {}


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
