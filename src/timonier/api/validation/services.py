"""Services and where they lead: Service, Endpoints, EndpointSlice."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.containers import PROTOCOLS
from timonier.api.validation.metadata import labels, port_or_name

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
DAY = 86400
MOST_ENDPOINTS, MOST_ADDRESSES, MOST_PORTS = 1000, 100, 20000
FIXED_ONCE = "may not change once set"


def service(obj: Obj, causes: Causes) -> None:
    spec = obj.get("spec", {})
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    if not spec.get("ports") and kind != "ExternalName" and not headless:
        causes.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        external_name(spec, causes)
    service_ports(spec, causes)
    if "selector" in spec:
        labels(spec["selector"], "spec.selector", causes)
    session(spec, causes)
    addresses(spec, causes)
    causes.one_of(spec, "spec", "type", TYPES)
    node_ports(spec, causes)
    traffic(spec, causes)


def external_name(spec: Obj, causes: Causes) -> None:
    if spec.get("clusterIP"):
        causes.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        causes.required("spec.externalName")
    else:
        causes.each_invalid("spec.externalName", name, names.dns_subdomain(name))


def service_ports(spec: Obj, causes: Causes) -> None:
    ports = spec.get("ports", ())
    taken: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            causes.required(f"{path}.name")
        elif name:
            causes.each_invalid(f"{path}.name", name, names.dns_label(name))
            if name in taken:
                causes.duplicate(f"{path}.name", name)
            taken.add(name)
        causes.each_invalid(f"{path}.port", port.get("port", 0), names.port_number(port.get("port", 0)))
        causes.one_of(port, path, "protocol", PROTOCOLS)
        port_or_name(port.get("targetPort", 0), f"{path}.targetPort", causes)
        if protocol := port.get("appProtocol"):
            causes.each_invalid(f"{path}.appProtocol", protocol, names.qualified_name(protocol))
    pairs: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol"), port.get("port"))
        if pair in pairs:
            causes.duplicate(f"spec.ports[{index}]", {
                "Name": "", "Protocol": pair[0], "AppProtocol": None, "Port": pair[1], "TargetPort": 0, "NodePort": 0})
        pairs.add(pair)


def session(spec: Obj, causes: Causes) -> None:
    causes.one_of(spec, "spec", "sessionAffinity", ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig")
    if spec.get("sessionAffinity") == "ClientIP":
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        seconds = (config or {}).get("clientIP", {}).get("timeoutSeconds", 0)
        if not 0 < seconds <= DAY:
            causes.invalid(path, seconds, f"must be greater than 0 and less than {DAY}")
    elif config is not None:
        causes.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def addresses(spec: Obj, causes: Causes) -> None:
    first, every = spec.get("clusterIP", ""), spec.get("clusterIPs", ())
    if first and every and first != every[0]:
        causes.invalid("spec.clusterIPs", every, "first value must match `clusterIP`")
    for index, address in enumerate(every or ([first] if first else ())):
        if address == "None":
            if index or len(every) > 1:
                causes.invalid(f"spec.clusterIPs[{index}]", address, "'None' must be the first and only value")
        elif wrong := names.ip(address):
            causes.each_invalid(f"spec.clusterIPs[{index}]", address, wrong)
    for index, address in enumerate(spec.get("externalIPs", ())):
        path = f"spec.externalIPs[{index}]"
        if wrong := names.ip(address):
            causes.each_invalid(path, address, wrong)
        else:
            endpoint_address(address, path, causes)
    for index, network in enumerate(spec.get("loadBalancerSourceRanges", ())):
        causes.each_invalid(f"spec.loadBalancerSourceRanges[{index}]", network, names.cidr(network.strip()))


def node_ports(spec: Obj, causes: Causes) -> None:
    taken: set[tuple[Any, int]] = set()
    for index, port in enumerate(spec.get("ports", ())):
        number, path = port.get("nodePort", 0), f"spec.ports[{index}].nodePort"
        if not number:
            continue
        if spec.get("type") == "ClusterIP":
            causes.forbidden(path, "may not be used when `type` is 'ClusterIP'")
        if spec.get("type") == "ExternalName":
            causes.forbidden(path, "may not be used when `type` is 'ExternalName'")
        if (port.get("protocol"), number) in taken:
            causes.duplicate(path, number)
        taken.add((port.get("protocol"), number))


def traffic(spec: Obj, causes: Causes) -> None:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    reachable = spec.get("type") in ("NodePort", "LoadBalancer") or (spec.get("type") == "ClusterIP"
                                                                      and spec.get("externalIPs"))
    if external and not reachable:
        causes.invalid("spec.externalTrafficPolicy", external,
                       "may only be set for externally-accessible services")
    elif external and external not in ("Cluster", "Local"):
        causes.unsupported("spec.externalTrafficPolicy", external, ("Cluster", "Local"))
    elif reachable and not external:
        causes.required("spec.externalTrafficPolicy")
    if internal is not None and internal not in ("Cluster", "Local"):
        causes.unsupported("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    if "allocateLoadBalancerNodePorts" in spec and spec.get("type") != "LoadBalancer":
        causes.forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
    health = spec.get("healthCheckNodePort", 0)
    if health and (spec.get("type") != "LoadBalancer" or external != "Local"):
        causes.invalid("spec.healthCheckNodePort", health,
                       "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")


def service_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """A cluster IP stays for as long as the type asks for one."""
    spec, before = obj.get("spec", {}), old.get("spec", {})
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return
    new, previous = spec.get("clusterIPs") or one(spec.get("clusterIP")), before.get("clusterIPs") \
        or one(before.get("clusterIP"))
    if previous and new and new[0] != previous[0]:
        causes.invalid("spec.clusterIPs[0]", new, FIXED_ONCE)
    elif previous and not new:
        causes.invalid("spec.clusterIPs[0]", new, "primary clusterIP can not be unset")
    health = spec.get("healthCheckNodePort", 0)
    if before.get("healthCheckNodePort") and spec.get("externalTrafficPolicy") == "Local" \
            and before.get("externalTrafficPolicy") == "Local" and health != before["healthCheckNodePort"]:
        causes.forbidden("spec.healthCheckNodePort", "field is immutable")


def one(value: Any) -> list[Any]:
    return [value] if value else []


def endpoint_address(value: str, path: str, causes: Causes) -> None:
    """An address that traffic can be sent to from anywhere in the cluster."""
    address = ipaddress.ip_address(value)
    if address.is_unspecified:
        causes.invalid(path, value, f"may not be unspecified ({value})")
    if address.is_loopback:
        causes.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        causes.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in ipaddress.ip_network("224.0.0.0/24") or address in ipaddress.ip_network("ff02::/16"):
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


def subset_address(address: Obj, path: str, causes: Causes) -> None:
    value = address.get("ip", "")
    if wrong := names.ip(value):
        causes.each_invalid(f"{path}.ip", value, wrong)
    else:
        endpoint_address(value, f"{path}.ip", causes)
    if hostname := address.get("hostname"):
        causes.each_invalid(f"{path}.hostname", hostname, names.dns_label(hostname))
    if (node := address.get("nodeName")) is not None:
        causes.each_invalid(f"{path}.nodeName", node, names.dns_subdomain(node))


def endpoint_slice(obj: Obj, causes: Causes) -> None:
    kind = obj.get("addressType", "")
    causes.one_of(obj, "", "addressType", ("FQDN", "IPv4", "IPv6"))
    listed = obj.get("endpoints", ())
    if len(listed) > MOST_ENDPOINTS:
        causes.too_many("endpoints", len(listed), MOST_ENDPOINTS)
        return
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
    if "deprecatedTopology" in endpoint:
        labels(endpoint["deprecatedTopology"], f"{path}.deprecatedTopology", causes)
    if (hostname := endpoint.get("hostname")) is not None:
        causes.each_invalid(f"{path}.hostname", hostname, names.dns_label(hostname))


def slice_ports(ports: Iterable[Obj], causes: Causes) -> None:
    ports = list(ports)
    if len(ports) > MOST_PORTS:
        causes.too_many("ports", len(ports), MOST_PORTS)
        return
    taken: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name", "")
        if name:
            causes.each_invalid(f"{path}.name", name, names.port_name(name))
        if name in taken:
            causes.duplicate(f"{path}.name", name)
        taken.add(name)
        if (number := port.get("port")) is not None:
            causes.each_invalid(f"{path}.port", number, names.port_number(number))
        causes.one_of(port, path, "protocol", PROTOCOLS)
        if protocol := port.get("appProtocol"):
            causes.each_invalid(f"{path}.appProtocol", protocol, names.qualified_name(protocol))


def endpoint_slice_update(obj: Obj, old: Obj, causes: Causes) -> None:
    causes.immutable(obj, old, "", "addressType")
