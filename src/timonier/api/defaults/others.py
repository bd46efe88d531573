"""Defaults of all else that look at the object: services, namespaces, nodes, volumes, access, extensions."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from timonier.api.defaults.constants import CORE, EXTENSIONS, FLOW, NETWORKING, RBAC, RBAC_GROUP, RESOURCE
from timonier.api.defaults.pods import drop_empty, round_up

Obj = dict[str, Any]
THREE_HOURS = 10800


def service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    drop_empty(spec, "type", "sessionAffinity")
    kind = spec.setdefault("type", "ClusterIP")
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", THREE_HOURS)
    for port in spec.get("ports", ()):
        drop_empty(port, "protocol")
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    reachable = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if reachable and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        load_balancer(obj)


def load_balancer(obj: Obj) -> None:
    obj["spec"].setdefault("allocateLoadBalancerNodePorts", True)
    for ingress in obj.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
        if ingress.get("ip"):
            ingress.setdefault("ipMode", "VIP")


def namespace(obj: Obj) -> None:
    """Every namespace can be selected by its name."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"


def node_status(status: Obj) -> None:
    if "allocatable" not in status and "capacity" in status:
        status["allocatable"] = dict(status["capacity"])


def secret(obj: Obj) -> None:
    """`stringData` is only ever written: it becomes `data`."""
    drop_empty(obj, "type")
    for key, text in obj.pop("stringData", {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(text.encode(errors="surrogatepass")).decode()


def phase(initial: str) -> Callable[[Obj], None]:
    def start(obj: Obj) -> None:
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = initial
    return start


def limit_range_item(item: Obj) -> None:
    """For containers, the default limit is the maximum, the default request the limit, or else the minimum."""
    for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        round_up(item.get(field))
    if item.get("type") == "Container":
        limits = item.get("max", {}) | item.get("default", {})
        requests = item.get("min", {}) | limits | item.get("defaultRequest", {})
        item |= {"default": limits} if limits else {}
        item |= {"defaultRequest": requests} if requests else {}


def network_policy(spec: Obj) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def subject(obj: Obj) -> None:
    if obj.get("kind") in ("User", "Group") and not obj.get("apiGroup"):
        obj["apiGroup"] = RBAC_GROUP


def resource_names(names: Obj) -> None:
    kind = names.get("kind", "")
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = kind + "List"


def flow_schema(spec: Obj) -> None:
    if spec.get("matchingPrecedence") == 0:
        del spec["matchingPrecedence"]


def device_request(obj: Obj) -> None:
    if obj.get("allocationMode", "ExactCount") == "ExactCount" and not obj.get("count"):
        obj["count"] = 1


OTHERS: dict[str, Callable[[Obj], None]] = {
    CORE + "Service": service,
    CORE + "Namespace": namespace,
    CORE + "NodeStatus": node_status,
    CORE + "Secret": secret,
    CORE + "PersistentVolume": phase("Pending"),
    CORE + "PersistentVolumeClaim": phase("Pending"),
    CORE + "LimitRangeItem": limit_range_item,
    CORE + "ResourceQuotaSpec": lambda spec: round_up(spec.get("hard")),
    NETWORKING + "NetworkPolicySpec": network_policy,
    RBAC + "Subject": subject,
    RBAC + "RoleRef": lambda obj: drop_empty(obj, "apiGroup"),
    EXTENSIONS + "CustomResourceDefinitionNames": resource_names,
    FLOW + "FlowSchemaSpec": flow_schema,
    RESOURCE + "ExactDeviceRequest": device_request,
    RESOURCE + "DeviceSubRequest": device_request,
}
