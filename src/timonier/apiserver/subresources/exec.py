"""pods/exec: run a command in a container; the connection becomes its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timonier.apiserver.documents import Answer
from timonier.apiserver.kubelets import Query
from timonier.apiserver.request import Request
from timonier.apiserver.subresources.connect import POD, admit, container_of, node_of, options_of, tunnel

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

KUBELET_FLAGS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""What the kubelet calls the flags of a session."""


async def serve(server: ApiServer, request: Request) -> Answer | None:
    flags = {flag: request.flag(flag) for flag in KUBELET_FLAGS}
    command = request.query.get("command", [])
    container = request.parameter("container")
    await admit(server, request, options_of(request, "PodExecOptions", container=container, command=command, **flags))
    pod = await server.registry.get(POD, request.namespace, request.name)
    container = container_of(pod, container)
    path = f"/exec/{request.namespace}/{request.name}/{container}"
    return await tunnel(server, request, await node_of(server, pod), path,
                        [*flag_query(flags), *(("command", word) for word in command)])


def flag_query(flags: dict[str, bool]) -> Query:
    """The flags that are set, as the kubelet wants them."""
    return [(KUBELET_FLAGS[flag], "1") for flag, value in flags.items() if value]
