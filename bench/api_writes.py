"""API writes over TLS onto a durable store: beside the bare store that takes the same bytes from as many writers, and
beside a bare uvicorn application that takes the same bodies and answers with the same bytes.

Pods are of one template, as most are, and once of none."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import uvloop
from api_load import Keys, api_server, bare_server, free_port, load, process, request
from api_reads import PODS, ROUNDS, fetch, pod
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
        for number, (title, url, make, writers, count) in enumerate((
                ("create ConfigMaps, 1 client", CONFIGS, config, 1, 1000),
                ("create ConfigMaps, 16 clients", CONFIGS, config, 16, 4800),
                ("create pods, 1 client", PODS, pod, 1, 1000),
                ("create pods, 16 clients", PODS, pod, 16, 4800),
                ("create pods, no two alike, 16 clients", PODS, odd_pod, 16, 4800))):
            await load(port, keys.client(), [iter([request("POST", url, make(f"first-{number}"))])])
            value = await fetch(keys, port, f"{url}/first-{number}")
            bare = await store_writes(folder / f"bare{number}.db", value, writers, count // writers)
            names = (f"w{number}-{name}" for name in itertools.count())
            ours, posted = await taken(keys, port, folder / "answer", value, url, make, names, writers, count)
            rows += [Row(title, ours[0], bare, "/s", "bare store, same bytes"),
                     Row("  the same", ours[0], posted[0], "/s", "bare uvicorn POST, same bytes"),
                     Row("  p50", ours[1], posted[1], "ms", "bare uvicorn POST, same bytes"),
                     Row("  p99", ours[2], posted[2], "ms", "bare uvicorn POST, same bytes")]
    return rows


def config(name: str) -> bytes:
    return json.dumps({"metadata": {"name": name}, "data": {"key": "x" * 500}}).encode()


def odd_pod(name: str) -> bytes:
    """A pod with a spec that no other one has, as of no template."""
    return pod(name).replace(b"VARIABLE_0", name.upper().replace("-", "_").encode())


def requests(url, make, names, count):  # type: ignore[no-untyped-def]
    for name in itertools.islice(names, count):
        yield request("POST", url, make(name))


async def taken(keys, port, file, answer, url, make, names, writers, count):  # type: ignore[no-untyped-def]
    """Requests a second, and p50 and p99 in ms: of ours, and of a server that takes them and does nothing with them.

    Medians of rounds in turns, so that a machine that is busy for a while is so to both.
    """
    file.write_bytes(answer)
    bare = free_port()
    with process(bare_server(keys, bare, file), bare):
        rounds = [[await load(each, keys.client(), [requests(url, make, names, count // writers // ROUNDS)
                                                    for _ in range(writers)])
                   for each in (port, bare)] for _ in range(ROUNDS)]
    return [[median(figures) for figures in zip(*each, strict=True)] for each in zip(*rounds, strict=True)]


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
