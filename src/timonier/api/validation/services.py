"""Services. Where they lead is in `endpoints`."""

from __future__ import annotations

import ipaddress
from typing import Any

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.containers import PROTOCOLS
from timonier.api.validation.endpoints import endpoint_address
from timonier.api.validation.metadata import labels, port_or_name

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
WITH_ADDRESS = ("ClusterIP", "LoadBalancer", "NodePort")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
TOPOLOGY_HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
DAY = 86400
FIXED_ONCE = "may not change once set"
LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
NOT_EXTERNAL = "may not be set for ExternalName services"
ONE_EACH = "may specify no more than one IP for each IP family"


def service(obj: Obj, causes: Causes) -> None:
    spec, annotations = obj.get("spec", {}), obj.get("metadata", {}).get("annotations", {})
    kind = spec.get("type", "")
    hints, mode = annotations.get(TOPOLOGY_HINTS), annotations.get(TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        causes.invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", mode,
                       f"must match annotations[{TOPOLOGY_HINTS}] when both are specified")
    if not spec.get("ports") and kind != "ExternalName" and not headless(spec):
        causes.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless(spec):
        causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        external_name(spec, causes)
    service_ports(spec.get("ports", ()), causes)
    if "selector" in spec:
        labels(spec["selector"], "spec.selector", causes)
    session(spec, causes)
    if kind != "ExternalName":
        cluster_addresses(spec, causes)
    for index, address in enumerate(spec.get("externalIPs", ())):
        if wrong := names.ip(address):
            causes.each_invalid(f"spec.externalIPs[{index}]", address, wrong)
        else:
            endpoint_address(address, f"spec.externalIPs[{index}]", causes)
    causes.one_of(spec, "spec", "type", TYPES)
    node_ports(spec, causes)
    same_ports(spec.get("ports", ()), causes)
    load_balancer(spec, annotations, causes)
    load_balancer_class(spec, causes)
    traffic(spec, causes)


def cluster_ips(spec: Obj) -> list[str]:
    given: list[str] = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return given


def headless(spec: Obj) -> bool:
    return cluster_ips(spec) == ["None"]


def external_name(spec: Obj, causes: Causes) -> None:
    if cluster_ips(spec):
        causes.forbidden("spec.clusterIPs", NOT_EXTERNAL)
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            causes.forbidden(f"spec.{field}", NOT_EXTERNAL)
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        causes.required("spec.externalName")
    else:
        causes.each_invalid("spec.externalName", name, names.dns_subdomain(name))


def service_ports(ports: list[Obj], causes: Causes) -> None:
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
        if (protocol := port.get("appProtocol")) is not None:
            causes.each_invalid(f"{path}.appProtocol", protocol, names.qualified_name(protocol))


def same_ports(ports: list[Obj], causes: Causes) -> None:
    pairs: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol"), port.get("port"))
        if pair in pairs:
            causes.duplicate(f"spec.ports[{index}]", {
                "Name": "", "Protocol": pair[0], "AppProtocol": None, "Port": pair[1], "TargetPort": 0, "NodePort": 0})
        pairs.add(pair)


def session(spec: Obj, causes: Causes) -> None:
    causes.one_of(spec, "spec", "sessionAffinity", ("ClientIP", "None"))
    config, path = spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "ClientIP":
        client = None if config is None else config.get("clientIP")
        seconds = None if client is None else client.get("timeoutSeconds")
        for below, value in (("", config), (".clientIP", client), (".clientIP.timeoutSeconds", seconds)):
            if value is None:
                causes.required(path + below, "when session affinity type is ClientIP")
                return
        if not 0 < seconds <= DAY:  # type: ignore[operator]
            causes.invalid(f"{path}.clientIP.timeoutSeconds", seconds, f"must be greater than 0 and less than {DAY}")
    elif spec.get("sessionAffinity") == "None" and config is not None:
        causes.forbidden(path, "must not be set when session affinity is None")


