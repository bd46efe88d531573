"""From the API server's command to its first answered GET, beside `python -c pass`: with an empty store, and with many
objects in it, which should take longer in proportion to them and no more."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from statistics import median

from api_load import Keys, api_server, free_port
from table import Row, in_turns, main

from timonier.store.contract import ABSENT
from timonier.store.sqlite import SqliteStore

FILLED = (10_000, 50_000)
OBJECT_BYTES = 1000
PATIENCE = 60.0
WRITERS = 64


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        keys = Keys(folder).make()
        fresh = iter(range(10_000))
        started(keys, folder / "first.db")  # leaves byte code behind, as an installation has it
        taken: list[float] = []
        empty, bare = in_turns(lambda: started(keys, folder / f"empty-{next(fresh)}.db", taken), bare_python, rounds=5)
        rows = [Row("first answer, empty store", empty, bare, "s", "python -c pass"),
                Row("  of it on a processor", median(taken), None, "s", note="of the server; the rest it waited")]
        for count in FILLED:
            store = folder / f"{count}.db"
            asyncio.run(fill(store, count))
            [filled] = in_turns(lambda store=store: started(keys, store))  # type: ignore[misc]
            rows.append(Row(f"first answer, {count:,} objects", filled, empty, "s", "empty store",
                            f"{(filled - empty) / count * 1e6:.1f} µs an object"))
    return rows


def started(keys: Keys, store: Path, taken: list[float] | None = None) -> float:
    """Seconds from the command to the first answer to a GET of an object; `taken` gets those of the processor."""
    port = free_port()
    begin = time.perf_counter()
    with running(api_server(keys, port, f"sqlite://{store}")) as pid:
        while time.perf_counter() - begin < PATIENCE:
            connection = HTTPSConnection("127.0.0.1", port, context=keys.client(), timeout=PATIENCE)
            try:
                connection.request("GET", "/api/v1/namespaces/default")
                answer = connection.getresponse()
                if answer.status != 200:
                    raise RuntimeError(f"answered with {answer.status}: {answer.read()!r}")
                if taken is not None:
                    taken.append(processor_time(pid))
                return time.perf_counter() - begin
            except (OSError, HTTPException):
                time.sleep(0.002)
            finally:
                connection.close()
        raise RuntimeError(f"no answer within {PATIENCE:.0f} s")


@contextmanager
def running(command: list[str]) -> Iterator[int]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(20)


def processor_time(pid: int) -> float:
    """Seconds that a process has spent on a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare_python() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begin


async def fill(path: Path, count: int) -> None:
    """A store with so many ConfigMaps."""
    store, numbers = await SqliteStore.open(path), iter(range(count))

    async def write() -> None:
        for number in numbers:
            key = f"/configmaps/default/c{number}"
            await store.write(key, config(number), expect=ABSENT)

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    await store.close()


def config(number: int) -> bytes:
    return b'{"kind":"ConfigMap","apiVersion":"v1","metadata":' + json.dumps(
        {"name": f"c{number}", "namespace": "default", "uid": f"00000000-0000-4000-8000-{number:012}",
         "creationTimestamp": "2026-01-01T00:00:00Z"}, separators=(",", ":")).encode() + \
        b',"data":' + json.dumps({"key": "x" * OBJECT_BYTES}, separators=(",", ":")).encode() + b"}"


if __name__ == "__main__":
    main(measure, "API start")
