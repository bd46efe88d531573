"""What exec, attach, port-forward, log and proxy share: whose rights, which pod, which container, which node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timonier.api.errors import BadRequest
from timonier.api.kinds import BY_ID
from timonier.apiserver.admission.contract import CONNECT
from timonier.apiserver.documents import Answer
from timonier.apiserver.kubelets import Query, kubelets_of
from timonier.apiserver.request import Object, Request
from timonier.kit.streaming.relay import relay
from timonier.kit.streaming.switching import switching
from timonier.kit.taken import Taken

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

POD, NODE = BY_ID["v1/Pod"], BY_ID["v1/Node"]
PASSED_ON = ("x-stream-protocol-version", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol")
"""Request headers that reach the kubelet. Extensions of WebSocket do not, so that nobody negotiates compression."""


async def admit(server: ApiServer, request: Request, options: Object, *, runs: bool = True) -> None:
    """Let admission judge a connection. A GET that `runs` something needs the right to create as well.

    A WebSocket can only be asked for by GET, and the right to read must not be enough to run a command.
    """
    if runs and request.verb == "get":
        await server.authoriser.demand(request.attributes(verb="create"))
    attributes = request.attributes(operation=CONNECT)
    await server.registry.admission.admit(attributes, options, None)
    await server.registry.admission.validate(attributes, options, None)


def options_of(request: Request, kind: str, **fields: Any) -> Object:
    """A connection's options as the object that admission sees."""
    return {"kind": kind, "apiVersion": "v1"} | {name: value for name, value in fields.items() if value}


async def node_of(server: ApiServer, pod: Object) -> Object:
    """The node that a pod runs on. Raises BadRequest for a pod that has none."""
    name = (pod.get("spec") or {}).get("nodeName")
    if not name:
        raise BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    return await server.registry.get(NODE, "", name)


def container_of(pod: Object, asked: str) -> str:
    """The container that is meant: the one asked for, or the only one. Raises BadRequest."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names, init, later = ([each["name"] for each in spec.get(field) or ()]
                          for field in ("containers", "initContainers", "ephemeralContainers"))
    if asked:
        if asked not in (*names, *init, *later):
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1:
        return str(names[0])
    message = f"a container name must be specified for pod {name}"
    if names:
        message += f", choose one of: [{' '.join(names)}]"
        if init:
            message += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(message)


async def tunnel(server: ApiServer, request: Request, node: Object, path: str, query: Query) -> Answer | None:
    """Make the client's connection one to a node's kubelet; its refusal, as it is, where it does not switch."""
    if not wants_upgrade(request):
        raise BadRequest("Upgrade request required")
    headers = {"Connection": "Upgrade", "Upgrade": request.headers["upgrade"]}
    headers |= {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    response, link = await kubelets_of(server).upgrade(request.method, node, path, query, headers)
    if link is None:
        content_type = response.headers.get("content-type", "text/plain; charset=utf-8")
        return Answer(response.status, [("content-type", content_type)], response.body)
    assert request.take_over is not None
    taken: Taken = request.take_over()
    taken.write(switching(response.headers))
    with server.metrics.long_running(request):
        await relay(taken, link, until=taken.ended)
    return None


def wants_upgrade(request: Request) -> bool:
    tokens = (token.strip().lower() for token in request.headers.get("connection", "").split(","))
    return "upgrade" in tokens and bool(request.headers.get("upgrade"))
