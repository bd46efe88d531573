"""What the API benches share: a server as a process, its bare peer, and clients that do as little as they can.

The peer is a raw ASGI application on uvicorn, httptools and uvloop over the same TLS, which sends bytes that it was
given and does nothing else. Both are measured by the same clients, one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from timonier.cluster.certificates import Authority, Identity, signing_key

READY_SECONDS = 20.0
BARE = '''
import sys, ssl, uvicorn
certificate, key, port, body = sys.argv[1:]
body = open(body, "rb").read()
headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
async def app(scope, receive, send):
    while scope["method"] == "POST" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, host="127.0.0.1", port=int(port), http="httptools", loop="uvloop", lifespan="off", ws="none",
            ssl_certfile=certificate, ssl_keyfile=key, log_level="critical", access_log=False)
'''


@dataclass(frozen=True)
class Keys:
    """A CA in a folder, the server's certificate, and an administrator's."""

    folder: Path

    def make(self) -> Keys:
        authority = Authority(self.folder)
        authority.issue("server", Identity("kube-apiserver", hosts=("127.0.0.1",)))
        authority.issue("admin", Identity("kubernetes-admin", groups=("system:masters",)))
        signing_key(self.folder / "sa.key")
        return self

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        return context


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def process(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once its port answers, until the block ends."""
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline or child.poll() is not None:
                raise RuntimeError(f"{command[0]} did not come up")
            time.sleep(0.01)
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)


def api_server(keys: Keys, port: int, store: str = "memory:") -> list[str]:
    pki = keys.folder
    return [sys.executable, "-m", "timonier", "apiserver", "--tls-cert-file", str(pki / "server.crt"),
            "--tls-private-key-file", str(pki / "server.key"), "--client-ca-file", str(pki / "ca.crt"),
            "--service-account-signing-key-file", str(pki / "sa.key"), "--advertise-address", "10.11.12.13",
            "--secure-port", str(port), "--store", store]


def bare_server(keys: Keys, port: int, body: Path) -> list[str]:
    return [sys.executable, "-c", BARE, str(keys.folder / "server.crt"), str(keys.folder / "server.key"), str(port),
            str(body)]


class Client(asyncio.Protocol):
    """One connection that sends a request whenever the last is answered. Understands Content-Length alone."""

    def __init__(self, requests: Iterator[bytes], done: Callable[[], None]) -> None:
        self.requests, self.done = requests, done
        self.missing = self.answers = 0
        self.head = b""
        self.latencies: list[float] = []
        self.statuses: set[bytes] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.done()
            return
        self.sent = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            at = self.head.lower().index(b"content-length: ") + 16
            length = int(self.head[at:self.head.index(b"\r", at)])
            self.statuses.add(self.head[9:12])
            self.missing = length - (len(self.head) - end - 4)
            self.head = b""
        if not self.missing:
            self.latencies.append(time.perf_counter() - self.sent)
            self.next()


async def load(port: int, context: ssl.SSLContext, streams: Sequence[Iterator[bytes]]) -> tuple[float, float, float]:
    """Requests a second, and the median and 99th percentile of their latency in ms, over one connection a stream.

    The connections are there before the time begins.
    """
    loop, waiting = asyncio.get_running_loop(), asyncio.Event()
    left = len(streams)

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            waiting.set()

    clients = [(await loop.create_connection(lambda s=stream: Client(s, done), "127.0.0.1", port, ssl=context,
                                             server_hostname="127.0.0.1")) for stream in streams]
    start = time.perf_counter()
    for _, client in clients:
        client.next()
    await asyncio.wait_for(waiting.wait(), 120)
    seconds = time.perf_counter() - start
    statuses = set().union(*(client.statuses for _, client in clients))
    if statuses - {b"200", b"201"}:
        raise RuntimeError(f"answers with {statuses}")
    latencies = sorted(latency for _, client in clients for latency in client.latencies)
    for transport, _ in clients:
        transport.close()
    await asyncio.sleep(0)
    return (len(latencies) / seconds, latencies[len(latencies) // 2] * 1000,
            latencies[int(len(latencies) * 0.99)] * 1000)


def request(method: str, path: str, body: bytes = b"", kind: str = "application/json",
            accept: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
    if body:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body

