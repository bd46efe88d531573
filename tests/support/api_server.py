"""A whole API server in the test's process: over the memory store, on a clock that the test moves, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from timonier.api.protobuf import envelope
from timonier.api.protobuf.decode import decoder
from timonier.apiserver.access import access
from timonier.apiserver.admission.order import chain
from timonier.apiserver.app import ApiServer
from timonier.apiserver.audit.auditor import Auditor
from timonier.apiserver.bootstrap import bootstrap
from timonier.apiserver.custom.definitions import Definitions
from timonier.apiserver.feed import Feed
from timonier.apiserver.hooks import hooks_of
from timonier.apiserver.request import MASTERS_GROUP, Request, User
from timonier.apiserver.server import make_registry
from timonier.apiserver.settings import ApiServerSettings
from timonier.cluster.certificates import signing_key
from timonier.kit.clock import FakeClock
from timonier.kit.trust import Authorities
from timonier.store.contract import Store
from timonier.store.memory import MemoryStore

ADMIN = User("admin", groups=(MASTERS_GROUP,))


class Everybody:
    """Takes everyone for the administrator; who may do what is tested elsewhere."""

    async def authenticate(self, request: Request) -> User:
        return ADMIN


@dataclass
class Reply:
    """What came back."""

    code: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def protobuf(self) -> Any:
        """The object of an answer in protobuf."""
        assert self.headers["content-type"] == "application/vnd.kubernetes.protobuf"
        return envelope.decode(self.content)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass
class FakeTaken:
    """A taken connection that gathers what is written; `slow` makes it a client that reads nothing."""

    data: bytearray = field(default_factory=bytearray)
    slow: bool = False
    aborted: bool = False
    open: bool = True
    when_writable: Any = None

    def __post_init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._said: asyncio.Queue[bytes] = asyncio.Queue()

    def feed(self, data: bytes) -> None:
        """Have the client say something."""
        self._said.put_nowait(data)

    async def read(self) -> bytes:
        return await self._said.get()

    @property
    def writable(self) -> bool:
        return not self.slow

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        """Everything was taken at once."""

    def close(self) -> None:
        self.open = False
        if not self.ended.done():
            self.ended.set_result(None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    @property
    def head(self) -> bytes:
        """Status and headers of the answer."""
        return bytes(self.data).partition(b"\r\n\r\n")[0]

    def events(self) -> list[Any]:
        """The watch events received so far, whether as lines of JSON or as messages."""
        _, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[:int(size, 16)]
            rest = rest[int(size, 16) + 2:]
        if b"vnd.kubernetes.protobuf" not in self.head:
            return [orjson.loads(line) for line in body.splitlines()]
        found = []
        while body:
            end = 4 + int.from_bytes(body[:4], "big")
            found.append(decoder("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")(body[4:end]))
            body = body[end:]
        return found


class Cluster:
    """The server, and a client that speaks to it in Python values."""

    def __init__(self, server: ApiServer, store: Store, clock: FakeClock) -> None:
        self.server, self.store, self.clock = server, store, clock
        self.registry, self.feed = server.registry, server.feed
        self.watches: list[asyncio.Task[None]] = []

    async def call(self, method: str, url: str, body: Any = None, *, taken: FakeTaken | None = None,
                   **headers: str) -> Reply:
        path, _, query = url.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        class Exchange:
            peer_certificate = None

            def take_over(self) -> Any:
                return taken

        await self.server.app({
            "type": "http", "method": method, "path": path, "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1), "extensions": {"timonier": Exchange()}}, receive, send)
        if not sent:
            return Reply(0, {}, b"")
        fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], fields, sent[1]["body"])

    async def get(self, url: str, **headers: str) -> Reply:
        return await self.call("GET", url, **headers)

    async def post(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.call("POST", url, body, **headers)

    async def put(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.call("PUT", url, body, **headers)

    async def patch(self, url: str, body: Any, kind: str = "merge-patch") -> Reply:
        return await self.call("PATCH", url, body, content_type=f"application/{kind}+json")

    async def delete(self, url: str, body: Any = None, **headers: str) -> Reply:
        return await self.call("DELETE", url, body, **headers)

    async def watch(self, url: str, *, slow: bool = False, **headers: str) -> FakeTaken:
        """Begin a watch; its events gather in what this returns."""
        taken = FakeTaken(slow=slow)
        self.watches.append(asyncio.ensure_future(self.call("GET", url, taken=taken, **headers)))
        await self.settle()
        return taken

    async def settle(self, *, rest: bool = False) -> None:
        """Let the feed hand on what was written, and watchers have it, unless they are to rest after a long round."""
        await self.feed.current()
        for _ in range(10):
            await asyncio.sleep(0)
        for audience in () if rest else list(self.server.audiences._audiences.values()):
            audience.flush()

    async def close(self) -> None:
        for watch in self.watches:
            watch.cancel()
        await asyncio.gather(*self.watches, return_exceptions=True)
        await hooks_of(self.server).close()
        await self.server.access.close()


def settings_for(folder: Path) -> ApiServerSettings:
    nothing = Path("/nonexistent")
    return ApiServerSettings(nothing, nothing, nothing, signing_key(folder / "sa.key"), "10.0.0.1")


@contextlib.asynccontextmanager
async def running(folder: Path, store: Store | None = None, auditor: Auditor | None = None,
                  **changes: Any) -> AsyncIterator[Cluster]:
    """A cluster with its bootstrap objects."""
    settings = replace(settings_for(folder), **changes)
    clock, kept = FakeClock(), store or MemoryStore()
    feed = Feed(kept, settings.watch_history, settings.watch_history_bytes)
    registry, _, _ = make_registry(settings, feed, clock)
    doors = access(settings, registry, clock, Authorities())
    server = ApiServer(settings, registry, replace(doors, authenticator=Everybody()), clock, auditor)
    registry.admission = chain(server)
    feeding = asyncio.ensure_future(feed.run())
    await feed.ready.wait()
    definitions = Definitions(registry, hooks_of(server))
    definitions.begin()
    defining = asyncio.ensure_future(definitions.run())
    await bootstrap(registry, settings)
    server.bootstrapped.set()
    cluster = Cluster(server, kept, clock)
    try:
        yield cluster
    finally:
        await cluster.close()
        for task in (feeding, defining):
            task.cancel()
        await asyncio.gather(feeding, defining, return_exceptions=True)
        await kept.close()


def made_kind(key: str) -> Any:
    from timonier.api.kinds import BY_ID

    return BY_ID[key]


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "app", "image": "nginx"}]} | spec}


def config(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
