"""Network namespaces for tests: made and removed with `ip`, entered by threads, so that a test has sockets in several.

A socket belongs to the namespace of the thread that made it, and may be used from anywhere afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from support import machine

T = TypeVar("T")


def ip(command: str) -> str:
    return subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True).stdout


class Namespace:
    """A network namespace of this run with its loopback up."""

    def __init__(self, name: str) -> None:
        self.name = f"{machine.PREFIX}-{name}"
        ip(f"netns add {self.name}")
        self.ip("link set lo up")

    def ip(self, command: str) -> str:
        return ip(f"-n {self.name} {command}")

    def run(self, *command: str) -> str:
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.name}", *command], check=True,
                              capture_output=True, text=True).stdout

    def enter(self) -> None:
        """Put the calling thread into this namespace, for good."""
        machine.enter_namespace(f"/run/netns/{self.name}")

    def inside(self, act: Callable[[], T]) -> T:
        """What `act` returns, run in this namespace."""
        with ThreadPoolExecutor(1, initializer=self.enter) as pool:
            return pool.submit(act).result(timeout=30)

    def delete(self) -> None:
        ip(f"netns del {self.name}")

    # Sockets

    def tcp(self) -> socket.socket:
        return self.inside(lambda: timed(socket.socket(socket.AF_INET, socket.SOCK_STREAM)))

    def udp(self) -> socket.socket:
        return self.inside(lambda: timed(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))

    def ask(self, address: str, port: int) -> str:
        """What a `Responder` says when asked by TCP from this namespace."""
        with self.tcp() as client:
            client.connect((address, port))
            return client.recv(200).decode()


def timed(made: socket.socket) -> socket.socket:
    made.settimeout(3)
    return made


class Responder:
    """Tells whoever connects (TCP) or sends something (UDP) its own name and the address that it sees:
    `name 10.0.0.1`."""

    def __init__(self, namespace: Namespace, name: str, port: int, address: str = "0.0.0.0") -> None:
        self.name = name
        self.tcp, self.udp = namespace.tcp(), namespace.udp()
        self.tcp.settimeout(None)
        self.udp.settimeout(None)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, port))
        self.tcp.listen(128)
        self.udp.bind((address, port))
        self._threads = [threading.Thread(target=self._serve_tcp, daemon=True),
                         threading.Thread(target=self._serve_udp, daemon=True)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.tcp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # not connected, and woken all the same
            self.udp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(3)
        self.tcp.close()
        self.udp.close()

    def _serve_tcp(self) -> None:
        while True:
            try:
                client, (address, _) = self.tcp.accept()
            except OSError:
                return
            with client:
                client.sendall(f"{self.name} {address}".encode())

    def _serve_udp(self) -> None:
        while True:
            try:
                question, client = self.udp.recvfrom(100)
                if not question:
                    return
                self.udp.sendto(f"{self.name} {client[0]}".encode(), client)
            except OSError:
                return


@contextmanager
def loop_in(namespace: Namespace) -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """An event loop of its own in a namespace, to which coroutines are handed: `submit(coroutine) -> result`."""
    loop = asyncio.new_event_loop()
    pool = ThreadPoolExecutor(2, initializer=namespace.enter)
    loop.set_default_executor(pool)

    def live() -> None:
        namespace.enter()
        loop.run_forever()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()

    def submit(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=30)

    try:
        yield submit
    finally:
        submit(end_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        pool.shutdown()
        loop.close()


async def end_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def connect(one: Namespace, device: str, other: Namespace, peer: str) -> None:
    """A wire between two namespaces."""
    ip(f"link add {device} netns {one.name} type veth peer name {peer} netns {other.name}")
    one.ip(f"link set {device} up")
    other.ip(f"link set {peer} up")


def attach_pod(node: Namespace, pod: Namespace, address: str, gateway: str, device: str) -> None:
    """Put a pod on a node as CNI's ptp plugin does."""
    connect(node, device, pod, "eth0")
    node.ip(f"addr add {gateway}/32 dev {device}")
    node.ip(f"route add {address}/32 dev {device} src {gateway}")
    pod.ip(f"addr add {address}/32 dev eth0")
    pod.ip(f"route add {gateway}/32 dev eth0")
    pod.ip(f"route add default via {gateway}")
