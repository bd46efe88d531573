"""Routes as elements of nftables sets and maps: the rules stay, only what is in the maps changes. Pure.

Endpoints of a frontend stand in the slots 0…N-1 of one map; the verdict of the frontend names the chain that draws a
number below N. So a Service that changes costs a few elements, whatever the number of Services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from timonier.node.proxy.rules import Endpoint, Frontend, Route, Unanswered

SERVICES, SHORTCUTS = "services", "shortcuts"
ENDPOINTS, SHORTCUT_ENDPOINTS = "endpoints", "shortcut-endpoints"
GUARDED, ADMITTED = "guarded", "admitted"
REFUSED, DROPPED = "refused", "dropped"
HAIRPINS = "hairpins"
STICKY = "sticky-"
PICK, KEEP, SHORTCUT = "pick-", "keep-", "shortcut-"


class Element(NamedTuple):
    """One element of a set, or of a map where it has a value, in nft's notation."""

    where: str
    key: str
    value: str = ""

    @property
    def text(self) -> str:
        return f"{self.key} : {self.value}" if self.value else self.key

    @property
    def chain(self) -> str:
        """The chain that this element leads to, if it does."""
        return self.value.removeprefix("goto ") if self.value.startswith("goto ") else ""


def elements(frontend: Frontend, route: Route) -> Iterator[Element]:
    """All that the kernel is told of one frontend."""
    key = key_of(frontend)
    if route.admitted is not None:
        yield Element(GUARDED, key)
        for cidr in merged(route.admitted):
            yield Element(ADMITTED, f"{key} . {cidr}")
    if route.endpoints:
        kind = KEEP if route.keeps_client else PICK
        yield Element(SERVICES, key, f"goto {kind}{len(route.endpoints)}")
        yield from slots(ENDPOINTS, key, route.endpoints)
    else:
        yield Element(DROPPED if route.unanswered is Unanswered.DROP else REFUSED, key)
    if route.shortcut:
        yield Element(SHORTCUTS, key, f"goto {SHORTCUT}{len(route.shortcut)}")
        yield from slots(SHORTCUT_ENDPOINTS, key, route.shortcut)
    if route.sticky:
        yield Element(f"{STICKY}{route.sticky}", key)
    for address in route.local:
        yield Element(HAIRPINS, f"{address} . {address}")


def slots(where: str, key: str, endpoints: Iterable[Endpoint]) -> Iterator[Element]:
    for slot, endpoint in enumerate(endpoints):
        yield Element(where, f"{key} . {slot}", f"{endpoint.address} . {endpoint.port}")


def key_of(frontend: Frontend) -> str:
    return f"{frontend.address} . {frontend.protocol.lower()} . {frontend.port}"


def merged(cidrs: Iterable[str]) -> list[str]:
    """Ranges without overlaps, which an interval set would refuse."""
    return [str(network) for network in ipaddress.collapse_addresses(
        ipaddress.IPv4Network(cidr, strict=False) for cidr in cidrs)]
