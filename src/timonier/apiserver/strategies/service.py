"""Services: cluster addresses and node ports, claimed with the write that needs them and given back with the last.

Which fields a Service needs follows from its type; what users leave out is filled in here, since it depends on what is
free. That what they say is well-formed is left to validation: what cannot be read is not claimed, and then refused.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from timonier.api.errors import Cause, InternalError, invalid
from timonier.api.kinds import Kind
from timonier.apiserver.allocate import Addresses, Claims, Exhausted, OutOfRange, Ports, Taken
from timonier.apiserver.request import User
from timonier.apiserver.strategies.base import Strategy

Object = dict[str, Any]
T = TypeVar("T")

WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
NONE = "None"


class ServiceStrategy(Strategy):
    create_on_update = True

    def __init__(self, addresses: Addresses, ports: Ports) -> None:
        self.addresses, self.ports = addresses, ports
        self.family = f"IPv{addresses.network.version}"

    def prepare_create(self, kind: Kind, obj: Object, user: User) -> None:
        obj["status"] = {"loadBalancer": {}}
        self.complete(obj.setdefault("spec", {}))

    def prepare_update(self, kind: Kind, obj: Object, old: Object) -> None:
        super().prepare_update(kind, obj, old)
        spec = obj.setdefault("spec", {})
        inherit(spec, old["spec"])
        self.complete(spec)

    def creating(self, kind: Kind, obj: Object, *, dry_run: bool) -> AbstractAsyncContextManager[None]:
        return self.holding(obj, {}, dry_run)

    def updating(self, kind: Kind, obj: Object, old: Object, *, dry_run: bool) -> AbstractAsyncContextManager[None]:
        return self.holding(obj, old["spec"], dry_run)

    async def deleted(self, kind: Kind, obj: Object) -> None:
        await self.release(claimed_addresses(obj["spec"]), claimed_ports(obj["spec"]))

    @asynccontextmanager
    async def holding(self, obj: Object, before: Object, dry_run: bool) -> AsyncIterator[None]:
        """Claim what the Service needs and did not have; give back what it had and no longer needs, or what was
        claimed where the write fails."""
        metadata, spec = obj["metadata"], obj["spec"]
        claims = Claims(self.addresses, self.ports, f"{metadata['namespace']}/{metadata.get('name', '')}", dry_run)
        try:
            await self.claim_addresses(obj, set(claimed_addresses(before)), claims)
            await self.claim_ports(obj, set(claimed_ports(before)), claims)
            yield
        except BaseException:
            await claims.give_back()
            raise
        if not dry_run:
            await self.release(set(claimed_addresses(before)) - set(claimed_addresses(spec)),
                               set(claimed_ports(before)) - set(claimed_ports(spec)))

    async def release(self, addresses: Any, ports: Any) -> None:
        for address in addresses:
            await self.addresses.release(address)
        for port in ports:
            await self.ports.release(port)

    async def claim_addresses(self, obj: Object, held: set[str], claims: Claims) -> None:
        spec = obj["spec"]
        if spec.get("type") not in WITH_ADDRESS or spec.get("clusterIP") == NONE:
            return
        wanted = spec.get("clusterIP") or ""
        if wanted in held or (wanted and not is_address(wanted)):
            return
        shown = json.dumps([wanted])
        given = await claimed(obj, "spec.clusterIPs", shown, f"failed to allocate IP {wanted}: ",
                              partial(claims.address, wanted))
        spec["clusterIP"], spec["clusterIPs"] = given, [given]

    async def claim_ports(self, obj: Object, held: set[int], claims: Claims) -> None:
        spec = obj["spec"]
        mine = set(held)
        if needs_ports(spec):
            for index, port in enumerate(spec.get("ports") or ()):
                wanted = port.get("nodePort") or 0
                if wanted not in mine or not wanted:
                    port["nodePort"] = await claimed(obj, f"spec.ports[{index}].nodePort", str(wanted), "",
                                                     partial(claims.port, wanted))
                    mine.add(port["nodePort"])
        if needs_health_port(spec):
            wanted = spec.get("healthCheckNodePort") or 0
            if wanted not in mine or not wanted:
                spec["healthCheckNodePort"] = await claimed(obj, "spec.healthCheckNodePort", str(wanted), "",
                                                            partial(claims.port, wanted))

    def complete(self, spec: Object) -> None:
        """What follows from the type alone, and the two spellings of one address."""
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy",
                          "healthCheckNodePort"):
                spec.pop(field, None)
        else:
            if spec.get("clusterIP") and not spec.get("clusterIPs"):
                spec["clusterIPs"] = [spec["clusterIP"]]
            elif spec.get("clusterIPs") and not spec.get("clusterIP"):
                spec["clusterIP"] = spec["clusterIPs"][0]
            anything = spec.get("clusterIP") == NONE and not spec.get("selector")
            spec.setdefault("ipFamilyPolicy", "RequireDualStack" if anything else "SingleStack")
            other = "IPv4" if self.family == "IPv6" else "IPv6"
            if not spec.get("ipFamilies"):
                dual = anything and spec["ipFamilyPolicy"] != "SingleStack"
                spec["ipFamilies"] = [self.family, other] if dual else [self.family]
        if not needs_health_port(spec):
            spec.pop("healthCheckNodePort", None)


def needs_ports(spec: Object) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def inherit(spec: Object, before: Object) -> None:
    """Let an update that does not mention what was allocated keep it, and drop what its new type does not need."""
    if spec.get("type") in WITH_ADDRESS and before.get("type") in WITH_ADDRESS and not spec.get("clusterIP") \
            and not spec.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if field in before:
                spec[field] = before[field]
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if spec.get(field) is None and field in before:
            spec[field] = before[field]
    known = {(port.get("protocol", "TCP"), port.get("port")): port["nodePort"]
             for port in before.get("ports") or () if port.get("nodePort")}
    taken = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    for port in spec.get("ports") or ():
        place = (port.get("protocol", "TCP"), port.get("port"))
        if not needs_ports(spec):
            if port.get("nodePort") == known.get(place):
                port.pop("nodePort", None)
        elif not port.get("nodePort") and place in known and known[place] not in taken:
            port["nodePort"] = known[place]
    drop_unneeded(spec, before)
    if needs_health_port(spec) and not spec.get("healthCheckNodePort") and "healthCheckNodePort" in before:
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def drop_unneeded(spec: Object, before: Object) -> None:
    """A change of type takes along the fields of the old type that the user did not touch."""
    balanced = spec.get("type") == "LoadBalancer"
    external = balanced or spec.get("type") == "NodePort" or (spec.get("type") == "ClusterIP"
                                                              and spec.get("externalIPs"))
    unneeded = [*(() if external else ("externalTrafficPolicy",)),
                *(() if balanced else ("allocateLoadBalancerNodePorts", "loadBalancerClass"))]
    for field in unneeded:
        if field in spec and spec[field] == before.get(field):
            del spec[field]


def claimed_addresses(spec: Object) -> list[str]:
    if spec.get("type") == "ExternalName":
        return []
    return [address for address in spec.get("clusterIPs") or () if address and address != NONE]


def claimed_ports(spec: Object) -> list[int]:
    ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    health = spec.get("healthCheckNodePort")
    return [*ports, health] if health else ports


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


async def claimed(obj: Object, field: str, shown: str, prefix: str, claim: Callable[[], Awaitable[T]]) -> T:
    """What a claim gives, its refusals told as Kubernetes tells them."""
    name = obj["metadata"].get("name", "")
    what = "IP" if prefix else "port"
    try:
        return await claim()
    except Taken:
        why = f"{prefix}provided {what} is already allocated"
    except OutOfRange as error:
        why = f"{prefix}{error}"
    except Exhausted as error:
        thing = "serviceIP" if prefix else "nodePort"
        raise InternalError(f"Internal error occurred: failed to allocate a {thing}: {error}") from None
    raise invalid("", "Service", name, [Cause("FieldValueInvalid", field, f"Invalid value: {shown}: {why}")])
