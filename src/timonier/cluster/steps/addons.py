"""What every cluster has beyond the API server's own objects: the Service of cluster DNS."""

from __future__ import annotations

from timonier.api.errors import NotFound
from timonier.api.types import core_v1, meta_v1
from timonier.client.client import Client
from timonier.cluster import api
from timonier.cluster.spec import ClusterSpec
from timonier.cluster.steps.step import Context


class WaitForApi:
    title = "Waiting for the API server"

    def do(self, context: Context) -> None:
        api.call(context.spec, api.until_ready, limit=context.timeout)

    def undo(self, context: Context) -> None:
        """Waiting leaves nothing."""


class InstallAddons:
    title = "Installing cluster DNS"

    def do(self, context: Context) -> None:
        async def install(client: Client) -> None:
            await create(client, dns_service(context.spec))

        api.call(context.spec, install, limit=context.timeout)

    def undo(self, context: Context) -> None:
        """The objects lie in the store and go with it."""


async def create(client: Client, obj: core_v1.Service) -> None:
    """Create an object unless it is there; what a user made of it since is theirs.

    Looks first: creating a Service again is refused for its address, before its name.
    """
    try:
        await client.get(type(obj), obj.metadata.name, obj.metadata.namespace)
    except NotFound:
        await client.create(obj)


def dns_service(spec: ClusterSpec) -> core_v1.Service:
    """`kube-system/kube-dns`. It has no selector: each node's agent serves DNS and publishes its own endpoint.

    `internalTrafficPolicy: Local` lets a pod ask its own node.
    """
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="kube-dns", namespace="kube-system", labels={
            "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}),
        spec=core_v1.ServiceSpec(
            clusterIP=spec.dns_address, internalTrafficPolicy="Local",
            ports=[core_v1.ServicePort(name="dns", port=53, protocol="UDP"),
                   core_v1.ServicePort(name="dns-tcp", port=53, protocol="TCP")]))
