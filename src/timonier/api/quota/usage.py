"""How much of what an object uses, by its resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from timonier.api.quota import others, pods
from timonier.api.quota.amounts import number
from timonier.kit.clock import Time

Object = dict[str, Any]

ALIASES = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
"""Resources that quotas may also count by their bare names."""
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events"), ("", "bindings")})
"""Never counted."""


@dataclass(frozen=True)
class Measure:
    """How a resource is measured."""

    count: str
    """The name under which its objects are counted."""
    about: Callable[[str], bool]
    """Whether a name in a quota is about it, beside that of the count."""
    own: Callable[[Object, Time], dict[str, str]]
    """What an object uses beside being one."""
    changes: bool = False
    """Whether changing an object can change what it uses."""

    def names(self, name: str) -> bool:
        return name == self.count or self.about(name)

    def usage(self, obj: Object, now: Time) -> dict[str, str]:
        return {self.count: number(1)} | self.own(obj, now)


@lru_cache(maxsize=1024)
def measure(group: str, resource: str) -> Measure | None:
    """How the objects of a resource are measured; None for those that are not counted."""
    if (group, resource) in IGNORED:
        return None
    count = f"count/{resource}.{group}" if group else f"count/{resource}"
    match group, resource:
        case "", "pods":
            return Measure(count, pods.matching, pods.usage, changes=True)
        case "", "services":
            return Measure(count, others.about_service, lambda obj, now: others.service(obj), changes=True)
        case "", "persistentvolumeclaims":
            return Measure(count, others.about_claim, lambda obj, now: others.claim(obj), changes=True)
        case "resource.k8s.io", "resourceclaims":
            return Measure(count, others.about_devices, lambda obj, now: others.devices(obj), changes=True)
    if not group and resource in ALIASES:
        return Measure(count, lambda name: name == resource, lambda obj, now: {resource: number(1)})
    return Measure(count, lambda name: False, lambda obj, now: {})


def resource_of(name: str) -> tuple[str, str]:
    """Group and resource that a name in a quota is about; empty where nothing is known to be."""
    if name.startswith("count/"):
        resource, _, group = name.removeprefix("count/").partition(".")
        return group, resource
    if name in ALIASES:
        return "", name
    for group, resource in (("", "services"), ("", "persistentvolumeclaims"), ("resource.k8s.io", "resourceclaims"),
                            ("", "pods")):
        found = measure(group, resource)
        if found is not None and found.names(name):
            return group, resource
    return "", ""
