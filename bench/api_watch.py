"""Watches over TLS: how many deliveries a second a server on one core makes to a thousand watchers, and how quickly it
answers a GET meanwhile.

The watchers are in processes of their own and do no more than they must: they count what each got, and look at the
resourceVersions to see that none is lost or out of order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from operator import ge
from pathlib import Path

import uvloop
from api_load import Keys, api_server, free_port, load, process, request
from table import Row, main

URL = "/api/v1/namespaces/default/configmaps"
WATCHERS, CHANGES = 1000, 1000
WRITERS, PAYLOAD = 16, 200
PROCESSES = 2
IDLE_SECONDS, WRITES = 10, 200
PROTOBUF = "application/vnd.kubernetes.protobuf"
SECONDS = 240
JSON_VERSION = re.compile(rb'"object":\{"kind":"ConfigMap","apiVersion":"v1","metadata":\{"resourceVersion":"(\d+)"')
PROTOBUF_VERSION = re.compile(rb"\x32[\x01-\x09](\d+)\x0a")
"""Field 6 of metadata, and the name behind it."""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        keys = Keys(Path(folder)).make()
        rows = [row for form in ("application/json", PROTOBUF) for row in uvloop.run(fan_out(keys, form))]
        return [*rows, *uvloop.run(among_idle(keys))]


async def fan_out(keys: Keys, form: str) -> list[Row]:
    port, name = free_port(), form.rpartition(".")[2].rpartition("/")[2]
    with process(api_server(keys, port), port) as server, \
            watching(keys, port, f"{URL}?watch=1", form, WATCHERS, CHANGES) as watchers:
        bodies = (json.dumps({"metadata": {"name": f"c{n}"}, "data": {"x": "y" * PAYLOAD}}).encode()
                  for n in range(CHANGES))
        requests = (request("POST", URL, body) for body in bodies)
        used, start = cpu_seconds(server.pid), time.perf_counter()
        await load(port, keys.client(), [requests for _ in range(WRITERS)])
        await asyncio.to_thread(each, watchers)
        seconds, used = time.perf_counter() - start, cpu_seconds(server.pid) - used
    count = WATCHERS * CHANGES
    return [Row(f"deliveries to {WATCHERS:,} watchers, {name}", count / seconds, None, "/s",
                note=f"goal 250,000; none lost, none out of order; the server had {used / seconds:.0%} of a core"),
            Row("  for each second of the server's own time", count / used, None, "/s",
                note="what a core of its own would give")]


async def among_idle(keys: Keys) -> list[Row]:
    """GETs beside writes, and watchers of another kind; and the same without watchers."""
    taken = []
    for count in (WATCHERS, 0):
        port = free_port()
        with process(api_server(keys, port), port), \
                watching(keys, port, "/api/v1/namespaces/default/secrets?watch=1", "application/json", count, 0):
            await load(port, keys.client(), [iter([request("POST", URL, b'{"metadata":{"name":"read"}}')])])
            taken.append(await slowest_read(keys, port))
    return [Row(f"GET, p99, {WATCHERS:,} idle watchers, {WRITES} writes/s", taken[0], taken[1], "ms", "no watchers")]


async def slowest_read(keys: Keys, port: int) -> float:
    """The 99th percentile in ms of GETs, one after the other, while there are writes."""
    writing = asyncio.create_task(write(keys, port))
    reads = itertools.takewhile(lambda _: not writing.done(), itertools.repeat(request("GET", f"{URL}/read")))
    _, _, slowest = await load(port, keys.client(), [reads])
    await writing
    return slowest


async def write(keys: Keys, port: int) -> None:
    """So many writes a second, evenly."""
    start = time.perf_counter()

    async def paced(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=keys.client(),
                                                       server_hostname="127.0.0.1")
        for n in range(first, WRITES * IDLE_SECONDS, 4):
            await asyncio.sleep(max(0.0, start + n / WRITES - time.perf_counter()))
            writer.write(request("POST", URL, json.dumps({"metadata": {"name": f"w{n}"}}).encode()))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.index(b"content-length: ") + 16
            await reader.readexactly(int(head[at:head.index(b"\r", at)]))
        writer.close()
    await asyncio.gather(*(paced(first) for first in range(4)))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def watching(keys: Keys, port: int, url: str, form: str, count: int, events: int) -> Iterator[list[Connection]]:
    """Watchers in processes, each of which says when all of its watches have begun, and when all have their events."""
    ours, children = [], []
    for share in ([count // PROCESSES] * PROCESSES if count else []):
        mine, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("spawn").Process(target=watch, args=(theirs, keys, port, url, form, share,
                                                                                  events))
        child.start()
        ours.append(mine)
        children.append(child)
    try:
        each(ours)
        yield ours
    finally:
        for child in children:
            child.terminate()
            child.join()


def each(watchers: list[Connection]) -> None:
    """The next word of every process; raises what one of them has to complain of."""
    for watcher in watchers:
        if not watcher.poll(SECONDS):
            raise RuntimeError("events went missing")
        if word := watcher.recv():
            raise RuntimeError(word)


class Counter(asyncio.Protocol):
    """A watcher that takes the answer apart into chunks and events, counts them, and looks at their versions."""

    def __init__(self, head: bytes, lines: bool, begun: Callable[[], None], full: Callable[[], None],
                 events: int) -> None:
        self.head, self.lines, self.begun, self.full, self.events = head, lines, begun, full, events
        self.count = self.last = 0
        self.rest = b""
        self.answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.head)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        if not self.answered:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.rest = data
                return
            if not data.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(data[:100])
            data, self.answered = data[end + 4:], True
            self.begun()
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            start, stop = end + 2, end + 2 + int(data[at:end], 16)
            if stop + 2 > len(data):
                break
            self.chunk(data[start:stop])
            at = stop + 2
        self.rest = data[at:]

    def chunk(self, body: bytes) -> None:
        """Whole events: the server never cuts one."""
        if self.lines:
            versions = [int(found) for found in JSON_VERSION.findall(body)]
        else:
            versions, at = [], 0
            while at < len(body):
                end = at + 4 + int.from_bytes(body[at:at + 4], "big")
                versions.append(int(PROTOBUF_VERSION.search(body, at, end)[1]))  # type: ignore[index]
                at = end
        if versions[0] <= self.last or any(map(ge, versions, versions[1:])):
            raise RuntimeError(f"{versions} after {self.last}")
        self.last, self.count = versions[-1], self.count + len(versions)
        if self.count == self.events:
            self.full()


def watch(parent: Connection, keys: Keys, port: int, url: str, form: str, count: int, events: int) -> None:
    """What a process of watchers does."""
    async def run() -> None:
        loop, context = asyncio.get_running_loop(), keys.client()
        begun, full = Tally(count), Tally(count)
        head = f"GET {url} HTTP/1.1\r\nHost: x\r\nAccept: {form}\r\n\r\n".encode()
        loop.set_exception_handler(lambda _, context: parent.send(str(context.get("exception") or context)))
        for _ in range(count):
            await loop.create_connection(lambda: Counter(head, form != PROTOBUF, begun, full, events), "127.0.0.1",
                                         port, ssl=context, server_hostname="127.0.0.1")
        await begun.done.wait()
        parent.send("")
        if events:
            await full.done.wait()
            parent.send("")
        await asyncio.Event().wait()

    uvloop.run(run())


class Tally:
    """Done when it has been called so many times."""

    def __init__(self, left: int) -> None:
        self.left, self.done = left, asyncio.Event()

    def __call__(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.done.set()


if __name__ == "__main__":
    main(measure, "API watches")
