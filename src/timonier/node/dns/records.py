"""The records that a Service stands for. Pure. Source: Kubernetes DNS-Based Service Discovery, schema version 1.1.0."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from timonier.api.types import core_v1, discovery_v1
from timonier.node.dns.wire import AAAA, CNAME, NS, PTR, SOA, SRV, TXT, A, name_to_wire

SCHEMA_VERSION = "1.1.0"
TTL = 5
"""Seconds for which a client may keep an answer; asking again is cheap, a stale address is a failed connection."""
REFRESH, RETRY, EXPIRE = 7200, 1800, 86400


class Record(NamedTuple):
    """One record. `name` is lower case without the final dot; `data` is on the wire as it stands."""

    name: str
    type: int
    data: bytes


def service_records(service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice],
                    domain: str) -> set[Record]:
    """All records of one Service, forward and reverse."""
    spec, meta = service.spec, service.metadata
    name = f"{meta.name}.{meta.namespace}.svc.{domain}".lower()
    if spec.type == "ExternalName":
        return set(external(name, spec.externalName))
    if spec.clusterIP == "None":
        return set(headless(name, slices, unready_too=bool(spec.publishNotReadyAddresses)))
    return set(clustered(name, spec))


def external(name: str, target: str) -> Iterator[Record]:
    """A name for a name elsewhere. One that cannot be written on the wire has no record."""
    try:
        yield Record(name, CNAME, name_to_wire(target.rstrip(".")))
    except ValueError:
        return


def clustered(name: str, spec: core_v1.ServiceSpec) -> Iterator[Record]:
    for address in spec.clusterIPs or [spec.clusterIP]:
        if address:
            yield from both_ways(name, address)
    for port in spec.ports:
        if port.name:
            yield service_location(name, port.name, port.protocol, port.port, target=name)


def headless(name: str, slices: Iterable[discovery_v1.EndpointSlice], *, unready_too: bool) -> Iterator[Record]:
    """The endpoints themselves: all at the Service's name, each at its own."""
    for piece in slices:
        for endpoint in piece.endpoints:
            if not (unready_too or endpoint.conditions is None or endpoint.conditions.ready is not False):
                continue
            for address in endpoint.addresses:
                if (record := address_record(name, address)) is None:
                    continue
                own = f"{endpoint.hostname.lower() or dashed(address)}.{name}"
                yield record
                yield from both_ways(own, address)
                for port in piece.ports:
                    if port.name and port.port:
                        yield service_location(name, port.name, port.protocol, port.port, target=own)


def apex(domain: str, dns_address: str, serial: int) -> set[Record]:
    """What stands at the top of the zone: who serves it, by which version of the specification."""
    server = f"ns.dns.{domain}"
    records = {
        Record(domain, SOA, soa_data(domain, serial)),
        Record(domain, NS, name_to_wire(server)),
        Record(f"dns-version.{domain}", TXT, text_data(SCHEMA_VERSION)),
    }
    if dns_address and (record := address_record(server, dns_address)):
        records.add(record)
    return records


def soa_data(domain: str, serial: int) -> bytes:
    return (name_to_wire(f"ns.dns.{domain}") + name_to_wire(f"hostmaster.{domain}")
            + struct.pack("!IIIII", serial & 0xFFFFFFFF, REFRESH, RETRY, EXPIRE, TTL))


def text_data(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def both_ways(name: str, address: str) -> Iterator[Record]:
    if record := address_record(name, address):
        yield record
        yield Record(ipaddress.ip_address(address).reverse_pointer, PTR, name_to_wire(name))


def address_record(name: str, address: str) -> Record | None:
    """A or AAAA; None for what is not an address (an EndpointSlice may hold names)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return Record(name, A if parsed.version == 4 else AAAA, parsed.packed)


def service_location(name: str, port: str, protocol: str, number: int, *, target: str) -> Record:
    owner = f"_{port}._{protocol or 'TCP'}.{name}".lower()
    return Record(owner, SRV, struct.pack("!HHH", 0, 100, number) + name_to_wire(target))


def dashed(address: str) -> str:
    """The name of an endpoint that has none: its address, 10-244-0-5."""
    return address.replace(".", "-").replace(":", "-")


def undashed(label: str) -> bytes | None:
    """The IPv4 address that a pod's label stands for; None if it stands for none."""
    try:
        return ipaddress.IPv4Address(label.replace("-", ".")).packed
    except ValueError:
        return None
