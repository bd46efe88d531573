"""Services and EndpointSlices, written short."""

from __future__ import annotations

from typing import Any

from timonier.api.types import core_v1, discovery_v1, meta_v1


def service(name: str, ip: str = "", *, ports: list[core_v1.ServicePort] | None = None, port: int = 80,
            protocol: str = "TCP", node_port: int | None = None, ingress: tuple[str, ...] = (),
            labels: dict[str, str] | None = None, namespace: str = "default", **spec: Any) -> core_v1.Service:
    status = core_v1.ServiceStatus()
    if ingress:
        status = core_v1.ServiceStatus(loadBalancer=core_v1.LoadBalancerStatus(
            ingress=[core_v1.LoadBalancerIngress(ip=address) for address in ingress]))
    if node_port:
        spec.setdefault("type", "NodePort")
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, namespace=namespace, labels=labels or {}),
        spec=core_v1.ServiceSpec(
            clusterIP=ip, clusterIPs=[ip] if ip else [],
            ports=ports if ports is not None else [
                core_v1.ServicePort(port=port, protocol=protocol, nodePort=node_port)],
            **spec),
        status=status)


def endpoint(address: str, *, node: str = "a", ready: bool | None = True, serving: bool | None = None,
             terminating: bool | None = None, hostname: str = "", nodes: tuple[str, ...] = (),
             zones: tuple[str, ...] = ()) -> discovery_v1.Endpoint:
    hints = None
    if nodes or zones:
        hints = discovery_v1.EndpointHints(forNodes=[discovery_v1.ForNode(name=n) for n in nodes],
                                           forZones=[discovery_v1.ForZone(name=z) for z in zones])
    return discovery_v1.Endpoint(
        addresses=[address], nodeName=node, hostname=hostname, hints=hints,
        conditions=discovery_v1.EndpointConditions(ready=ready, serving=serving, terminating=terminating))


def slice_of(service_name: str, *endpoints: discovery_v1.Endpoint, port: int = 8080, port_name: str = "",
             protocol: str = "TCP", name: str = "", namespace: str = "default",
             family: str = "IPv4", labels: dict[str, str] | None = None) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(name=name or f"{service_name}-1", namespace=namespace,
                                    labels={"kubernetes.io/service-name": service_name} | (labels or {})),
        addressType=family, endpoints=list(endpoints),
        ports=[discovery_v1.EndpointPort(name=port_name, port=port, protocol=protocol)])


def node(name: str, address: str = "", *, pod_cidr: str = "", labels: dict[str, str] | None = None) -> core_v1.Node:
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, uid=f"uid-{name}", labels=labels or {}),
        spec=core_v1.NodeSpec(podCIDR=pod_cidr, podCIDRs=[pod_cidr] if pod_cidr else []),
        status=core_v1.NodeStatus(
            addresses=[core_v1.NodeAddress(type="InternalIP", address=address)] if address else []))
