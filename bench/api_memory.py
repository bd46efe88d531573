"""Memory of an API server that holds 10,000 pods of 5 KB: after they were written, after all was listed and watched,
and after a restart; beside the bytes of the pods themselves."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from api_load import Keys, api_server, free_port, load, request
from api_reads import PODS, fetch, pods
from table import Row, main

COUNT, POD_BYTES = 10_000, 5_000
CONNECTIONS = 4
PATIENCE = 60.0


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-", dir=Path.cwd()) as name:
        return uvloop.run(grown(Path(name)))


async def grown(folder: Path) -> list[Row]:
    keys, store = Keys(folder).make(), f"sqlite://{folder / 'api.db'}"
    with server(keys, store) as (port, pid):
        await up(keys, port)
        empty = resident(pid)
        numbers = itertools.count()
        await load(port, keys.client(), [iter([request("POST", "/api/v1/namespaces/default/serviceaccounts",
                                                       b'{"metadata":{"name":"default"}}')])])
        await load(port, keys.client(), [pods(numbers, COUNT // CONNECTIONS, POD_BYTES) for _ in range(CONNECTIONS)])
        written = resident(pid)
        size = len(await fetch(keys, port, PODS)) / 2**20
        listed = resident(pid)
    with server(keys, store) as (port, pid):
        await up(keys, port)
        restarted = resident(pid)
    beside = "the pods as a JSON list"
    return [Row("empty", empty, None, "MiB", note="no objects but the cluster's own"),
            Row(f"{COUNT:,} pods of 5 KB, as written", written, size, "MiB", beside),
            Row("  after a list of all", listed, size, "MiB", beside),
            Row("  after a restart", restarted, size, "MiB", beside)]


@contextmanager
def server(keys: Keys, store: str) -> Iterator[tuple[int, int]]:
    """A server's port and process id."""
    port = free_port()
    child = subprocess.Popen(api_server(keys, port, store), stderr=subprocess.DEVNULL)
    try:
        yield port, child.pid
    finally:
        child.terminate()
        child.wait(20)


async def up(keys: Keys, port: int) -> None:
    """Return once an object is answered."""
    begin = time.monotonic()
    while True:
        try:
            await fetch(keys, port, "/api/v1/namespaces/default")
            return
        except OSError:
            if time.monotonic() - begin > PATIENCE:
                raise
            await asyncio.sleep(0.02)


def resident(pid: int) -> float:
    """MiB of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main(measure, "API memory")
