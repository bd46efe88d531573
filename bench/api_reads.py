"""API reads over TLS, in JSON and in protobuf, beside a bare uvicorn application that sends the very same bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import uvloop
from api_load import Keys, api_server, bare_server, free_port, load, process, request
from table import Row, main

PODS = "/api/v1/namespaces/default/pods"
CONNECTIONS = 8
ROUNDS = 5
MANY, POD_BYTES = 5_000, 5_000
"""Pods of a list, and the size of each as it is answered: 25 MB together."""
PROTOBUF = "application/vnd.kubernetes.protobuf"


def pod(name: str, size: int = 0) -> bytes:
    """A pod that takes about so many bytes in the store, and no fewer than it must."""
    container = {"name": "app", "image": "nginx:1.27", "ports": [{"containerPort": 80}],
                 "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                 "env": [{"name": f"VARIABLE_{n}", "value": "x" * 20} for n in range(10)]}
    metadata = {"name": name, "labels": {"app": "web"}, "annotations": {"note": ""}}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    metadata["annotations"]["note"] = "x" * (size - ADDED - len(json.dumps(obj)))
    return json.dumps(obj).encode()


ADDED = 2_600
"""Bytes that the server adds: defaults, a token's volume, tolerations, a status, who manages what."""


def pods(numbers: Iterator[int], count: int, size: int) -> Iterator[bytes]:
    """Requests that create so many of them."""
    for number in itertools.islice(numbers, count):
        yield request("POST", PODS, pod(f"web-{number:05}", size))


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        return uvloop.run(compare(Keys(Path(folder)).make()))


async def compare(keys: Keys) -> list[Row]:
    rows, port, context, numbers = [], free_port(), keys.client(), itertools.count()
    with process(api_server(keys, port), port):
        await load(port, context, [iter([request("POST", "/api/v1/namespaces/default/serviceaccounts",
                                                 b'{"metadata":{"name":"default"}}')])])
        await load(port, context, [iter([request("POST", PODS, pod("web"))])])
        await load(port, context, [pods(numbers, MANY // CONNECTIONS, POD_BYTES) for _ in range(CONNECTIONS)])
        for title, path, count in (("get one pod", f"{PODS}/web", 20_000), (f"list {MANY:,} pods, 25 MB", PODS, 80)):
            ours, theirs = await compared(keys, port, path, count // ROUNDS)
            rows += [Row(title, ours[0], theirs[0], "/s", "bare uvicorn, same bytes"),
                     Row("  p99", ours[1], theirs[1], "ms", "bare uvicorn, same bytes")]
            rows.append(Row(f"{title}, protobuf", await in_protobuf(keys, port, path, count // ROUNDS), ours[0], "/s",
                            "ours as JSON"))
    return rows


async def rate(keys: Keys, port: int, path: str, count: int,
               accept: str = "application/json") -> tuple[float, float, float]:
    asked = request("GET", path, accept=accept)
    return await load(port, keys.client(), [itertools.repeat(asked, count // CONNECTIONS) for _ in range(CONNECTIONS)])


async def in_protobuf(keys: Keys, port: int, path: str, count: int) -> float:
    """Requests a second, the median of rounds; the first of all makes the messages, which are kept."""
    return median([(await rate(keys, port, path, count, PROTOBUF))[0] for _ in range(ROUNDS)])


async def compared(keys: Keys, port: int, path: str, count: int) -> list[tuple[float, float]]:
    """Requests a second and 99th percentile in ms: of ours, and of a server that only sends what ours answered.

    Medians of rounds in turns, so that a machine that is busy for a while is so to both.
    """
    body = keys.folder / "body"
    body.write_bytes(await fetch(keys, port, path))
    bare = free_port()
    with process(bare_server(keys, bare, body), bare):
        taken = [[await rate(keys, each, path, count) for each in (port, bare)] for _ in range(ROUNDS)]
    return [(median(one[0] for one in figures), median(one[2] for one in figures))
            for figures in zip(*taken, strict=True)]


async def fetch(keys: Keys, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=keys.client(), server_hostname="127.0.0.1")
    writer.write(request("GET", path))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    at = head.index(b"content-length: ") + 16
    body = await reader.readexactly(int(head[at:head.index(b"\r", at)]))
    writer.close()
    return body


if __name__ == "__main__":
    main(measure, "API reads")
