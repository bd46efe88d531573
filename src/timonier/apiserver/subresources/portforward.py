"""pods/portforward: the connection carries connections to ports of a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.api.errors import BadRequest
from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Request
from timonier.apiserver.subresources.connect import POD, admit, node_of, options_of, tunnel

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer


async def serve(server: ApiServer, request: Request) -> Answer | None:
    ports = [port_number(text) for value in request.query.get("ports", ()) for text in value.split(",") if text]
    await admit(server, request, options_of(request, "PodPortForwardOptions", ports=ports))
    pod = await server.registry.get(POD, request.namespace, request.name)
    path = f"/portForward/{request.namespace}/{request.name}"
    return await tunnel(server, request, await node_of(server, pod), path, [("port", str(port)) for port in ports])


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    port = int(text)
    if not 0 < port < 1 << 16:
        raise BadRequest(f'query parameter "ports" has an invalid port: {port}')
    return port
