"""What the kubelet asks of the API server, as a face that tests can put on, and its one real implementation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from timonier.api import errors, times
from timonier.api.types import coordination_v1, core_v1, node_v1
from timonier.client.client import STRATEGIC_PATCH, Client
from timonier.kit.clock import Time
from timonier.kit.http import HttpError
from timonier.node.kubelet.environment import Objects

Unreachable = (errors.ApiError, HttpError)
"""What a call can fail with: the server's refusal, or no answer."""


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    expires: Time


class Tell(Protocol):
    """Records an event about an object; never waits. `reconcile.events.Recorder.event` is one."""

    def __call__(self, about: Any, reason: str, message: str, *, type: str = "Normal",  # noqa: A002
                 fieldPath: str = "") -> None: ...


class Api(Protocol):
    """Every call raises one of `Unreachable`."""

    async def objects(self, namespace: str, config_maps: Iterable[str], secrets: Iterable[str]) -> Objects:
        """These ConfigMaps and Secrets, None for those that do not exist."""

    async def token(self, pod: core_v1.Pod, audience: str, seconds: int) -> Token: ...

    async def patch_status(self, pod: core_v1.Pod, status: dict[str, Any]) -> core_v1.Pod: ...

    async def delete_pod(self, pod: core_v1.Pod) -> None:
        """Remove a pod that has ended from the API, if it is still this one; fine where it is gone."""

    async def create_pod(self, pod: core_v1.Pod) -> None:
        """Create a mirror pod; fine where there is one."""

    def services(self, namespace: str) -> Sequence[core_v1.Service]:
        """Services of a namespace, and `default/kubernetes`."""

    async def runtime_handler(self, runtime_class: str) -> str:
        """What the runtime calls a RuntimeClass; NotFound where there is none of that name."""

    async def node(self, name: str) -> core_v1.Node | None: ...

    async def create_node(self, node: core_v1.Node) -> core_v1.Node: ...

    async def patch_node(self, name: str, patch: dict[str, Any], subresource: str = "") -> core_v1.Node: ...

    async def lease(self, name: str) -> coordination_v1.Lease | None: ...

    async def write_lease(self, lease: coordination_v1.Lease) -> coordination_v1.Lease: ...


NODE_LEASES = "kube-node-lease"


class ClientApi:
    """`Api` over the client; services come from an informer that somebody else runs."""

    def __init__(self, client: Client, services: Any) -> None:
        self.client, self._services = client, services

    async def objects(self, namespace: str, config_maps: Iterable[str], secrets: Iterable[str]) -> Objects:
        names, secret_names = sorted(config_maps), sorted(secrets)
        found = await asyncio.gather(*(self._get(core_v1.ConfigMap, name, namespace) for name in names))
        hidden = await asyncio.gather(*(self._get(core_v1.Secret, name, namespace) for name in secret_names))
        return Objects(dict(zip(names, found, strict=True)), dict(zip(secret_names, hidden, strict=True)))

    async def _get(self, cls: Any, name: str, namespace: str) -> Any:
        try:
            return await self.client.get(cls, name, namespace)
        except errors.NotFound:
            return None

    async def token(self, pod: core_v1.Pod, audience: str, seconds: int) -> Token:
        audiences = [audience] if audience else []
        status = await self.client.token(pod.spec.serviceAccountName or "default", pod.metadata.namespace,
                                         audiences=audiences, seconds=seconds, pod=pod)
        return Token(status.token, times.parse(status.expirationTimestamp))

    async def patch_status(self, pod: core_v1.Pod, status: dict[str, Any]) -> core_v1.Pod:
        meta = pod.metadata
        patch = {"metadata": {"uid": meta.uid}, "status": status}
        return await self.client.patch(core_v1.Pod, meta.name, meta.namespace, patch, kind_of_patch=STRATEGIC_PATCH,
                                       subresource="status")

    async def delete_pod(self, pod: core_v1.Pod) -> None:
        meta = pod.metadata
        try:
            await self.client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid, grace=0)
        except (errors.NotFound, errors.Conflict):
            return

    async def create_pod(self, pod: core_v1.Pod) -> None:
        with contextlib.suppress(errors.AlreadyExists):
            await self.client.create(pod)

    def services(self, namespace: str) -> Sequence[core_v1.Service]:
        return [service for service in self._services.list()
                if service.metadata.namespace == namespace
                or (service.metadata.namespace, service.metadata.name) == ("default", "kubernetes")]

    async def runtime_handler(self, runtime_class: str) -> str:
        return (await self.client.get(node_v1.RuntimeClass, runtime_class)).handler

    async def node(self, name: str) -> core_v1.Node | None:
        found: core_v1.Node | None = await self._get(core_v1.Node, name, "")
        return found

    async def create_node(self, node: core_v1.Node) -> core_v1.Node:
        return await self.client.create(node)

    async def patch_node(self, name: str, patch: dict[str, Any], subresource: str = "") -> core_v1.Node:
        return await self.client.patch(core_v1.Node, name, "", patch, kind_of_patch=STRATEGIC_PATCH,
                                       subresource=subresource)

    async def lease(self, name: str) -> coordination_v1.Lease | None:
        found: coordination_v1.Lease | None = await self._get(coordination_v1.Lease, name, NODE_LEASES)
        return found

    async def write_lease(self, lease: coordination_v1.Lease) -> coordination_v1.Lease:
        if lease.metadata.resourceVersion:
            return await self.client.update(lease)
        return await self.client.create(lease)