def cluster_addresses(spec: Obj, causes: Causes) -> None:
    """`clusterIP` is the first of `clusterIPs`; these are one address of each family, or `None` alone."""
    first, every, path = spec.get("clusterIP", ""), spec.get("clusterIPs", []), "spec.clusterIPs"
    if first and every and every[0] != first:
        causes.invalid(path, every, "first value must match `clusterIP`")
    elif every and not first:
        causes.invalid(path, every, "must be empty when `clusterIP` is not specified")
    families = spec.get("ipFamilies", [])
    for index, family in enumerate(families):
        if family not in FAMILIES:
            causes.unsupported(f"spec.ipFamilies[{index}]", family, FAMILIES)
        if family in families[:index]:
            causes.duplicate(f"spec.ipFamilies[{index}]", family)
    causes.optional(spec, "spec", "ipFamilyPolicy", FAMILY_POLICIES)
    before = len(causes)
    for index, address in enumerate(every or ([first] if first else ())):
        if index == 0 and address == "None":
            if len(every) > 1:
                causes.invalid(path, every, "'None' must be the first and only value")
        else:
            causes.each_invalid(f"{path}[{index}]", address, names.ip(address))
    wrong = len(causes) > before
    if len(every) > 2:
        causes.invalid(path, every, "may only hold up to 2 values")
    if wrong or headless(spec):
        return
    versions = [ipaddress.ip_address(address).version for address in every]
    if len(versions) > 1 and len(set(versions)) < 2:
        causes.invalid(path, every, ONE_EACH)
    for index, (version, family) in enumerate(zip(versions, families, strict=False)):
        if family in FAMILIES and family != f"IPv{version}":
            causes.invalid(f"{path}[{index}]", every[index],
                           f"expected an {family} value as indicated by `ipFamilies[{index}]`")


def node_ports(spec: Obj, causes: Causes) -> None:
    taken: set[tuple[Any, int]] = set()
    for index, port in enumerate(spec.get("ports", ())):
        number, path = port.get("nodePort", 0), f"spec.ports[{index}].nodePort"
        if not number:
            continue
        if spec.get("type") == "ClusterIP":
            causes.forbidden(path, "may not be used when `type` is 'ClusterIP'")
        if (port.get("protocol"), number) in taken:
            causes.duplicate(path, number)
        taken.add((port.get("protocol"), number))


def load_balancer(spec: Obj, annotations: dict[str, str], causes: Causes) -> None:
    ranges, path, is_one = spec.get("loadBalancerSourceRanges", ()), "spec.LoadBalancerSourceRanges", \
        spec.get("type") == "LoadBalancer"
    if ranges:
        if not is_one:
            causes.forbidden(path, LOAD_BALANCER_ONLY)
        for index, network in enumerate(ranges):
            causes.each_invalid(f"{path}[{index}]", network.strip(), names.cidr(network.strip()))
    elif SOURCE_RANGES in annotations:
        path, text = f"metadata.annotations[{SOURCE_RANGES}]", annotations[SOURCE_RANGES].strip()
        if not is_one:
            causes.forbidden(path, LOAD_BALANCER_ONLY)
        for network in text.split(",") if text else ():
            causes.each_invalid(path, network.strip(), names.cidr(network.strip()))
    if "allocateLoadBalancerNodePorts" in spec and not is_one:
        causes.forbidden("spec.allocateLoadBalancerNodePorts", LOAD_BALANCER_ONLY)


def load_balancer_class(spec: Obj, causes: Causes) -> None:
    name, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is not None:
        if spec.get("type") == "LoadBalancer":
            causes.each_invalid(path, name, names.qualified_name(name))
        else:
            causes.forbidden(path, LOAD_BALANCER_ONLY)


def reachable(spec: Obj) -> bool:
    """Whether traffic from outside comes to a Service."""
    return spec.get("type") in ("NodePort", "LoadBalancer") or bool(spec.get("type") == "ClusterIP"
                                                                    and spec.get("externalIPs"))


