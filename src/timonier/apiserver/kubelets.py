"""How the API server reaches kubelets, and through them the pod network.

A kubelet is called at its node's address with the API server's own client certificate, and its serving certificate is
verified. `dial` asks a kubelet for a raw connection to an address that only nodes reach: pods, services.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from timonier.api.errors import ApiError, BadRequest, InternalError, NotFound, Unauthorized
from timonier.apiserver.request import Object
from timonier.kit.http import ConnectionFailed, Connections, HttpError, Response, Stream, unverified
from timonier.kit.streaming.relay import Link

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer
    from timonier.apiserver.settings import ApiServerSettings

DEFAULT_PORT = 10250
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "InternalDNS", "Hostname", "ExternalDNS")
"""Kinds of node addresses, best first."""
ANSWER_SECONDS = 35.0
"""How long a kubelet may take to begin its answer; its runtime may take 30 of them to accept a session."""

Query = Sequence[tuple[str, str]]


class KubeletUnreachable(ApiError):
    """No kubelet answers there. Kubernetes gives this error no reason."""

    code, reason = 500, ""


@dataclass(frozen=True)
class Kubelets:
    """All kubelets of the cluster. `careless` does not verify their certificates, for those who ask for that."""

    connections: Connections
    careless: Connections

    @classmethod
    def of(cls, settings: ApiServerSettings) -> Kubelets:
        """With the certificates that the settings name; without any, kubelets will refuse."""
        careful, careless = tls.create_default_context(cafile=str(settings.client_ca_file)), unverified()
        if settings.kubelet_client_certificate and settings.kubelet_client_key:
            for context in (careful, careless):
                context.load_cert_chain(settings.kubelet_client_certificate, settings.kubelet_client_key)
        return cls(Connections(careful), Connections(careless))

    async def close(self) -> None:
        await self.connections.close()
        await self.careless.close()

    @contextlib.asynccontextmanager
    async def stream(self, method: str, node: Object, path: str, query: Query = (), *,
                     headers: Mapping[str, str] | None = None, body: bytes | None = None,
                     verify: bool = True) -> AsyncIterator[Stream]:
        """An exchange whose answer, whatever its status, is read as it comes. Raises KubeletUnreachable."""
        connections = self.connections if verify else self.careless
        url = base_url(node) + target(path, query)
        opening = connections.stream(method, url, headers, body, within=ANSWER_SECONDS)
        try:
            stream = await opening.__aenter__()
        except HttpError as error:
            raise unreachable(f'{method.capitalize()} "{url}"', error) from error
        try:
            yield stream
        finally:
            await opening.__aexit__(None, None, None)

    async def upgrade(self, method: str, node: Object, path: str, query: Query, headers: Mapping[str, str]
                      ) -> tuple[Response, Link | None]:
        """Ask a kubelet to switch protocols; the connection, where it did."""
        url = base_url(node) + target(path, query)
        try:
            response, reader, writer = await self.connections.upgrade(method, url, headers, within=ANSWER_SECONDS)
        except HttpError as error:
            raise unreachable("error dialing backend", error) from error
        return response, Link(reader, writer) if reader is not None and writer is not None else None

    async def dial(self, node: Object, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection from inside a node to an address of the pod network. Raises ConnectionFailed."""
        url = base_url(node) + f"/hop/{quote(address)}/{port}"
        response, reader, writer = await self.connections.upgrade(
            "GET", url, {"Connection": "Upgrade", "Upgrade": "tcp"}, within=ANSWER_SECONDS)
        if reader is None or writer is None:
            raise ConnectionFailed(response.body.decode(errors="replace").strip().removeprefix("dial tcp "))
        return reader, writer


def kubelets_of(server: ApiServer) -> Kubelets:
    """The server's way to kubelets, made when it is first needed."""
    found = server.parts.get("kubelets")
    if not isinstance(found, Kubelets):
        found = server.parts["kubelets"] = Kubelets.of(server.settings)
    return found


def unreachable(what: str, error: HttpError) -> KubeletUnreachable:
    return KubeletUnreachable(f"{what}: {reason_of(error)}")


def reason_of(error: HttpError) -> str:
    """Why there is no answer, as Go words it where no connection could be made."""
    return f"dial tcp {error}" if isinstance(error, ConnectionFailed) else str(error)


def target(path: str, query: Query) -> str:
    return path + (f"?{urlencode(query)}" if query else "")


def base_url(node: Object) -> str:
    """`https://<address>:<port>` of a node's kubelet. Raises BadRequest for a node that has told no address."""
    host = node_address(node)
    status = node.get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT
    return f"https://{bracketed(host)}:{port}"


def node_address(node: Object) -> str:
    addresses = {each.get("type"): each.get("address") for each in (node.get("status") or {}).get("addresses") or ()}
    for kind in ADDRESS_TYPES:
        if address := addresses.get(kind):
            return str(address)
    raise BadRequest(f'no preferred addresses found; known addresses: []: node "{node["metadata"]["name"]}"')


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def error_of(status: int, body: bytes, resource: str, name: str) -> ApiError:
    """What a kubelet's refusal, in plain text, is for the API server's client."""
    text = body.decode(errors="replace").strip()
    if status == 400:
        return BadRequest(text)
    if status == 404:
        return NotFound(f"the server could not find the requested resource ( {resource} {name})", resource=resource,
                        name=name)
    if status == 401:
        return Unauthorized(f"the kubelet did not accept the API server's certificate: {text}")
    return InternalError(f"Internal error occurred: {text}")
