"""Which kinds the API server serves now, as rows of the table: for controllers that are about every kind there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from timonier.api.kinds import Kind, find
from timonier.client.client import Client
from timonier.kit.clock import Seconds, Time

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
FRESH: Seconds = 10.0


class Discovered:
    """Kinds by discovery, asked for again once the last answer is fresh no more."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kinds: list[Kind] = []
        self._asked: Time | None = None

    async def kinds(self, fresh: Seconds = FRESH) -> list[Kind]:
        """Every resource once, in the version that its group prefers, as of so many seconds ago at most.

        Raises ApiError, HttpError.
        """
        now = self._client.clock.monotonic()
        if self._asked is None or now - self._asked > fresh:
            found = []
            for path in ("/api", "/apis"):
                found += [*rows(msgspec.json.decode(await self._client.raw("GET", path, accept=DISCOVERY)))]
            self._kinds, self._asked = found, now
        return self._kinds


def rows(document: Any) -> Iterator[Kind]:
    """The kinds of an aggregated discovery document."""
    for group in document.get("items", ()):
        name, seen = group["metadata"].get("name", ""), set()
        for version in group.get("versions", ()):
            for resource in version.get("resources", ()):
                if resource["resource"] not in seen:
                    seen.add(resource["resource"])
                    yield row(name, version["version"], resource)


def row(group: str, version: str, resource: Any) -> Kind:
    """The table's own row where there is one; for a kind that was defined later, one that is made of its discovery."""
    kind = resource["responseKind"]["kind"]
    known = find(f"{group}/{version}" if group else version, kind)
    if known is not None:
        return known
    return Kind(group, version, kind, resource["resource"], namespaced=resource.get("scope") == "Namespaced",
                verbs=tuple(resource.get("verbs", ())), storage=f"{group}/{version}" if group else version)
