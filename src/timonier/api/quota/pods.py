"""What a pod uses: itself, and what its containers request and are limited to, as long as it has not ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from timonier.api import times
from timonier.api.quota.amounts import Amounts, added, maximum, number
from timonier.kit.clock import Time

Object = dict[str, Any]

COMPUTE = ("cpu", "memory", "ephemeral-storage")
NAMED = frozenset({"pods", *COMPUTE, *(f"{part}.{name}" for part in ("requests", "limits") for name in COMPUTE)})
HUGE = "hugepages-"
REQUESTS = "requests."
DEMANDED = frozenset({"cpu", "memory", *(f"{part}.{name}" for part in ("requests", "limits")
                                         for name in ("cpu", "memory"))})
"""Resources of which every container must say something where a quota limits them."""
POD_LEVEL = ("cpu", "memory")
COUNT = "count/pods"
FINISHED = ("Succeeded", "Failed")


def matching(name: str) -> bool:
    """Whether a quota of that name is about pods."""
    return name in NAMED or name == COUNT or name.startswith((HUGE, REQUESTS + HUGE)) or extended(name)


def extended(name: str) -> bool:
    """`requests.example.com/gpu`: a request for something that is not Kubernetes's own."""
    return name.startswith(REQUESTS) and not native(name.removeprefix(REQUESTS))


def native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def usage(pod: Object, now: Time) -> dict[str, str]:
    """What a pod uses. One that has ended is still an object, and nothing else."""
    counted = {COUNT: number(1)}
    if ended(pod, now):
        return counted
    spec = held(pod)
    return counted | {"pods": number(1)} | compute(total(spec, "requests"), total(spec, "limits"))


def held(pod: Object) -> Object:
    """The spec with what containers have: until a resize is done, the larger of what they have and what is wanted.

    What cannot be done is not counted. Source: KEP-1287, "Resource Quota".
    """
    spec: Object = pod["spec"]
    status: Object = pod.get("status") or {}
    told = {each["name"]: each for field in ("containerStatuses", "initContainerStatuses")
            for each in status.get(field) or () if each.get("resources")}
    if not told:
        return spec
    wanted = not any(each.get("type") == "PodResizePending" and each.get("reason") == "Infeasible"
                     for each in status.get("conditions") or ())
    return spec | {field: [holding(container, told.get(container["name"]), wanted=wanted) for container in spec[field]]
                   for field in ("containers", "initContainers") if field in spec}


def holding(container: Object, status: Object | None, *, wanted: bool) -> Object:
    """A container with what it has by its status, and with what is wanted for it."""
    given = container.get("resources") or {}
    if status is None or status["resources"] == given:
        return container
    has = {part: of(status, part) for part in ("requests", "limits")}
    has["requests"] = maximum(has["requests"], status.get("allocatedResources") or {})
    if wanted:
        has = {part: maximum(amounts, of(container, part)) for part, amounts in has.items()}
    return container | {"resources": given | has}


def ended(pod: Object, now: Time) -> bool:
    """Whether a pod runs no more: it is finished, or was to be by now."""
    metadata = pod["metadata"]
    if (pod.get("status") or {}).get("phase") in FINISHED:
        return True
    stamp = metadata.get("deletionTimestamp")
    grace = metadata.get("deletionGracePeriodSeconds")
    return bool(stamp) and grace is not None and now > times.parse(stamp) + grace


def compute(requests: Amounts, limits: Amounts) -> dict[str, str]:
    """Requests and limits under the names that quotas have for them."""
    result: dict[str, str] = {}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith(HUGE):
            result[name] = amount
        if name in COMPUTE or name.startswith(HUGE) or not native(name):
            result[REQUESTS + name] = amount
    return result | {f"limits.{name}": amount for name, amount in limits.items() if name in COMPUTE}


def total(spec: Object, part: str, *, overhead: bool = True) -> dict[str, str]:
    """What a pod needs at once: its containers and sidecars, or an init container beside the sidecars before it.

    What the pod says for itself as a whole goes before that; overhead, where asked for, comes on top.
    Source: KEP-753, KEP-2837.
    """
    running: dict[str, str] = {}
    for container in spec.get("containers") or ():
        running = added(running, of(container, part))
    sidecars: dict[str, str] = {}
    starting: dict[str, str] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            sidecars = added(sidecars, of(container, part))
            starting = maximum(starting, sidecars)
        else:
            starting = maximum(starting, added(sidecars, of(container, part)))
    whole = maximum(added(running, sidecars), starting)
    own = {name: amount for name, amount in of(spec, part).items() if name in POD_LEVEL or name.startswith(HUGE)}
    above = (spec.get("overhead") or {}) if overhead else {}
    if part == "limits":  # what has no limit has none with overhead either
        above = {name: amount for name, amount in above.items() if name in whole | own}
    return added(whole | own, above)


def of(holder: Object, part: str) -> Amounts:
    amounts: Amounts = (holder.get("resources") or {}).get(part) or {}
    return amounts


def missing(pod: Object, limited: Iterable[str]) -> str:
    """What containers must say where a quota limits these resources, in Kubernetes's words; empty where they do."""
    demanded = DEMANDED.intersection(limited)
    spec = pod["spec"]
    demanded -= compute(of(spec, "requests"), of(spec, "limits")).keys()
    silent: dict[str, set[str]] = {}
    for container in containers(spec):
        for name in demanded - compute(of(container, "requests"), of(container, "limits")).keys():
            silent.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(silent[name]))}" for name in sorted(silent))


def containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()
