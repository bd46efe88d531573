"""pods/attach: the connection becomes the streams of a container's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.apiserver.documents import Answer
from timonier.apiserver.request import Request
from timonier.apiserver.subresources.connect import POD, admit, container_of, node_of, options_of, tunnel
from timonier.apiserver.subresources.exec import KUBELET_FLAGS, flag_query

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

ON_BY_DEFAULT = ("stdout", "stderr")


async def serve(server: ApiServer, request: Request) -> Answer | None:
    flags = {flag: request.flag(flag) if flag in request.query else flag in ON_BY_DEFAULT for flag in KUBELET_FLAGS}
    container = request.parameter("container")
    await admit(server, request, options_of(request, "PodAttachOptions", container=container, **flags))
    pod = await server.registry.get(POD, request.namespace, request.name)
    path = f"/attach/{request.namespace}/{request.name}/{container_of(pod, container)}"
    return await tunnel(server, request, await node_of(server, pod), path, flag_query(flags))
