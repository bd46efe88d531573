"""Durable compare-and-swap writes: ours beside a bare sqlite3 loop (the floor) and beside etcd (a peer), same disk.

Every writer replaces its own key, expecting the revision that its last write returned, with a value of 1 KiB. The bare
loop inserts one row a transaction with the same pragmas and does nothing else, so for one writer it is the floor; for
many writers it shows what group commit is worth.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop
from table import Row, main

from timonier.store.contract import ABSENT
from timonier.store.sqlite import SqliteStore

SECONDS = 3.0
VALUE = b"x" * 1024

WriteOnce = Callable[[int, int], Awaitable[int]]
"""(writer, revision that its key is at or 0) -> the new revision."""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-", dir=Path.cwd()) as folder:
        bare = bare_sqlite(Path(folder) / "bare.db")
        ours = {writers: uvloop.run(store_writes(Path(folder) / f"store{writers}.db", writers)) for writers in (1, 64)}
        etcd = etcd_writes(Path(folder))
    rows = []
    for writers, (rate, p50, p99) in ours.items():
        name = f"durable CAS writes, {writers} writer{'s' if writers > 1 else ''}"
        rows.append(Row(name, rate, bare, "/s", "bare sqlite3 loop"))
        if etcd:
            peer_rate, peer_p50, peer_p99 = etcd[writers]
            rows += [Row(name, rate, peer_rate, "/s", "etcd"), Row("  p50", p50, peer_p50, "ms", "etcd"),
                     Row("  p99", p99, peer_p99, "ms", "etcd")]
        else:
            rows += [Row("  p50", p50, None, "ms", note="no etcd here"), Row("  p99", p99, None, "ms")]
    return rows


def bare_sqlite(path: Path) -> float:
    """Durable one-row transactions a second of sqlite3 itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT, value BLOB)")
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        connection.execute("INSERT INTO log (key, value) VALUES ('/pods/default/web', ?)", (VALUE,))
        count += 1
    rate = count / (time.perf_counter() - start)
    connection.close()
    return rate


async def store_writes(path: Path, writers: int) -> tuple[float, float, float]:
    store = await SqliteStore.open(path)

    async def write(writer: int, revision: int) -> int:
        return await store.write(f"/pods/default/{writer}", VALUE, expect=revision or ABSENT)

    figures = await drive(write, writers)
    await store.close()
    return figures


async def drive(write: WriteOnce, writers: int) -> tuple[float, float, float]:
    """Rate a second, median and 99th percentile in milliseconds of writers that write one after the other."""
    delays: list[float] = []
    start = time.perf_counter()

    async def writer(number: int) -> None:
        revision = 0
        while (begun := time.perf_counter()) - start < SECONDS:
            revision = await write(number, revision)
            delays.append(time.perf_counter() - begun)

    await asyncio.gather(*(writer(number) for number in range(writers)))
    rate = len(delays) / (time.perf_counter() - start)
    delays.sort()
    return rate, delays[len(delays) // 2] * 1000, delays[len(delays) * 99 // 100] * 1000


def etcd_writes(folder: Path) -> dict[int, tuple[float, float, float]] | None:
    """The same against Debian's etcd on a loopback port; None where it is not installed."""
    if not shutil.which("etcd"):
        print("etcd is not installed (apt install etcd-server): no peer to compare with")
        return None
    client, peer = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
    server = subprocess.Popen(
        ["etcd", "--data-dir", str(folder / "etcd"),
         "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
         "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
         "--initial-cluster", f"default={urls[1]}", "--logger", "zap", "--log-level", "error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return {writers: asyncio.run(etcd_drive(client, writers)) for writers in (1, 64)}
    finally:
        server.terminate()
        server.wait(10)


async def etcd_drive(port: int, writers: int) -> tuple[float, float, float]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), 20)
        transaction = channel.unary_unary("/etcdserverpb.KV/Txn")
        start = time.monotonic_ns()

        async def write(writer: int, revision: int) -> int:
            answer: bytes = await transaction(swap(f"/{start}/pods/default/{writer}".encode(), revision))
            return revision_of(answer)

        return await drive(write, writers)


def swap(key: bytes, revision: int) -> bytes:
    """etcd's TxnRequest: if the key's mod_revision is `revision`, put VALUE. Encoded by hand: three nested messages."""
    compare = number(1, 0) + number(2, 2) + chunk(3, key) + number(6, revision)  # EQUAL, MOD
    put = chunk(2, chunk(1, key) + chunk(2, VALUE))
    return chunk(1, compare) + chunk(2, put)


def revision_of(answer: bytes) -> int:
    """The revision in a TxnResponse's header, after checking that the transaction succeeded."""
    fields = dict(decode(answer))
    if not fields.get(2):
        raise RuntimeError("etcd: the swap was refused")
    header = fields[1]
    assert isinstance(header, bytes)
    revision = dict(decode(header))[3]
    assert isinstance(revision, int)
    return revision


def decode(message: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a protobuf message of varints and byte strings."""
    fields: list[tuple[int, int | bytes]] = []
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            fields.append((tag >> 3, message[position:position + value]))
            position += value
        else:
            fields.append((tag >> 3, value))
    return fields


def number(field: int, value: int) -> bytes:
    return varint_bytes(field << 3) + varint_bytes(value)


def chunk(field: int, value: bytes) -> bytes:
    return varint_bytes(field << 3 | 2) + varint_bytes(len(value)) + value


def varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(measure, "Store")
