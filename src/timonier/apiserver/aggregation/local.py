"""The APIServices of what this server answers itself: one for each group and version, kept by the server."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from timonier.api import times
from timonier.api.errors import AlreadyExists, ApiError, NotFound
from timonier.api.kinds import BY_ID, KINDS, Kind
from timonier.apiserver.registry import Registry
from timonier.kit.clock import Seconds

log = logging.getLogger(__name__)

Object = dict[str, Any]

API_SERVICE = BY_ID["apiregistration.k8s.io/v1/APIService"]
LABEL = "kube-aggregator.kubernetes.io/automanaged"
ON_START, TRUE = "onstart", "true"
"""What the label says: of what is built in, and of what was defined since."""
AVAILABLE = "Available"
PRIORITIES = {
    "": 18_000, "apiregistration.k8s.io": 18_000, "extensions": 17_900, "apps": 17_800, "events.k8s.io": 17_750,
    "authentication.k8s.io": 17_700, "authorization.k8s.io": 17_600, "autoscaling": 17_500, "batch": 17_400,
    "certificates.k8s.io": 17_300, "networking.k8s.io": 17_200, "policy": 17_100, "rbac.authorization.k8s.io": 17_000,
    "storage.k8s.io": 16_800, "admissionregistration.k8s.io": 16_700, "apiextensions.k8s.io": 16_700,
    "scheduling.k8s.io": 16_600, "coordination.k8s.io": 16_500, "node.k8s.io": 16_300, "discovery.k8s.io": 16_200,
    "flowcontrol.apiserver.k8s.io": 16_100, "resource.k8s.io": 15_900, "storagemigration.k8s.io": 15_800,
}
"""Groups that are built in, by how early discovery names them."""
VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30}
BUILT_IN_VERSION, OLD_VERSION = 15, 9
DEFINED, DEFINED_VERSION = 1000, 100
"""The priorities of groups and versions that were defined since."""
BUILT_IN = frozenset((kind.group, kind.version) for kind in KINDS)
EVERY: Seconds = 1.0


def wanted(kinds: Iterable[Kind]) -> Iterator[Object]:
    """The local APIServices of the kinds that are served."""
    for group, version in sorted({(kind.group, kind.version) for kind in kinds}):
        built_in = (group, version) in BUILT_IN
        usual = (OLD_VERSION if "beta" in version else BUILT_IN_VERSION) if built_in else DEFINED_VERSION
        spec: Object = {"version": version, "groupPriorityMinimum": PRIORITIES.get(group, DEFINED),
                        "versionPriority": VERSION_PRIORITIES.get((group, version), usual)}
        if group:
            spec["group"] = group
        yield {"metadata": {"name": f"{version}.{group}", "labels": {LABEL: ON_START if built_in else TRUE}},
               "spec": spec}


async def keep_forever(registry: Registry) -> None:
    """Keep the local APIServices those of the kinds that are served."""
    seen = (-1, -1)
    while True:
        now = registry.resources.changes, registry.changes(API_SERVICE)
        if now != seen:
            try:
                await keep(registry)
                seen = now
            except ApiError as error:
                log.warning("APIServices not kept", extra={"error": error.message})
        await registry.clock.sleep(EVERY)


async def keep(registry: Registry) -> None:
    """One pass. An APIService that somebody made for a Service stays theirs, unless it is for what is built in."""
    await registry.feed.current()
    names = set()
    for obj in wanted(registry.resources):
        names.add(obj["metadata"]["name"])
        await ensure(registry, obj)
    for obj in registry.peek_all(API_SERVICE):
        name = obj["metadata"]["name"]
        if name not in names and (obj["metadata"].get("labels") or {}).get(LABEL):
            try:
                await registry.delete(API_SERVICE, "", name)
            except NotFound:
                continue


async def ensure(registry: Registry, obj: Object) -> None:
    name, label = obj["metadata"]["name"], obj["metadata"]["labels"][LABEL]
    found = registry.peek(API_SERVICE, "", name)
    if found is None:
        try:
            found = await registry.create(API_SERVICE, obj)
        except AlreadyExists:
            return
    elif label == TRUE and found["spec"].get("service"):
        return
    elif found["spec"].get("service") or any(found["spec"].get(key) != value for key, value in obj["spec"].items()):
        found = await registry.change(API_SERVICE, "", name, lambda old: old | {"spec": obj["spec"]})
    await tell(registry, name, True, "Local", "Local APIServices are always available")


async def tell(registry: Registry, name: str, well: bool, reason: str, message: str) -> None:
    """Have an APIService's status say whether it is available, and why."""
    def edit(old: Object) -> Object | None:
        status = "True" if well else "False"
        conditions = (old.get("status") or {}).get("conditions") or []
        before: Object = next((each for each in conditions if each["type"] == AVAILABLE), {})
        if (before.get("status"), before.get("reason"), before.get("message")) == (status, reason, message):
            return None
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        made = {"type": AVAILABLE, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": since or times.rfc3339(registry.clock.now())}
        return old | {"status": {"conditions": [*(each for each in conditions if each["type"] != AVAILABLE), made]}}

    try:
        await registry.change(API_SERVICE, "", name, edit, "status")
    except NotFound:
        return
