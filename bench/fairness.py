"""Priority and fairness: how long a polite client's GETs take while another user asks for all that it can get.

Both are ordinary users, in one priority level. The greedy one has many connections, each of which asks again as soon as
it is answered or turned away. Beside it stands what the same GETs take while nobody else asks.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import ssl
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from api_load import Keys, api_server, free_port, load, process, request
from table import Row, main

from timonier.cluster.certificates import Authority, Identity

GREEDY, POLITE = "greedy", "polite"
CONNECTIONS = 400
GETS = 200
URL = "/api/v1/namespaces/default/configmaps"
BINDING = {"metadata": {"name": "both"}, "roleRef": {
    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [
    {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"} for name in (GREEDY, POLITE)]}


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        return uvloop.run(compare(Keys(Path(folder)).make()))


async def compare(keys: Keys) -> list[Row]:
    for name in (GREEDY, POLITE):
        Authority(keys.folder).issue(name, Identity(name))
    port = free_port()
    with process(api_server(keys, port), port):
        make = [request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", json.dumps(BINDING).encode()),
                *(request("POST", URL, json.dumps({"metadata": {"name": f"c{n}"}}).encode()) for n in range(50))]
        await load(port, keys.client(), [iter(make)])
        alone = await polite(keys, port)
        ours, theirs = multiprocessing.Pipe()
        flood = multiprocessing.get_context("spawn").Process(target=greedy, args=(theirs, keys, port))
        flood.start()
        try:
            await asyncio.to_thread(ours.recv)
            beside = await polite(keys, port)
        finally:
            flood.terminate()
            flood.join()
    note = f"nobody else asking; greedy: {CONNECTIONS} connections that list"
    return [Row("GET of a polite client, median", beside[1], alone[1], "ms", note),
            Row("  p99", beside[2], alone[2], "ms", note)]


def client(keys: Keys, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(keys.folder / "ca.crt"))
    context.load_cert_chain(keys.folder / f"{name}.crt", keys.folder / f"{name}.key")
    return context


async def polite(keys: Keys, port: int) -> tuple[float, float, float]:
    return await load(port, client(keys, POLITE), [itertools.repeat(request("GET", f"{URL}/c0"), GETS)])


def greedy(said: Connection, keys: Keys, port: int) -> None:
    uvloop.run(flood(said, keys, port))


async def flood(said: Connection, keys: Keys, port: int) -> None:
    """Ask on every connection for ever; says when all have asked once."""
    context, asked = client(keys, GREEDY), itertools.count(1)

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
        for first in itertools.chain([True], itertools.repeat(False)):
            writer.write(request("GET", URL))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.index(b"content-length: ") + 16
            await reader.readexactly(int(head[at:head.index(b"\r", at)]))
            if first and next(asked) == CONNECTIONS:
                said.send(time.time())

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    main(measure, "Fairness")
