"""Where Services lead: Endpoints and EndpointSlices."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.containers import PROTOCOLS

MOST_ENDPOINTS, MOST_ADDRESSES, MOST_PORTS, MOST_HINTS = 1000, 100, 20000, 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def endpoint_address(value: str, path: str, causes: Causes) -> None:
    """An address that traffic can be sent to from anywhere in the cluster."""
    address = ipaddress.ip_address(value)
    if address.is_unspecified:
        causes.invalid(path, value, f"may not be unspecified ({value})")
    if address.is_loopback:
        causes.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        causes.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(address in network for network in LINK_LOCAL_MULTICAST):
        causes.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def endpoints(obj: Obj, causes: Causes) -> None:
    for index, subset in enumerate(obj.get("subsets", ())):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            causes.required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(field, ())):
                subset_address(address, f"{path}.{field}[{place}]", causes)
        ports = subset.get("ports", ())
        for place, port in enumerate(ports):
            at, name = f"{path}.ports[{place}]", port.get("name", "")
            if not name and len(ports) > 1:
                causes.required(f"{at}.name")
            elif name:
                causes.each_invalid(f"{at}.name", name, names.dns_label(name))
            causes.each_invalid(f"{at}.port", port.get("port", 0), names.port_number(port.get("port", 0)))
            causes.one_of(port, at, "protocol", PROTOCOLS)
            app_protocol(port, at, causes)


def app_protocol(port: Obj, path: str, causes: Causes) -> None:
    if (protocol := port.get("appProtocol")) is not None:
        causes.each_invalid(f"{path}.appProtocol", protocol, names.qualified_name(protocol))


def subset_address(address: Obj, path: str, causes: Causes) -> None:
    value = address.get("ip", "")
    wrong = names.ip(value)
    causes.each_invalid(f"{path}.ip", value, wrong)
    causes.name(address, path, "hostname", names.dns_label)
    if (node := address.get("nodeName")) is not None:
        causes.each_invalid(f"{path}.nodeName", node, names.dns_subdomain(node))
    if not wrong:
        endpoint_address(value, f"{path}.ip", causes)


def endpoint_slice(obj: Obj, causes: Causes) -> None:
    kind = obj.get("addressType", "")
    causes.one_of(obj, "", "addressType", ADDRESS_TYPES)
    listed = obj.get("endpoints", ())
    if len(listed) > MOST_ENDPOINTS:
        causes.too_many("endpoints", len(listed), MOST_ENDPOINTS)
    else:
        for index, endpoint in enumerate(listed):
            slice_endpoint(endpoint, kind, f"endpoints[{index}]", causes)
    slice_ports(obj.get("ports", ()), causes)


def slice_endpoint(endpoint: Obj, kind: str, path: str, causes: Causes) -> None:
    given = endpoint.get("addresses", ())
    if not given:
        causes.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(given) > MOST_ADDRESSES:
        causes.too_many(f"{path}.addresses", len(given), MOST_ADDRESSES)
    for index, address in enumerate(given):
        at = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            causes.each_invalid(at, address, names.dns_subdomain(address))
        elif wrong := names.ip(address):
            causes.each_invalid(at, address, wrong)
        elif kind in ("IPv4", "IPv6"):
            if (":" in address) is (kind == "IPv4"):
                causes.invalid(at, address, f"must be an {kind} address")
            endpoint_address(address, at, causes)
    if (node := endpoint.get("nodeName")) is not None:
        causes.each_invalid(f"{path}.nodeName", node, names.dns_subdomain(node))
    topology(endpoint.get("deprecatedTopology", {}), f"{path}.deprecatedTopology", causes)
    if (hostname := endpoint.get("hostname")) is not None:
        causes.each_invalid(f"{path}.hostname", hostname, names.dns_label(hostname))
    hints(endpoint.get("hints", {}), f"{path}.hints", causes)


def topology(labels: dict[str, str], path: str, causes: Causes) -> None:
    """What an endpoint said of its place before it had fields for that: no more than 16 labels, and not its node."""
    if len(labels) > 16:
        causes.too_many(path, len(labels), 16)
    if "kubernetes.io/hostname" in labels:
        causes.forbidden(f"{path}.key", "must not specify kubernetes.io/hostname; use nodeName instead")
    for key, value in labels.items():
        causes.each_invalid(path, key, names.qualified_name(key))
        causes.each_invalid(path, value, names.label_value(value))


def hints(given: Obj, path: str, causes: Causes) -> None:
    """For which zones and nodes an endpoint is meant."""
    for field, check in (("forZones", names.label_value), ("forNodes", names.dns_subdomain)):
        listed, taken = given.get(field, ()), set[str]()
        if len(listed) > MOST_HINTS:
            causes.too_many(f"{path}.{field}", len(listed), MOST_HINTS)
            continue
        for index, each in enumerate(listed):
            at, name = f"{path}.{field}[{index}].name", each.get("name", "")
            if name in taken:
                causes.duplicate(at, name)
            taken.add(name)
            causes.each_invalid(at, name, check(name))


def slice_ports(ports: Sequence[Obj], causes: Causes) -> None:
    if len(ports) > MOST_PORTS:
        causes.too_many("ports", len(ports), MOST_PORTS)
        return
    taken: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name", "")
        if name:
            causes.each_invalid(f"{path}.name", name, names.dns_label(name))
        if name in taken:
            causes.duplicate(f"{path}.name", name)
        taken.add(name)
        if (number := port.get("port")) is not None:
            causes.each_invalid(f"{path}.port", number, names.port_number(number))
        causes.one_of(port, path, "protocol", PROTOCOLS)
        app_protocol(port, path, causes)


def endpoint_slice_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "addressType")
