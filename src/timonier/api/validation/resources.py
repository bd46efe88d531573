"""Amounts of resources: what containers and pods request, what quotas and limits are about.

The same few amounts come with every pod: what is wrong with one is found once and remembered.
Source: Kubernetes documentation, "Resource Management for Pods and Containers".
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache

from timonier.api import names, quantity
from timonier.api.validation.causes import NON_NEGATIVE, Causes, Obj

HUGE = "hugepages-"
NATIVE_DOMAIN = "kubernetes.io/"
INTEGER = "must be an integer"
STANDARD_ONLY = "must be a standard resource type or fully qualified"
CONTAINER_ONLY = "must be a standard resource for containers"
EXTENDED_ONLY = "doesn't follow extended resource name standard"
NO_OVERCOMMIT = "Limit must be set for non overcommitable resources"

CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
POD = ("cpu", "memory")
COUNTED = frozenset({"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
                     "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"})
QUOTA = CONTAINER | COUNTED | {f"{side}.{name}" for side in ("requests", "limits") for name in CONTAINER} \
    | {"requests.storage"}
STANDARD = CONTAINER | QUOTA | {"storage"}
Wrong = tuple[tuple[str, str], ...]
"""Pairs of a value and what is wrong with it."""


def is_huge(name: str) -> bool:
    return name.startswith(HUGE)


def is_native(name: str) -> bool:
    """Whether Kubernetes itself defines a resource."""
    return "/" not in name or NATIVE_DOMAIN in name


def overcommitted(name: str) -> bool:
    """Whether more of it may be promised than there is: what Kubernetes itself defines, but for huge pages."""
    return is_native(name) and not is_huge(name)


def is_extended(name: str) -> bool:
    """Whether a name is that of something that nodes count: `example.com/dongle`."""
    return not is_native(name) and not name.startswith("requests.") \
        and not names.qualified_name(f"requests.{name}")


@lru_cache(maxsize=1024)
def wrong_name(name: str) -> tuple[str, ...]:
    """A resource: standard, or with the domain of whoever defines it."""
    if wrong := names.qualified_name(name):
        return wrong
    return (STANDARD_ONLY,) if "/" not in name and name not in STANDARD and not is_huge(name) \
        and not name.startswith(f"requests.{HUGE}") else ()


@lru_cache(maxsize=1024)
def wrong_container_name(name: str) -> tuple[str, ...]:
    """A resource that a container can have."""
    wrong = wrong_name(name)
    if "/" not in name:
        return wrong if name in CONTAINER or is_huge(name) else (*wrong, CONTAINER_ONLY)
    return wrong if is_native(name) or is_extended(name) else (*wrong, EXTENDED_ONLY)


@lru_cache(maxsize=1024)
def wrong_quota_name(name: str) -> tuple[str, ...]:
    """A resource that a quota can count."""
    wrong = wrong_name(name)
    known = name in QUOTA or is_huge(name) or name.startswith(f"requests.{HUGE}") or "/" in name
    return wrong if known else (*wrong, "must be a standard resource for quota")


@lru_cache(maxsize=4096)
def wrong_amount(name: str, value: str) -> tuple[str, ...]:
    """An amount of a resource: never negative, and whole where it is counted."""
    billionths = quantity.read(value)[0]
    counted = name in COUNTED or is_extended(name)
    return (*((NON_NEGATIVE,) if billionths < 0 else ()),
            *((INTEGER,) if counted and billionths % quantity.NANO else ()))


@lru_cache(maxsize=1024)
def wrong_huge(name: str, value: str) -> str:
    """An amount of huge pages is a number of whole pages."""
    try:
        page = quantity.read(name.removeprefix(HUGE))[0]
    except quantity.BadQuantity:
        page = 0
    return "" if page > 0 and quantity.read(value)[0] % page == 0 \
        else f"{value} is not positive integer multiple of {name}"


def amount(name: str, value: str, path: str, causes: Causes, naming: Callable[[str], tuple[str, ...]]) -> None:
    """One entry of a list of resources, at its own path."""
    causes.each_invalid(path, name, naming(name))
    causes.each_invalid(path, value, wrong_amount(name, value))


def requirements(given: Obj, path: str, causes: Causes, claims: Collection[str] = (),
                 supported: Collection[str] = ()) -> None:
    """What a container requests and may use at most; of a pod as a whole, where `supported` says what it can have."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for name, value in limits.items():
        entry(name, value, f"{path}.limits[{name}]", causes, supported)
    for name, value in requests.items():
        entry(name, value, f"{path}.requests[{name}]", causes, supported)
        limit = limits.get(name)
        if limit is not None:
            if relation := exceeds(name, value, limit):
                causes.invalid(f"{path}.requests", value, f"must be {relation} to {name} limit of {limit}")
        elif not overcommitted(name):
            causes.required(f"{path}.limits", NO_OVERCOMMIT)
    if not ("cpu" in limits or "memory" in limits or "cpu" in requests or "memory" in requests) \
            and any(map(is_huge, (*limits, *requests))):
        causes.forbidden(path, "HugePages require cpu or memory")
    if "claims" in given:
        claim_names(given["claims"], claims, f"{path}.claims", causes)


def entry(name: str, value: str, path: str, causes: Causes, supported: Collection[str]) -> None:
    naming = wrong_container_name(name) if not supported else wrong_name(name)
    if naming:
        causes.each_invalid(path, name, naming)
    elif supported and name not in supported and not is_huge(name):
        causes.unsupported(path, name, supported)
    if wrong := wrong_amount(name, value):
        causes.each_invalid(path, value, wrong)
    if is_huge(name) and (wrong_pages := wrong_huge(name, value)):
        causes.invalid(path, value, wrong_pages)


@lru_cache(maxsize=4096)
def exceeds(name: str, value: str, limit: str) -> str:
    """How a request must relate to a limit, where it does not."""
    asked, most = quantity.read(value)[0], quantity.read(limit)[0]
    if asked != most and not overcommitted(name):
        return "equal"
    return "less than or equal" if asked > most else ""


def claim_names(listed: list[Obj], known: Collection[str], path: str, causes: Causes) -> None:
    """The claims of the pod that a container uses: each once, as a whole or by request."""
    taken: set[str] = set()
    for index, claim in enumerate(listed):
        at, name, request = f"{path}[{index}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            causes.required(at)
            continue
        if request:
            causes.each_invalid(f"{at}.request", request, names.dns_label(request))
        key = f"{name}/{request}" if request else name
        if name in taken or key in taken:
            causes.duplicate(at, name if name in taken else key)
        elif not request and any(each.startswith(f"{name}/") for each in taken):
            causes.duplicate(at, name)
        taken.add(key)
        if name not in known:
            causes.not_found(at, name, "must be one of the names in pod.spec.resourceClaims"
                             + (f": {', '.join(sorted(known))}" if known else " which is empty"))
