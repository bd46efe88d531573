"""The runtime over gRPC: CRI v1, and containerd's own event stream where CRI has none (before 1.7).

One channel on one Unix socket. The stubs are made from the messages' own (de)serialisers, so there is no generated
service code. What messages mean stands in `messages`; when to call what is the kubelet's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from timonier.kit.clock import Seconds
from timonier.node.cri import containerd_events_pb2 as events_pb
from timonier.node.cri import contract as c
from timonier.node.cri import cri_pb2 as pb
from timonier.node.cri import messages

CALL_LIMIT: Seconds = 120
SANDBOX_LIMIT: Seconds = 240
PULL_LIMIT: Seconds = 1800
MARGIN: Seconds = 30
"""What a call may take beyond the time that the runtime itself was given for it."""
MAX_MESSAGE = 64 * 1024 * 1024
CRI_NAMESPACE = "k8s.io"
TOPICS = {"/tasks/start": c.EventType.CONTAINER_STARTED, "/tasks/exit": c.EventType.CONTAINER_EXITED,
          "/tasks/oom": c.EventType.CONTAINER_OOM}


class Message(Protocol):
    def SerializeToString(self) -> bytes: ...


M = TypeVar("M")


class ContainerdRuntime:
    """`contract.Runtime` on a CRI socket. Nothing is asked before the first call, so the socket may come later."""

    def __init__(self, socket: Path) -> None:
        options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE),
                   ("grpc.default_authority", "localhost"), ("grpc.enable_http_proxy", 0),
                   ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
                   ("grpc.max_reconnect_backoff_ms", 1000)]
        self.channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)

    async def close(self) -> None:
        await self.channel.close()

    # One call.

    async def call(self, method: str, request: Message, answer: type[M], limit: Seconds = CALL_LIMIT) -> M:
        """Call `RuntimeService/<method>`, or another service's where `method` names it."""
        service, _, name = method.rpartition("/")
        stub: Callable[..., Awaitable[M]] = self.channel.unary_unary(
            f"/runtime.v1.{service or 'RuntimeService'}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString)  # type: ignore[attr-defined]
        try:
            return await stub(request, timeout=limit)
        except grpc.aio.AioRpcError as error:
            raise failure(error) from error

    async def call_unless_gone(self, method: str, request: Message, limit: Seconds = CALL_LIMIT) -> None:
        try:
            await self.call(method, request, pb.Nothing, limit)
        except c.NotInRuntime:
            return

    # The runtime itself.

    async def version(self) -> c.Version:
        answer = await self.call("Version", pb.VersionRequest(version="v1"), pb.VersionResponse, 10)
        return c.Version(answer.runtime_name, answer.runtime_version, answer.runtime_api_version)

    async def conditions(self) -> Sequence[c.Condition]:
        answer = await self.call("Status", pb.StatusRequest(), pb.StatusResponse, 10)
        return [c.Condition(one.type, one.status, one.reason, one.message) for one in answer.status.conditions]

    async def events(self) -> AsyncIterator[c.RuntimeEvent]:
        """containerd's `/tasks/*` events in the namespace of CRI; ends by raising when the stream does."""
        stub = self.channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=events_pb.SubscribeRequest.SerializeToString,
            response_deserializer=events_pb.Envelope.FromString)
        stream = stub(events_pb.SubscribeRequest(filters=[f"namespace=={CRI_NAMESPACE},topic~=^/tasks/"]))
        try:
            async for envelope in stream:
                if event := news(envelope):
                    yield event
        except grpc.aio.AioRpcError as error:
            raise failure(error) from error
        finally:
            stream.cancel()

    # Sandboxes.

    async def run_sandbox(self, config: c.SandboxConfig) -> str:
        request = pb.RunPodSandboxRequest(config=messages.sandbox_config(config),
                                          runtime_handler=config.runtime_handler)
        return (await self.call("RunPodSandbox", request, pb.RunPodSandboxResponse, SANDBOX_LIMIT)).pod_sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self.call_unless_gone("StopPodSandbox", pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.call_unless_gone("RemovePodSandbox", pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))

    async def sandboxes(self) -> Sequence[c.Sandbox]:
        answer = await self.call("ListPodSandbox", pb.ListPodSandboxRequest(), pb.ListPodSandboxResponse)
        return [messages.sandbox(one) for one in answer.items]

    async def sandbox_status(self, sandbox_id: str) -> c.SandboxStatus:
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        return messages.sandbox_status((await self.call("PodSandboxStatus", request,
                                                        pb.PodSandboxStatusResponse)).status)

    # Containers.

    async def create_container(self, sandbox_id: str, config: c.ContainerConfig, sandbox: c.SandboxConfig) -> str:
        request = pb.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=messages.container_config(config),
                                            sandbox_config=messages.sandbox_config(sandbox))
        return (await self.call("CreateContainer", request, pb.CreateContainerResponse)).container_id

    async def start_container(self, container_id: str) -> None:
        await self.call("StartContainer", pb.StartContainerRequest(container_id=container_id), pb.Nothing)

    async def stop_container(self, container_id: str, grace: Seconds) -> None:
        request = pb.StopContainerRequest(container_id=container_id, timeout=max(0, round(grace)))
        await self.call_unless_gone("StopContainer", request, grace + CALL_LIMIT)

    async def remove_container(self, container_id: str) -> None:
        await self.call_unless_gone("RemoveContainer", pb.RemoveContainerRequest(container_id=container_id))

    async def containers(self) -> Sequence[c.Container]:
        answer = await self.call("ListContainers", pb.ListContainersRequest(), pb.ListContainersResponse)
        return [messages.container(one) for one in answer.containers]

    async def container_status(self, container_id: str) -> c.ContainerStatus:
        request = pb.ContainerStatusRequest(container_id=container_id)
        return messages.container_status((await self.call("ContainerStatus", request,
                                                          pb.ContainerStatusResponse)).status)

    async def update_resources(self, container_id: str, resources: c.LinuxResources) -> None:
        request = pb.UpdateContainerResourcesRequest(container_id=container_id, linux=messages.resources(resources))
        await self.call("UpdateContainerResources", request, pb.Nothing)

    async def reopen_log(self, container_id: str) -> None:
        await self.call("ReopenContainerLog", pb.ReopenContainerLogRequest(container_id=container_id), pb.Nothing)

    # Streams.

    async def exec_sync(self, container_id: str, command: Sequence[str], limit: Seconds) -> c.ExecResult:
        request = pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=max(1, round(limit)))
        answer = await self.call("ExecSync", request, pb.ExecSyncResponse, limit + MARGIN)
        return c.ExecResult(answer.exit_code, answer.stdout, answer.stderr)

    async def exec_url(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool,
                       stderr: bool) -> str:
        request = pb.ExecRequest(container_id=container_id, cmd=command, tty=tty, stdin=stdin, stdout=stdout,
                                 stderr=stderr)
        return (await self.call("Exec", request, pb.UrlResponse)).url

    async def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str:
        request = pb.AttachRequest(container_id=container_id, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr)
        return (await self.call("Attach", request, pb.UrlResponse)).url

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        request = pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=ports)
        return (await self.call("PortForward", request, pb.UrlResponse)).url

    async def stats(self) -> Sequence[c.ContainerStats]:
        answer = await self.call("ListContainerStats", pb.ListContainerStatsRequest(), pb.ListContainerStatsResponse)
        return [messages.stats(one) for one in answer.stats]

    # Images.

    async def images(self) -> Sequence[c.ImageStatus]:
        answer = await self.call("ImageService/ListImages", pb.ListImagesRequest(), pb.ListImagesResponse)
        return [messages.image(one) for one in answer.images]

    async def image_status(self, image: str) -> c.ImageStatus | None:
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=image))
        answer = await self.call("ImageService/ImageStatus", request, pb.ImageStatusResponse)
        return messages.image(answer.image) if answer.image.id else None

    async def pull_image(self, image: str, auth: c.Auth | None, sandbox: c.SandboxConfig | None) -> str:
        request = pb.PullImageRequest(image=pb.ImageSpec(image=image), auth=messages.auth_config(auth),
                                      sandbox_config=messages.sandbox_config(sandbox) if sandbox else None)
        return (await self.call("ImageService/PullImage", request, pb.PullImageResponse, PULL_LIMIT)).image_ref

    async def remove_image(self, image: str) -> None:
        request = pb.RemoveImageRequest(image=pb.ImageSpec(image=image))
        await self.call("ImageService/RemoveImage", request, pb.Nothing)

    async def image_filesystem(self) -> Sequence[c.FilesystemUsage]:
        answer = await self.call("ImageService/ImageFsInfo", pb.Nothing(), pb.ImageFsInfoResponse)
        return messages.filesystems(answer.image_filesystems)


def failure(error: grpc.aio.AioRpcError) -> c.RuntimeFailure:
    """The contract's error for a gRPC one."""
    code, details = error.code(), error.details() or ""
    kinds = {grpc.StatusCode.NOT_FOUND: c.NotInRuntime, grpc.StatusCode.UNAVAILABLE: c.RuntimeUnavailable}
    return kinds.get(code, c.RuntimeFailure)(code.name, details)


def news(envelope: events_pb.Envelope) -> c.RuntimeEvent | None:
    """What an event says of a container's own process; None for other events and for processes that exec started."""
    kind = TOPICS.get(envelope.topic)
    if kind is None:
        return None
    if kind is c.EventType.CONTAINER_EXITED:
        exit_ = events_pb.TaskExit.FromString(envelope.event.value)
        return c.RuntimeEvent(kind, exit_.container_id) if exit_.id in ("", exit_.container_id) else None
    return c.RuntimeEvent(kind, events_pb.TaskEvent.FromString(envelope.event.value).container_id)
