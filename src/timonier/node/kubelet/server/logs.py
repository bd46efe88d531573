"""`/containerLogs/<namespace>/<pod>/<container>`: a container's log, streamed at the client's pace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from timonier.api import times
from timonier.api.types import core_v1
from timonier.component.answers import TEXT, Call, Refused
from timonier.kit.clock import Time
from timonier.kit.streaming.chunked import send
from timonier.node.cri.contract import ContainerState, NotInRuntime, RuntimeFailure
from timonier.node.kubelet.logs.lines import STREAMS, LogOptions
from timonier.node.kubelet.logs.read import read_log
from timonier.node.kubelet.server.host import Host, container_names, container_status

WAITING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
"""What is said instead of a waiting container's reason."""


async def container_logs(call: Call, host: Host, namespace: str, name: str, container: str) -> None:
    """Answer with the log; Refused, with the kubelet's words, where there is none."""
    pod = host.pod(namespace, name)
    if container not in container_names(pod):
        raise Refused(404, f'container "{container}" not found in pod "{name}"')
    options = read_options(call, host.clock.now())
    full_id = logged_container(pod, container, previous=options.previous)
    container_id = full_id.rpartition("://")[2]
    try:
        status = await host.runtime.container_status(container_id)
    except RuntimeFailure as error:
        raise Refused(400, f"unable to retrieve container logs for {full_id}") from error

    async def running() -> bool:
        try:
            return (await host.runtime.container_status(container_id)).state is ContainerState.RUNNING
        except NotInRuntime:
            return False

    path = Path(status.log_path)
    if not await asyncio.to_thread(path.is_file):
        raise Refused(400, f'failed to open log file "{path}": no such file or directory')
    await send(call.take_over(), read_log(path, options, running, host.clock), {"Content-Type": TEXT})


def logged_container(pod: core_v1.Pod, container: str, *, previous: bool) -> str:
    """The id, with its runtime's name, of the container whose log is meant.

    Source: what the kubelet says of containers that have none.
    """
    status = container_status(pod, container)
    where = f'container "{container}" in pod "{pod.metadata.name}"'
    if status is None:
        raise Refused(400, f"{where} is not available")
    state = status.state or core_v1.ContainerState()
    last = status.lastState.terminated.containerID if status.lastState and status.lastState.terminated else None
    if previous:
        if not last:
            raise Refused(400, f"previous terminated {where} not found")
        return last
    if state.running is not None:
        return status.containerID
    if state.terminated is not None or last is not None:
        found = (state.terminated.containerID if state.terminated is not None else "") or last
        if not found:
            raise Refused(400, f"{where} is terminated")
        return found
    if state.waiting is not None:
        reason = state.waiting.reason
        raise Refused(400, f"{where} is waiting to start: {WAITING.get(reason, reason)}")
    raise Refused(400, f"{where} is waiting to start - no logs yet")


def read_options(call: Call, now: Time) -> LogOptions:
    """The query's options. Refused (400) where a value is not of its kind."""
    since = None
    if text := call.parameter("sinceTime"):
        try:
            since = times.parse(text)
        except ValueError as error:
            raise Refused(400, str(error)) from error
    if (seconds := number(call, "sinceSeconds")) is not None:
        since = now - seconds
    stream = call.parameter("stream") or "All"
    if stream not in STREAMS:
        raise Refused(400, f"invalid stream {json.dumps(stream)}")
    return LogOptions(follow=call.flag("follow"), previous=call.flag("previous"), timestamps=call.flag("timestamps"),
                      since=since, tail=number(call, "tailLines"), limit=number(call, "limitBytes"), stream=stream)


def number(call: Call, name: str) -> int | None:
    """A query parameter that counts something; None where it is absent."""
    text = call.parameter(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, f"invalid {name} {json.dumps(text)}")
    return int(text)
