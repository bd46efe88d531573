"""An API server in front of one node `n1`, with everything else of a cluster left out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from timonier.api.errors import Forbidden
from timonier.api.kinds import BY_ID
from timonier.api.types import core_v1
from timonier.apiserver import objects
from timonier.apiserver.app import ApiServer
from timonier.apiserver.auth.counts import Counts
from timonier.apiserver.feed import Feed
from timonier.apiserver.kubelets import Kubelets
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import MASTERS_GROUP, Attributes, Request, User
from timonier.apiserver.settings import ApiServerSettings
from timonier.client.wire import encode
from timonier.cluster.certificates import Authority, Identity
from timonier.component.authenticate import Authenticator
from timonier.component.authenticate import User as KubeletUser
from timonier.component.authorise import Access
from timonier.kit.serve import serve
from timonier.kit.tls import server_context
from timonier.kit.trust import Authorities
from timonier.node.kubelet.server.app import KubeletApi
from timonier.node.kubelet.server.authorise import Authoriser
from timonier.node.kubelet.server.host import Host
from timonier.store.contract import ABSENT
from timonier.store.memory import MemoryStore

API_SERVER = "kube-apiserver-kubelet-client"


class Everybody:
    """Takes anybody for `tester`."""

    async def authenticate(self, request: Request) -> User:
        return User("tester", groups=(MASTERS_GROUP,))


@dataclass
class Rights:
    """Allows everything but what a test forbids."""

    forbidden: Callable[[Attributes], bool] = lambda attributes: False
    asked: list[Attributes] = field(default_factory=list)

    async def demand(self, attributes: Attributes) -> None:
        self.asked.append(attributes)
        if self.forbidden(attributes):
            raise Forbidden(f"may not {attributes.verb}")


@dataclass
class Front:
    """The API server under test and its URL."""

    url: str
    server: ApiServer
    rights: Rights


def node(port: int, name: str = "n1") -> dict[str, Any]:
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
              "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": name}, "spec": {}, "status": status}


@contextlib.asynccontextmanager
async def api_server(authority: Authority, *known: dict[str, Any]) -> AsyncIterator[Front]:
    """An API server over plain HTTP that has the given objects."""
    store = MemoryStore()
    for obj in known:
        kind, meta = BY_ID[f"{obj['apiVersion']}/{obj['kind']}"], obj["metadata"]
        await store.write(kind.key(meta.get("namespace", ""), meta["name"]), objects.encode(obj), expect=ABSENT)
    ca, client = authority.pair, authority.issue("kubelet-client", Identity(API_SERVER))
    settings = ApiServerSettings(ca.certificate, ca.key, ca.certificate, ca.key, "192.0.2.1",
                                 kubelet_client_certificate=client.certificate, kubelet_client_key=client.key)
    feed = Feed(store)
    rights = Rights()
    access: Any = SimpleNamespace(authenticator=Everybody(), authoriser=rights, counts=Counts())
    server = ApiServer(settings, Registry(feed), access)
    server.bootstrapped.set()
    listening = socket.create_server(("127.0.0.1", 0))
    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(serve(server.app, [listening]))]
    try:
        yield Front(f"http://127.0.0.1:{listening.getsockname()[1]}", server, rights)
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        kubelets = server.parts.get("kubelets")
        if isinstance(kubelets, Kubelets):
            await kubelets.close()
        await store.close()


@contextlib.asynccontextmanager
async def kubelet(authority: Authority, host: Host) -> AsyncIterator[int]:
    """The kubelet's API over TLS, for clients of the cluster's CA; its port."""
    async def nobody(token: str) -> KubeletUser | None:
        return None

    async def allowed(access: Access) -> bool:
        return access.user.name == API_SERVER

    authorities = Authorities.from_file(authority.pair.certificate)
    api = KubeletApi(host, Authenticator(nobody, authorities=authorities), Authoriser(host.node_name, allowed))
    pair = authority.issue("kubelet", Identity("system:node:n1", hosts=("127.0.0.1",)))
    listening = socket.create_server(("127.0.0.1", 0))
    started = asyncio.Event()
    ssl = server_context(pair.certificate, pair.key, authority.pair.certificate)
    serving = asyncio.create_task(serve(api, [listening], ssl, started=started))
    await started.wait()
    try:
        yield int(listening.getsockname()[1])
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await api.streams.connections.close()


def pod_of(pod: core_v1.Pod, node_name: str = "n1") -> dict[str, Any]:
    """A pod of a kubelet as the API server stores it, bound to a node."""
    obj: dict[str, Any] = json.loads(encode(pod))
    obj["spec"]["nodeName"] = node_name
    obj["status"]["phase"] = "Running"
    return obj
