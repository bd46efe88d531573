"""Columns of services, what stands behind them, and what leads to them."""

from __future__ import annotations

from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    at,
    column,
    label_selector,
    labels,
    path,
    some,
    wide,
)


def external(service: Object) -> str:
    """The addresses at which a service is reached from outside."""
    kind, given = at(service, "spec.type", "ClusterIP"), list(at(service, "spec.externalIPs", ()))
    if kind == "ExternalName":
        return str(at(service, "spec.externalName", ""))
    if kind == "LoadBalancer":
        given = sorted({ingress.get("ip") or ingress.get("hostname") or ""
                        for ingress in at(service, "status.loadBalancer.ingress", ())}) + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def ports(service: Object) -> str:
    """`80/TCP`, `80:30080/TCP`."""
    texts = []
    for port in at(service, "spec.ports", ()):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or NONE


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoints(obj: Object) -> str:
    """Ready addresses with ports, the first three."""
    texts = []
    for subset in obj.get("subsets") or ():
        addresses = subset.get("addresses") or ()
        if subset.get("ports"):
            texts += [join(address.get("ip", ""), port["port"]) for port in subset["ports"] for address in addresses]
        else:
            texts += [address.get("ip", "") for address in addresses]
    return some(texts) or NONE


def slice_ports(obj: Object) -> str:
    texts = []
    for port in obj.get("ports") or ():
        texts.append(str(port["port"]) if port.get("port") is not None else port.get("name") or "*")
    return some(texts) or UNSET


def slice_endpoints(obj: Object) -> str:
    endpoints = obj.get("endpoints") or ()
    return some([address for endpoint in endpoints for address in endpoint.get("addresses") or ()]) or UNSET


def hosts(ingress: Object) -> str:
    rules = at(ingress, "spec.rules", ())
    named = [rule["host"] for rule in rules[:3] if rule.get("host")]
    if not named:
        return "*"
    return ",".join(named) + (f" + {len(rules) - 3} more..." if len(rules) > 3 else "")


def balancer(obj: Object) -> str:
    return ",".join(sorted({ingress.get("ip") or ingress.get("hostname") or ""
                            for ingress in at(obj, "status.loadBalancer.ingress", ())}))


def parameters(ingress_class: Object) -> str:
    """`IngressParameters.example.com/name`."""
    found = at(ingress_class, "spec.parameters")
    if not found:
        return NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


def parent(address: Object) -> str:
    found = at(address, "spec.parentRef")
    if not found:
        return NONE
    group = f".{found['group']}" if found.get("group") else ""
    return "/".join(part for part in (f"{found.get('resource', '')}{group}", found.get("namespace"),
                                      found.get("name")) if part)


NETWORK_COLUMNS: dict[str, tuple[Column, ...]] = {
    "v1/Service": (
        NAME, path("Type", "spec.type"), path("Cluster-IP", "spec.clusterIP"), column("External-IP", external),
        column("Port(s)", ports), AGE, wide("Selector", lambda obj: labels(at(obj, "spec.selector")))),
    "v1/Endpoints": (NAME, column("Endpoints", endpoints), AGE),
    "discovery.k8s.io/v1/EndpointSlice": (
        NAME, path("AddressType", "addressType"), column("Ports", slice_ports),
        column("Endpoints", slice_endpoints), AGE),
    "networking.k8s.io/v1/Ingress": (
        NAME, path("Class", "spec.ingressClassName"), column("Hosts", hosts), column("Address", balancer),
        column("Ports", lambda obj: "80, 443" if at(obj, "spec.tls") else "80"), AGE),
    "networking.k8s.io/v1/IngressClass": (
        NAME, path("Controller", "spec.controller"), column("Parameters", parameters), AGE),
    "networking.k8s.io/v1/NetworkPolicy": (
        NAME, column("Pod-Selector", lambda obj: label_selector(at(obj, "spec.podSelector"))), AGE),
    "networking.k8s.io/v1/IPAddress": (NAME, column("ParentRef", parent), AGE),
    "networking.k8s.io/v1/ServiceCIDR": (
        NAME, column("CIDRs", lambda obj: ",".join(at(obj, "spec.cidrs", ()))), AGE),
}
