"""pods/proxy, services/proxy, nodes/proxy: HTTP to what runs in the cluster, with the API server in between.

Pods and services are reached through a node's kubelet (`Kubelets.dial`), since nothing else leads into the pod
network; nodes by their own addresses. Answers are streamed, upgrades become tunnels; redirects and the links of HTML
pages lead back below the proxy's path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from timonier.api.errors import BadRequest, Forbidden, ServiceUnavailable
from timonier.apiserver import pages
from timonier.apiserver.documents import Answer
from timonier.apiserver.endpoints import SERVICE, endpoint, refuse_address
from timonier.apiserver.kubelets import base_url, bracketed, kubelets_of, node_address, reason_of
from timonier.apiserver.passing import ANSWER_SECONDS, HOP_BY_HOP, exchange, forwarded, upgrade
from timonier.apiserver.request import Object, Request
from timonier.apiserver.subresources.connect import NODE, POD, admit, node_of, options_of, wants_upgrade
from timonier.kit.http import Connections, HttpError, unverified

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

OPTIONS = {"pods": "PodProxyOptions", "services": "ServiceProxyOptions", "nodes": "NodeProxyOptions"}
SCHEMES = ("", "http", "https")
UNRESERVED = "/:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `connections` are closed after it unless they are `shared`."""

    base: str
    connections: Connections
    shared: bool = False


async def serve(server: ApiServer, request: Request) -> Answer | None:
    path = path_below(request)
    resource = request.info.resource
    options = options_of(request, OPTIONS[resource], path=path)
    await admit(server, request, options, runs=resource == "nodes" and wants_upgrade(request))
    if not path and request.method in ("GET", "HEAD"):
        return Answer(301, [("location", f"{request.path}/{query_of(request)}")], b"")
    found = await {"pods": pod, "services": service, "nodes": node}[resource](server, request, path)
    url = f"{found.base}{quote(path, safe=UNRESERVED) or '/'}{query_of(request)}"
    headers = dict(forwarded(request)) | {"x-forwarded-uri": request.path}
    prefix, hosts = prefix_of(request), frozenset({urlsplit(found.base).netloc, request.headers.get("host", "")})
    try:
        if wants_upgrade(request):
            return await upgrade(server, request, found.connections, url, headers,
                                 lambda theirs: headers_from(prefix, theirs, hosts))
        return await exchange(server, request, found.connections, url, headers,
                              lambda theirs: headers_from(prefix, theirs, hosts), partial(pages.below, prefix, hosts))
    except HttpError as error:
        raise ServiceUnavailable(f"error trying to reach service: {reason_of(error)}") from error
    finally:
        if not found.shared:
            await found.connections.close()


async def pod(server: ApiServer, request: Request, path: str) -> Target:
    scheme, name, port = split_name("pod", request.name)
    found = await server.registry.get(POD, request.namespace, name)
    address = (found.get("status") or {}).get("podIP") or ""
    refuse_address(address)
    if not port:
        ports = (each for container in found["spec"]["containers"] for each in container.get("ports") or ())
        port = str(next((each["containerPort"] for each in ports), ""))
    return through(server, await node_of(server, found), scheme, address, port)


async def service(server: ApiServer, request: Request, path: str) -> Target:
    scheme, name, port = split_name("service", request.name)
    found = await server.registry.get(SERVICE, request.namespace, name)
    behind = endpoint(server.registry, found, port)
    return through(server, behind.via, scheme, behind.address, str(behind.port))


async def node(server: ApiServer, request: Request, path: str) -> Target:
    scheme, name, port = split_name("node", request.name)
    found = await server.registry.get(NODE, "", name)
    kubelet = base_url(found)
    if not port or kubelet.endswith(f":{port}"):
        if path.strip("/").partition("/")[0] == "hop":
            raise Forbidden("the node's hop is for the API server alone")
        return Target(kubelet, kubelets_of(server).connections, shared=True)
    return Target(f"{scheme or 'http'}://{bracketed(node_address(found))}:{port_number(port)}",
                  Connections(unverified(), timeout=ANSWER_SECONDS))


def through(server: ApiServer, via: Object, scheme: str, address: str, port: str) -> Target:
    """A target in the pod network, dialled by the kubelet of a node. Certificates there are not the cluster's own."""
    dial = partial(kubelets_of(server).dial, via)
    suffix = f":{port_number(port)}" if port else ""
    return Target(f"{scheme or 'http'}://{bracketed(address)}{suffix}",
                  Connections(unverified(), timeout=ANSWER_SECONDS, dial=dial))


def split_name(what: str, text: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` as (scheme, name, port). Raises BadRequest."""
    parts = text.split(":")
    scheme, name, port = {1: ("", text, ""), 2: ("", *parts), 3: tuple(parts)}.get(len(parts), ("", "", ""))
    if not name or scheme not in SCHEMES:
        raise BadRequest(f'invalid {what} request "{text}"')
    return scheme, name, port


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 1 << 16):
        raise BadRequest(f"invalid port {text!r}")
    return int(text)


def path_below(request: Request) -> str:
    """What follows `/proxy` in the path, with its slashes as they are."""
    marker = f"/{request.name}/proxy"
    _, found, rest = request.path.partition(marker)
    return rest if found else "".join(f"/{part}" for part in request.info.rest)


def query_of(request: Request) -> str:
    pairs = [(name, value) for name, values in request.query.items() for value in values]
    return f"?{urlencode(pairs)}" if pairs else ""


def headers_from(prefix: str, headers: Mapping[str, str], hosts: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The other side's headers for the client; a redirect stays below the proxy's path."""
    for name, value in headers.items():
        if name == "location":
            yield name, pages.moved(value, prefix, hosts)
        elif name not in HOP_BY_HOP and name != "date":
            yield name, value


def prefix_of(request: Request) -> str:
    """The path below which everything is the other side's."""
    before, _, _ = request.path.partition(f"/{request.name}/proxy")
    return f"{before}/{request.name}/proxy"