def health_checked(spec: Obj) -> bool:
    """Whether a load balancer asks nodes if they have endpoints of their own."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def traffic(spec: Obj, causes: Causes) -> None:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if external and not reachable(spec):
        causes.invalid("spec.externalTrafficPolicy", external,
                       "may only be set for externally-accessible services")
    elif reachable(spec):
        causes.one_of(spec, "spec", "externalTrafficPolicy", ("Cluster", "Local"))
    health = spec.get("healthCheckNodePort", 0)
    if health and not health_checked(spec):
        causes.invalid("spec.healthCheckNodePort", health,
                       "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
    elif health:
        causes.each_invalid("spec.healthCheckNodePort", health, names.port_number(health))
    if internal is None and spec.get("type") in WITH_ADDRESS:
        causes.required("spec.internalTrafficPolicy")
    causes.optional(spec, "spec", "internalTrafficPolicy", ("Cluster", "Local"))
    causes.optional(spec, "spec", "trafficDistribution", DISTRIBUTIONS)


def service_update(obj: Obj, old: Obj, causes: Causes) -> None:
    """What is addressed stays: the primary address and family for as long as the type asks for one."""
    spec, before = obj.get("spec", {}), old.get("spec", {})
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if not (headless(spec) and headless(before)):
            same_address(spec, cluster_ips(spec), cluster_ips(before), causes)
        if not headless(spec) and not headless(before):
            same_families(spec, spec.get("ipFamilies", []), before.get("ipFamilies", []), causes)
    if "LoadBalancer" == spec.get("type") == before.get("type") \
            and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        causes.invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), FIXED_ONCE)
    if health_checked(spec) and health_checked(before) \
            and spec.get("healthCheckNodePort", 0) != before.get("healthCheckNodePort", 0):
        causes.forbidden("spec.healthCheckNodePort", "field is immutable")


def same_address(spec: Obj, now: list[str], then: list[str], causes: Causes) -> None:
    if len(now) == len(then):
        for index, address in enumerate(then):
            if address != now[index]:
                causes.invalid(f"spec.clusterIPs[{index}]", now, FIXED_ONCE)
        return
    if not now:
        causes.invalid("spec.clusterIPs[0]", now, "primary clusterIP can not be unset")
    elif then and now[0] != then[0]:
        causes.invalid("spec.clusterIPs[0]", now, FIXED_ONCE)
    if len(now) == 1 and len(then) > 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        causes.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"),
                       "must be set to 'SingleStack' when releasing the secondary clusterIP")


def same_families(spec: Obj, now: list[str], then: list[str], causes: Causes) -> None:
    if (now and then and now[0] != then[0]) or (len(now) == len(then) and now != then):
        causes.invalid("spec.ipFamilies[0]", now, FIXED_ONCE)
    if len(now) == 1 and len(then) > 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        causes.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"),
                       "must be set to 'SingleStack' when releasing the secondary ipFamily")


def service_status(obj: Obj, old: Obj, causes: Causes) -> None:
    load_balancer_status(obj.get("status", {}).get("loadBalancer", {}), "status.loadBalancer", causes)


def load_balancer_status(status: Obj, path: str, causes: Causes) -> None:
    """Where a load balancer can be reached."""
    for index, ingress in enumerate(status.get("ingress", ())):
        at, address, mode = f"{path}.ingress[{index}]", ingress.get("ip", ""), ingress.get("ipMode")
        if address:
            causes.each_invalid(f"{at}.ip", address, names.ip(address))
        if mode is None:
            if address:
                causes.required(f"{at}.ipMode", "must be specified when `ip` is set")
        elif not address:
            causes.forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set")
        else:
            causes.optional(ingress, at, "ipMode", ("Proxy", "VIP"))
        host_name(ingress, at, causes)


def host_name(ingress: Obj, path: str, causes: Causes) -> None:
    if name := ingress.get("hostname"):
        causes.each_invalid(f"{path}.hostname", name, names.dns_subdomain(name))
        if not names.ip(name):
            causes.invalid(f"{path}.hostname", name, "must be a DNS name, not an IP address")
