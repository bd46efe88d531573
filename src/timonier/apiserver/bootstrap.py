"""What every cluster has from its first moment: namespaces, priority classes, the range of service addresses, and the
Service by which pods reach this server. Missing objects are made; what users changed stays as they made it.

Default roles and bindings are data of `auth.policy`, and reconciled by `auth.bootstrap`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from pathlib import Path
from typing import Any

import orjson

from timonier.api.errors import AlreadyExists, ApiError, NotFound
from timonier.api.kinds import BY_ID, Kind
from timonier.api.times import rfc3339
from timonier.apiserver.registry import Registry
from timonier.apiserver.settings import ApiServerSettings
from timonier.kit.clock import Time

log = logging.getLogger(__name__)

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
NAMESPACE, SERVICE, ENDPOINTS, CONFIG_MAP = (
    BY_ID[f"v1/{kind}"] for kind in ("Namespace", "Service", "Endpoints", "ConfigMap"))
SLICE = BY_ID["discovery.k8s.io/v1/EndpointSlice"]
PRIORITY_CLASS = BY_ID["scheduling.k8s.io/v1/PriorityClass"]
SERVICE_CIDR = BY_ID["networking.k8s.io/v1/ServiceCIDR"]
PRIORITIES = {
    "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run in the cluster, but can be "
                                               "moved to another node if necessary."),
    "system-node-critical": (2_000_001_000, "Used for system critical pods that must not be moved from their current "
                                            "node."),
}
APISERVER_LABELS = {"component": "apiserver", "provider": "kubernetes"}


async def bootstrap(registry: Registry, settings: ApiServerSettings) -> None:
    """Make what is missing; safe at every start, and in several servers at once."""
    await asyncio.gather(*(ensure(registry, NAMESPACE, {"metadata": {"name": name}}) for name in NAMESPACES))
    await asyncio.gather(
        *(ensure(registry, PRIORITY_CLASS, {"metadata": {"name": name}, "value": value, "description": text})
          for name, (value, text) in PRIORITIES.items()),
        ensure(registry, SERVICE_CIDR, {"metadata": {"name": "kubernetes"},
                                        "spec": {"cidrs": [settings.service_cluster_ip_range]}}),
        ensure(registry, SERVICE, service(settings)), ensure(registry, CONFIG_MAP, tracking(registry.clock.now())))
    await publish(registry, settings)
    await put(registry, CONFIG_MAP, authentication(settings), "data")


def authentication(settings: ApiServerSettings) -> Object:
    """How servers behind this one know whom to believe: `extension-apiserver-authentication` in kube-system."""
    data = {"client-ca-file": text_of(settings.client_ca_file)}
    if settings.requestheader_client_ca_file is not None:
        lists = {"requestheader-allowed-names": settings.requestheader_allowed_names,
                 "requestheader-extra-headers-prefix": settings.requestheader_extra_headers_prefix,
                 "requestheader-group-headers": settings.requestheader_group_headers,
                 "requestheader-uid-headers": settings.requestheader_uid_headers,
                 "requestheader-username-headers": settings.requestheader_username_headers}
        data |= {"requestheader-client-ca-file": text_of(settings.requestheader_client_ca_file)} | {
            key: orjson.dumps(values).decode() for key, values in lists.items()}
    return {"metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"}, "data": data}


def tracking(now: Time) -> Object:
    """Since when the last use of tokens in Secrets is kept, for whoever wants to delete those that are not used."""
    return {"metadata": {"name": "kube-apiserver-legacy-service-account-token-tracking", "namespace": "kube-system"},
            "data": {"since": rfc3339(now)[:len("2006-01-02")]}}


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def ensure(registry: Registry, kind: Kind, wanted: Object) -> None:
    """Create an object unless there is one of its name."""
    metadata = wanted["metadata"]
    namespace = metadata.get("namespace", "")
    if registry.peek(kind, namespace, metadata["name"]) is not None:
        return
    try:
        await registry.create(kind, wanted, namespace)
    except AlreadyExists:
        return


def service(settings: ApiServerSettings) -> Object:
    """Service `kubernetes`: the first address of the range."""
    first = str(ipaddress.ip_network(settings.service_cluster_ip_range).network_address + 1)
    return {"metadata": {"name": "kubernetes", "namespace": "default", "labels": dict(APISERVER_LABELS)},
            "spec": {"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "sessionAffinity": "None",
                     "ports": [{"name": "https", "port": 443, "protocol": "TCP",
                                "targetPort": settings.secure_port}]}}


async def publish(registry: Registry, settings: ApiServerSettings) -> None:
    """Have Service `kubernetes` lead to where this server is now."""
    address, port = settings.advertise_address, settings.secure_port
    metadata: Object = {"name": "kubernetes", "namespace": "default",
                        "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
    await put(registry, ENDPOINTS, {"metadata": metadata, "subsets": [
        {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]}, "subsets")
    family = "IPv6" if ":" in address else "IPv4"
    await put(registry, SLICE, {
        "metadata": metadata | {"labels": {"kubernetes.io/service-name": "kubernetes"}}, "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}, "endpoints", "ports")


async def put(registry: Registry, kind: Kind, wanted: Object, *fields: str) -> None:
    """Create an object, or give it these fields."""
    name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]

    def edit(old: Object) -> Object | None:
        return None if all(old.get(field) == wanted[field] for field in fields) else \
            old | {field: wanted[field] for field in fields}

    try:
        await registry.change(kind, namespace, name, edit)
    except NotFound:
        await ensure(registry, kind, wanted)


async def keep_published(registry: Registry, settings: ApiServerSettings, every: float) -> None:
    """Repair the endpoints of Service `kubernetes` and the Service itself for as long as the server runs."""
    while True:
        await registry.clock.sleep(every)
        try:
            await bootstrap(registry, settings)
        except ApiError as error:
            log.warning("bootstrap objects not repaired", extra={"error": error.message})
