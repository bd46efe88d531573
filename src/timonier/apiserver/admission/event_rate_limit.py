"""EventRateLimit: no more events than so many a second, from all, and from each namespace, user or source.

Each limit has a bucket of tokens for each key that it tells apart; those that were not asked for longest are forgotten.
Source: Kubernetes documentation, "Admission Control in Kubernetes"; eventratelimit.admission.k8s.io/v1alpha1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from timonier.api.errors import TooManyRequests
from timonier.apiserver.admission.configuration import Document
from timonier.apiserver.admission.contract import CREATE, UPDATE, Plugin
from timonier.apiserver.request import Attributes, Object
from timonier.kit.bucket import Bucket
from timonier.kit.clock import Clock, Time

GROUP = "eventratelimit.admission.k8s.io"
BUCKETS = 4096
"""Keys that are told apart, unless the configuration says another number."""
NUMBERS = {"qps": 1, "burst": 1, "cacheSize": 0}
"""Fields of a limit, with the least that each may be."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`qps` events a second in the long run, and `burst` at once, of each key."""

    type: str
    qps: int
    burst: int
    buckets: int = BUCKETS


@dataclass(frozen=True)
class Enforcer:
    """One limit, and the buckets of those who write, least recently used first."""

    limit: Limit
    buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def accepts(self, key: str, now: Time) -> bool:
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(self.limit.burst, now)
            if len(self.buckets) > self.limit.buckets:
                self.buckets.popitem(last=False)
        self.buckets.move_to_end(key)
        return bucket.take(self.limit.qps, self.limit.burst, now)


class EventRateLimit(Plugin):
    def __init__(self, limits: Sequence[Limit], clock: Clock) -> None:
        self.enforcers, self.clock = [Enforcer(limit) for limit in limits], clock

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return (group, resource) == ("", "events") and operation in (CREATE, UPDATE)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> None:
        """Raises TooManyRequests. An event that one limit refuses is counted by the others all the same."""
        assert obj is not None
        now, refused = self.clock.monotonic(), ""
        for enforcer in self.enforcers:
            key = KEYS[enforcer.limit.type](attributes, obj)
            if not enforcer.accepts(key, now):
                refused = f"Too many requests: limit reached on type {enforcer.limit.type} for key {key}"
        if refused:
            raise TooManyRequests(refused)


def source_and_object(attributes: Attributes, event: Object) -> str:
    source, about = event.get("source") or {}, event.get("involvedObject") or {}
    return "".join((*(source.get(name) or "" for name in ("component", "host")),
                    *(about.get(name) or "" for name in ("kind", "namespace", "name", "uid", "apiVersion"))))


KEYS: dict[str, Callable[[Attributes, Object], str]] = {
    "Server": lambda attributes, event: "",
    "Namespace": lambda attributes, event: attributes.namespace,
    "User": lambda attributes, event: attributes.user.name,
    "SourceAndObject": source_and_object,
}
"""Whose events are counted together, by the type of a limit."""


def configured(document: Document) -> list[Limit]:
    """The limits of a Configuration. Raises CannotRun, also where there is none."""
    content = document.checked("Configuration", (GROUP,))
    document.known(content, ("apiVersion", "kind", "limits"))
    limits = [limit(document, each, f"limits[{index}]") for index, each in enumerate(document.objects("limits"))]
    if not limits:
        raise document.wrong("limits: Invalid value: null: must not be empty")
    return limits


def limit(document: Document, given: Mapping[str, Any], path: str) -> Limit:
    document.known(given, ("type", *NUMBERS), f"{path}.")
    if given.get("type") not in KEYS:
        raise document.wrong(f'{path}.type: Unsupported value: "{given.get("type") or ""}": supported values: '
                             + ", ".join(f'"{name}"' for name in sorted(KEYS)))
    for name, least in NUMBERS.items():
        value = given.get(name) or 0
        if not isinstance(value, int) or value < least:
            raise document.wrong(f"{path}.{name}: Invalid value: {value}: must "
                                 + ("be positive" if least else "not be negative"))
    return Limit(given["type"], given["qps"], given["burst"], given.get("cacheSize") or BUCKETS)
