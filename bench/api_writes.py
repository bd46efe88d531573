"""API writes over TLS onto a durable store: beside the bare store that takes the same bytes from as many writers, and
beside a bare uvicorn application that takes the same bodies and answers with the same bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path

import uvloop
from api_load import Keys, api_server, bare_server, free_port, load, process, request
from api_reads import PODS, fetch, pod
from table import Row, main

from timonier.store.contract import ABSENT
from timonier.store.sqlite import SqliteStore

CONFIGS = "/api/v1/namespaces/default/configmaps"


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-", dir=Path.cwd()) as folder:
        return uvloop.run(compare(Path(folder)))


async def compare(folder: Path) -> list[Row]:
    rows, keys, port = [], Keys(folder / "pki").make(), free_port()
    with process(api_server(keys, port, f"sqlite://{folder / 'api.db'}"), port):
        await load(port, keys.client(), [iter([request("POST", "/api/v1/namespaces/default/serviceaccounts",
                                                       b'{"metadata":{"name":"default"}}')])])
        for title, url, make, writers, count in (
                ("create ConfigMaps, 1 client", CONFIGS, config, 1, 1000),
                ("create ConfigMaps, 16 clients", CONFIGS, config, 16, 4000),
                ("create pods, 1 client", PODS, pod, 1, 1000),
                ("create pods, 16 clients", PODS, pod, 16, 3000)):
            numbers = itertools.count()
            streams = [requests(url, make, f"w{writers}", numbers, count // writers) for _ in range(writers)]
            ours = await load(port, keys.client(), streams)
            value = await fetch(keys, port, f"{url}/w{writers}-0")
            bare = await store_writes(folder / f"bare{len(rows)}.db", value, writers, count // writers)
            posted = await posts(keys, folder / "answer", value, url, make, writers, count)
            rows += [Row(title, ours[0], bare, "/s", "bare store, same bytes"),
                     Row("  the same", ours[0], posted, "/s", "bare uvicorn POST, same bytes"),
                     Row("  p50", ours[1], None, "ms"), Row("  p99", ours[2], None, "ms")]
    return rows


def config(name: str) -> bytes:
    return json.dumps({"metadata": {"name": name}, "data": {"key": "x" * 500}}).encode()


def requests(url, make, prefix, numbers, count):  # type: ignore[no-untyped-def]
    for _ in range(count):
        yield request("POST", url, make(f"{prefix}-{next(numbers)}"))


async def posts(keys, file, answer, url, make, writers, count):  # type: ignore[no-untyped-def]
    """POSTs a second that a server takes which does nothing with them."""
    file.write_bytes(answer)
    port = free_port()
    with process(bare_server(keys, port, file), port):
        streams = [requests(url, make, f"w{writers}", itertools.count(), count // writers) for _ in range(writers)]
        return (await load(port, keys.client(), streams))[0]


async def store_writes(path: Path, value: bytes, writers: int, count: int) -> float:
    """Durable writes a second of the store alone."""
    store = await SqliteStore.open(path)

    async def write(writer: int) -> None:
        for number in range(count):
            await store.write(f"/configmaps/default/w{writer}-{number}", value, expect=ABSENT)

    start = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    seconds = time.perf_counter() - start
    await store.close()
    return writers * count / seconds


if __name__ == "__main__":
    main(measure, "API writes")
