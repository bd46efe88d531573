"""One Service changed among 10,000: from the informer's event to the kernel, beside nftables making one change bare.

The floor is one libnftables transaction that replaces one element of a map as large as ours. Also printed: writing the
whole table anew, beside loading the same text; and how long a changed Service takes when hundreds change at once.
Needs root; everything happens in a network namespace that the bench makes.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import statistics
import subprocess
import time
from collections.abc import Callable

from table import Row, main

from timonier.api.types import core_v1, discovery_v1, meta_v1
from timonier.kit.clock import SystemClock
from timonier.kit.nft import Nftables
from timonier.node.proxy import elements, table
from timonier.node.proxy.nftables import KernelTable
from timonier.node.proxy.rules import NodeFacts
from timonier.node.proxy.run import Proxy

SERVICES, ENDPOINTS = 10_000, 3
ROUNDS = 200
BURST = 500
NAMESPACE = "tprx-bench"


class Mirror:
    """What the proxy asks of an informer, in memory."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()
        self.objects: dict[str, object] = {}

    def get(self, key: str) -> object:
        return self.objects.get(key)

    def list(self) -> list[object]:
        return [*self.objects.values()]

    def on_change(self, handler: Callable[[object, object], None]) -> None:
        self.handler = handler
        for each in self.objects.values():
            handler(None, each)

    def put(self, obj: core_v1.Service | discovery_v1.EndpointSlice) -> None:
        key = f"{obj.metadata.namespace}/{obj.metadata.name}"
        old = self.objects.get(key)
        self.objects[key] = obj
        self.handler(old, obj)


def service(n: int) -> core_v1.Service:
    ip = f"10.96.{n >> 8}.{n & 255}"
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name=f"s{n}", namespace="default"), spec=core_v1.ServiceSpec(
        clusterIP=ip, clusterIPs=[ip], ports=[core_v1.ServicePort(port=80, protocol="TCP")]))


def piece(n: int, shift: int = 0) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(name=f"s{n}-1", namespace="default",
                                    labels={"kubernetes.io/service-name": f"s{n}"}),
        addressType="IPv4", ports=[discovery_v1.EndpointPort(port=8080, protocol="TCP")],
        endpoints=[discovery_v1.Endpoint(addresses=[f"10.244.{e}.{(n + shift) % 250 + 1}"], nodeName=f"n{e}")
                   for e in range(ENDPOINTS)])


def measure() -> list[Row]:
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        enter(NAMESPACE)
        return asyncio.run(measure_inside())
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


def enter(namespace: str) -> None:
    with open(f"/var/run/netns/{namespace}", "rb") as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def measure_inside() -> list[Row]:
    services, slices, nodes = Mirror(), Mirror(), Mirror()
    for n in range(SERVICES):
        services.objects[f"default/s{n}"], slices.objects[f"default/s{n}-1"] = service(n), piece(n)
    nft = Nftables()
    kernel = KernelTable("timonier", nft)
    facts = NodeFacts("n0", ("10.89.0.2",), ("10.244.0.0/24",), ("10.96.0.0/16",))
    proxy = Proxy(facts, services, slices, nodes, kernel, SystemClock())  # type: ignore[arg-type]
    services.on_change(proxy._service_changed)  # type: ignore[arg-type]
    slices.on_change(proxy._slice_changed)  # type: ignore[arg-type]
    started = time.perf_counter()
    await proxy.sync()
    first = time.perf_counter() - started
    loaded = timed(lambda: nft.apply(whole(proxy)))
    ours, bare = [], []
    for n in range(ROUNDS):  # in turns, so that a machine that is busy for a while is so to both
        bare.append(timed(lambda n=n: nft.apply(replace_one(n))))  # type: ignore[misc]
        ours.append(await timed_change(proxy, slices, [n * 37 % SERVICES], shift=n + 1))
    burst = await timed_change(proxy, slices, range(BURST), shift=99)
    process = [timed(lambda n=n: nft_process(replace_one(n))) for n in range(20)]  # type: ignore[misc]
    floor, alone = statistics.median(bare) * 1000, "libnftables, one element"
    return [
        Row("one Service of 10,000 changed", statistics.median(ours) * 1000, floor, "ms", alone),
        Row("the same, 99th percentile", sorted(ours)[int(len(ours) * 0.99)] * 1000, floor, "ms", "the same median"),
        Row("500 Services at once, each", burst / BURST * 1000, floor, "ms", "the same median"),
        Row("one element by an nft process", statistics.median(process) * 1000, floor, "ms", alone),
        Row("10,000 Services written at start", first * 1000, loaded * 1000, "ms", "loading the same text"),
    ]


def whole(proxy: Proxy) -> str:
    """The text that the proxy wrote at its start."""
    kernel, present = KernelTable("timonier", proxy.kernel._nft), list(proxy.ledger.elements())
    _, prelude = kernel._needed(present, set())
    return table.replacement("timonier", ["10.89.0.2"], ["10.96.0.0/16"]) + prelude + kernel._commands("add", present)


async def timed_change(proxy: Proxy, slices: Mirror, which: range | list[int], shift: int) -> float:
    changed = [piece(n, shift) for n in which]
    started = time.perf_counter()
    for each in changed:
        slices.put(each)
    await proxy.sync()
    return time.perf_counter() - started


def replace_one(n: int) -> str:
    key = f"10.96.{n >> 8}.{n & 255} . tcp . 80 . 0"
    return (f"delete element ip timonier {elements.ENDPOINTS} {{ {key} }}\n"
            f"add element ip timonier {elements.ENDPOINTS} {{ {key} : 10.244.9.{n % 250} . 8080 }}\n")


def nft_process(commands: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=commands, text=True, check=True)


def timed(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(measure, "Service proxy")
