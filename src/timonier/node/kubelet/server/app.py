"""The kubelet's API as an ASGI application: authenticate, authorise, find the handler, answer.

Paths are the kubelet's own, as the API server and monitoring know them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from timonier.api.types import core_v1
from timonier.client.wire import encode
from timonier.component.answers import Call, Refused, Send
from timonier.component.authenticate import Authenticator
from timonier.component.metrics import TYPE as METRICS_TYPE
from timonier.node.cri.contract import NotInRuntime, RuntimeFailure, RuntimeUnavailable
from timonier.node.kubelet.server import channels, files, hop, logs, metrics, stats
from timonier.node.kubelet.server.authorise import Authoriser
from timonier.node.kubelet.server.host import Host, container_names
from timonier.node.kubelet.server.streams import Streams, check_upgrade

log = logging.getLogger(__name__)

RUN_SECONDS = 600.0
"""How long a command that `/run` starts may take."""


@dataclass
class KubeletApi:
    """The application: `kit.serve.serve` calls it for each request."""

    host: Host
    authenticator: Authenticator
    authoriser: Authoriser
    streams: Streams = field(default_factory=Streams)
    rates: stats.Rates = field(default_factory=stats.Rates)

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
                       send: Send) -> None:
        call = Call.of(scope, send)
        try:
            await self._answer(call)
        except Refused as refused:
            await call.answer(refused.status, refused.text.encode(), headers=refused.headers)
        except RuntimeFailure as failure:
            await call.text(str(failure), status_of(failure))

    async def _answer(self, call: Call) -> None:
        user = await self.authenticator.user(call)
        await self.authoriser.check(user, call.method, call.path)
        segments = call.path.strip("/").split("/")
        match segments:
            case ["hop", address, port]:
                await hop.hop(call, user, address, port, idle=self.streams.idle)
            case ["exec" | "attach" | "run" | "portForward", *_]:
                allow(call, *(("POST",) if segments[0] == "run" else ("GET", "POST")))
                await self._in_pod(call, segments)
            case _:
                allow(call, "GET")
                await self._read(call, segments)

    async def _read(self, call: Call, segments: Sequence[str]) -> None:
        """What can be asked without changing anything."""
        host = self.host
        match segments:
            case ["healthz"] | ["healthz", "ping" | "log" | "syncloop"]:
                wrong = host.unhealthy()
                await call.text(wrong or "ok", 500 if wrong else 200)
            case ["pods"]:
                await call.answer(200, pod_list(host.pods()), "application/json")
            case ["runningpods"]:
                await call.answer(200, pod_list(await running_pods(host)), "application/json")
            case ["configz"]:
                await call.json({"kubeletconfig": host.configuration()})
            case ["metrics"]:
                await call.answer(200, await metrics.text(host), METRICS_TYPE)
            case ["metrics", "resource"]:
                await call.answer(200, await stats.resource_metrics(host), METRICS_TYPE)
            case ["stats", "summary"]:
                await call.json(await stats.summary(host, self.rates))
            case ["containerLogs", namespace, pod, container]:
                await logs.container_logs(call, host, namespace, pod, container)
            case ["logs", *path]:
                await files.serve_file(call, host.log_dir, path)
            case _:
                raise Refused(404, "404 page not found\n")

    async def _in_pod(self, call: Call, segments: Sequence[str]) -> None:
        """What runs or talks inside a pod. Paths may carry the pod's uid before the container's name."""
        match segments:
            case ["portForward", namespace, name] | ["portForward", namespace, name, _]:
                await self._port_forward(call, self.host.pod(namespace, name, segments[3] if segments[3:] else ""))
            case [verb, namespace, name, *uid, container] if len(uid) <= 1 and verb != "portForward":
                pod = self.host.pod(namespace, name, uid[0] if uid else "")
                if container not in container_names(pod):
                    raise Refused(404, f'container "{container}" not found in pod "{name}"')
                container_id = await self.host.container_id(pod, container)
                await (self._run if verb == "run" else self._remote_command)(call, verb, container_id)
            case _:
                raise Refused(404, "404 page not found\n")

    async def _remote_command(self, call: Call, verb: str, container_id: str) -> None:
        check_upgrade(call)
        stdin, stdout, tty = call.flag("input"), call.flag("output"), call.flag("tty")
        stderr = call.flag("error") and not tty
        if not (stdin or stdout or stderr):
            raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
        if verb == "exec":
            url = await self.host.runtime.exec_url(container_id, call.query.get("command", []), tty=tty, stdin=stdin,
                                                   stdout=stdout, stderr=stderr)
        else:
            url = await self.host.runtime.attach_url(container_id, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr)
        wanted = channels.wanted(stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        await self.streams.remote_command(call, url, wanted)

    async def _port_forward(self, call: Call, pod: core_v1.Pod) -> None:
        check_upgrade(call)
        ports = [port_number(text) for name in ("port", "ports") for part in call.query.get(name, ())
                 for text in part.split(",")]
        url = await self.host.runtime.port_forward_url(await self.host.sandbox_id(pod), ports)
        await self.streams.port_forward(call, url)

    async def _run(self, call: Call, verb: str, container_id: str) -> None:
        """Run a command without streams and answer with all that it wrote."""
        command = call.query.get("cmd", [""])[0].split()
        result = await self.host.runtime.exec_sync(container_id, command, RUN_SECONDS)
        output = result.stdout + result.stderr
        if result.exit_code:
            output += f"command '{' '.join(command)}' exited with {result.exit_code}".encode()
        await call.answer(500 if result.exit_code else 200, output)


def allow(call: Call, *methods: str) -> None:
    if call.method not in methods:
        raise Refused(405, "405: Method Not Allowed", {"Allow": ", ".join(methods)})


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise Refused(400, f"invalid port {text!r}")
    return int(text)


def status_of(failure: RuntimeFailure) -> int:
    """The HTTP status for what the runtime said, as the CRI streaming server maps it."""
    if isinstance(failure, NotInRuntime):
        return 404
    if isinstance(failure, RuntimeUnavailable):
        return 503
    return 429 if failure.code == "RESOURCE_EXHAUSTED" else 500


def pod_list(pods: Sequence[core_v1.Pod]) -> bytes:
    items = [msgspec.Raw(encode(pod)) for pod in pods]
    return msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})


async def running_pods(host: Host) -> list[core_v1.Pod]:
    """The pods that the runtime has, whatever the kubelet thinks."""
    containers = await host.runtime.containers()
    pods = []
    for sandbox in await host.runtime.sandboxes():
        mine = [each for each in containers if each.sandbox_id == sandbox.id and each.state.value == "running"]
        if not mine:
            continue
        pod = core_v1.Pod()
        pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = sandbox.name, sandbox.namespace, sandbox.uid
        pod.spec.containers = [core_v1.Container(name=each.name, image=each.image) for each in mine]
        pods.append(pod)
    return pods
