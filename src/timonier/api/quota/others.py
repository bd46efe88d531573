"""What services, volume claims and device claims use beside being objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.api.quota.amounts import added, larger, maximum, number

Object = dict[str, Any]

NODE_PORTS, BALANCERS = "services.nodeports", "services.loadbalancers"
SERVICES = frozenset({"services", NODE_PORTS, BALANCERS})
CLAIMS, STORAGE = "persistentvolumeclaims", "requests.storage"
OF_CLASS = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
OF_DEVICES = ".deviceclass.resource.k8s.io/devices"
ALL_DEVICES = 32
"""As many as a claim can be given at most: what one that wants all of a kind is charged."""


def service(obj: Object) -> dict[str, str]:
    spec = obj.get("spec") or {}
    ports, kind = spec.get("ports") or [], spec.get("type", "ClusterIP")
    node_ports, balancers = 0, 0
    if kind == "NodePort":
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        balancers = 1
        wanted = spec.get("allocateLoadBalancerNodePorts") is not False
        node_ports = len(ports) if wanted else sum(bool(port.get("nodePort")) for port in ports)
    return {"services": number(1), NODE_PORTS: number(node_ports), BALANCERS: number(balancers)}


def about_service(name: str) -> bool:
    return name in SERVICES


def claim(obj: Object) -> dict[str, str]:
    """One claim and what it requests, altogether and of its class."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    used = {CLAIMS: number(1)}
    requested = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if requested is not None:
        allocated = (status.get("allocatedResources") or {}).get("storage")
        used[STORAGE] = requested if allocated is None else larger(requested, allocated)
    if of_class := storage_class(obj):
        used |= {f"{of_class}{OF_CLASS}{name}": amount for name, amount in used.items()}
    return used


def about_claim(name: str) -> bool:
    return name in (CLAIMS, STORAGE) or name.endswith((OF_CLASS + CLAIMS, OF_CLASS + STORAGE))


def storage_class(obj: Object) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    return str(annotations.get(CLASS_ANNOTATION) or (obj.get("spec") or {}).get("storageClassName") or "")


def devices(obj: Object) -> dict[str, str]:
    """Devices by class; of alternatives the most of each."""
    used: dict[str, str] = {}
    for request in ((obj.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: dict[str, str] = {}
        for alternative in alternatives(request):
            count = ALL_DEVICES if alternative.get("allocationMode") == "All" else alternative.get("count") or 1
            most = maximum(most, {f"{alternative['deviceClassName']}{OF_DEVICES}": number(count)})
        used = added(used, most)
    return used


def alternatives(request: Object) -> Iterator[Object]:
    if exactly := request.get("exactly"):
        yield exactly
    yield from request.get("firstAvailable") or ()


def about_devices(name: str) -> bool:
    return name.endswith(OF_DEVICES)
