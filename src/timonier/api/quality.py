"""Quality of service: the class of a pod, which follows from what its containers request and are limited to. Pure.

Source: Kubernetes documentation, "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.api import quantity

Object = dict[str, Any]

COUNTED = ("cpu", "memory")
GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"


def containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def qos_class(spec: Object) -> str:
    """Guaranteed where every container limits cpu and memory and requests as much; BestEffort where none says anything.

    A limit without a request counts as a request, as defaulting makes it one.
    """
    whole = spec.get("resources")
    sources = [whole] if whole else [container.get("resources") or {} for container in containers(spec)]
    said = [amounts(resources) for resources in sources]
    if not any(requests or limits for requests, limits in said):
        return BEST_EFFORT
    for requests, limits in said:
        if len(limits) < len(COUNTED) or any(requests.get(name, limits[name]) != limits[name] for name in COUNTED):
            return BURSTABLE
    return GUARANTEED


def amounts(resources: Object) -> tuple[dict[str, int], dict[str, int]]:
    """Requests and limits of what counts, in billionths, without zeros."""
    return positive(resources.get("requests")), positive(resources.get("limits"))


def positive(listed: Object | None) -> dict[str, int]:
    found: dict[str, int] = {}
    if listed:
        for name in COUNTED:
            if name in listed and (amount := quantity.read(str(listed[name]))[0]) > 0:
                found[name] = amount
    return found
