"""A runtime of one pod that runs nothing, and a streaming server that speaks SPDY as a runtime's does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonier.api.types import core_v1
from timonier.component.authenticate import Authenticator, User
from timonier.component.authorise import Access
from timonier.kit.clock import Clock, FakeClock
from timonier.kit.serve import serve
from timonier.kit.streaming.spdy import Data, Event, Spdy, StreamOpened
from timonier.node.cri.contract import (
    Container,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    NotInRuntime,
    RuntimeFailure,
    Sandbox,
    SandboxState,
)
from timonier.node.kubelet.server.app import KubeletApi
from timonier.node.kubelet.server.authorise import Authoriser
from timonier.node.kubelet.server.host import Host
from timonier.node.kubelet.server.streams import Streams

TOKEN = "let-me-in"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def pod(**state: Any) -> core_v1.Pod:
    """Pod `default/web` with containers `main` (in the given state) and `side`."""
    made = core_v1.Pod()
    made.metadata.name, made.metadata.namespace, made.metadata.uid = "web", "default", "u1"
    made.spec.containers = [core_v1.Container(name="main"), core_v1.Container(name="side")]
    running = core_v1.ContainerState(running=core_v1.ContainerStateRunning())
    status = {"state": running, "containerID": "containerd://c2"} | state
    made.status.containerStatuses = [core_v1.ContainerStatus(name="main", **status)]
    return made


@dataclass
class FakeRuntime:
    """What the API asks of a runtime; `url` is where its streams are."""

    url: str = ""
    log: Path = Path("/nonexistent")
    refuse: RuntimeFailure | None = None
    ended: bool = False
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def sandboxes(self) -> list[Sandbox]:
        return [Sandbox("s1", "web", "u1", "default", 0, SandboxState.NOT_READY, 1.0),
                Sandbox("s2", "web", "u1", "default", 1, SandboxState.READY, 2.0)]

    async def containers(self) -> list[Container]:
        return [Container("c1", "s2", "main", 0, "img", "ref", ContainerState.EXITED, 1.0),
                Container("c2", "s2", "main", 1, "img", "ref", ContainerState.RUNNING, 2.0)]

    async def container_status(self, container_id: str) -> ContainerStatus:
        if container_id not in ("c1", "c2"):
            raise NotInRuntime("NOT_FOUND", "no such container")
        state = ContainerState.EXITED if self.ended or container_id == "c1" else ContainerState.RUNNING
        path = self.log if container_id == "c2" else self.log.with_name("previous.log")
        return ContainerStatus(container_id, "main", 0, state, 1.0, 2.0, 0.0, 0, "img", "ref", log_path=str(path))

    async def stats(self) -> list[ContainerStats]:
        return [ContainerStats("c2", "main", {}, 10.0, 2_000_000_000, 4096, 512, 3)]

    async def exec_sync(self, container_id: str, command: list[str], limit: float) -> ExecResult:
        return ExecResult(int(command[-1]), b"out", b"err")

    async def exec_url(self, *args: Any, **flags: bool) -> str:
        return self._stream("exec", *args, flags)

    async def attach_url(self, *args: Any, **flags: bool) -> str:
        return self._stream("attach", *args, flags)

    async def port_forward_url(self, *args: Any) -> str:
        return self._stream("port-forward", *args)

    def _stream(self, *asked: Any) -> str:
        self.asked.append(asked)
        if self.refuse:
            raise self.refuse
        return self.url


@dataclass
class Peer:
    """One connection to the streaming server, as its test plays it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes
    spdy: Spdy = field(default_factory=lambda: Spdy(client=False))

    async def events(self, accept: bool = True) -> list[Event]:
        """What came next; nothing when the connection is over."""
        data = await self.reader.read(65536)
        events = self.spdy.receive(data)
        for event in events:
            if accept and isinstance(event, StreamOpened):
                self.writer.write(self.spdy.reply(event.stream))
        return events

    async def opened(self, count: int) -> dict[str, int]:
        """The streams by their type, once so many have been opened."""
        streams: dict[str, int] = {}
        while len(streams) < count:
            streams |= {event.headers["streamtype"]: event.stream for event in await self.events()
                        if isinstance(event, StreamOpened)}
        return streams

    async def received(self, stream: int, count: int) -> bytes:
        got = b""
        while len(got) < count:
            for event in await self.events():
                if isinstance(event, Data) and event.stream == stream:
                    got += event.payload
        return got


@contextlib.asynccontextmanager
async def streaming_server(play: Callable[[Peer], Awaitable[None]],
                           answer: bytes = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                           b"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
                           ) -> AsyncIterator[str]:
    """A runtime's streaming server; its URL."""
    playing: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await play(Peer(reader, writer, request))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/exec/token"
    finally:
        server.close()
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


async def known(token: str) -> User | None:
    return User("tester") if token == TOKEN else None


async def allowed(access: Access) -> bool:
    return True


@contextlib.asynccontextmanager
async def kubelet(runtime: Any, *pods: core_v1.Pod, review: Callable[[Access], Awaitable[bool]] = allowed,
                  clock: Clock | None = None, streams: Streams | None = None, **host: Any) -> AsyncIterator[str]:
    """The kubelet's API over plain HTTP, for holders of TOKEN; its URL."""
    clock = clock or FakeClock()
    api = KubeletApi(Host("n1", runtime, lambda: pods or (pod(),), clock=clock, **host),
                     Authenticator(known, clock), Authoriser("n1", review, clock), streams or Streams())
    listening = socket.create_server(("127.0.0.1", 0))
    started = asyncio.Event()
    serving = asyncio.create_task(serve(api, [listening], started=started))
    await started.wait()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await api.streams.connections.close()
