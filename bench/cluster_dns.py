"""DNS queries a second from one process: ours beside a bare UDP echo (the floor) and beside dnspython (a peer).

All three are asked by the same client over loopback, 64 queries in flight. `warm` asks a few names over and over, as
pods do; `new` asks each name for the first time, so that nothing was kept; `search path` asks what a pod's resolver
asks before it gets to a name outside the cluster.
"""

from __future__ import annotations

import asyncio
import ipaddress
import multiprocessing
import socket
import struct
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import dns.message
import dns.rrset
import uvloop
from table import Row, in_turns, main

from timonier.kit.clock import SystemClock
from timonier.node.dns import wire
from timonier.node.dns.answers import Answerer
from timonier.node.dns.records import Record
from timonier.node.dns.server import BURST, Server, send
from timonier.node.dns.upstream import Upstream

SERVICES = 10_000
SECONDS = 0.7
IN_FLIGHT = 64


def measure() -> list[Row]:
    names = [f"s{n}.default.svc.cluster.local" for n in range(SERVICES)]
    absent = [f"example{n % 50}.com.{suffix}" for n in range(300)
              for suffix in ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")]
    floor, peer, warm, fresh, search = in_turns(
        lambda: rate(serve_echo, queries(names[:100])),
        lambda: rate(serve_dnspython, queries(names[:100])),
        lambda: rate(serve_ours, queries(names[:100])),
        lambda: rate(serve_ours, queries(names), repeat=False),
        lambda: rate(serve_ours, queries(absent)))
    return [
        Row("DNS, warm", warm, floor, "/s", "bare UDP echo"),
        Row("DNS, search path", search, floor, "/s", "bare UDP echo"),
        Row("DNS, new names", fresh, floor, "/s", "bare UDP echo"),
        Row("DNS, new names", fresh, peer, "/s", "dnspython"),
    ]


def queries(names: Sequence[str]) -> list[bytes]:
    header = struct.pack("!HHHHHH", 0, wire.RECURSION_WANTED, 1, 0, 0, 0)
    return [header + wire.name_to_wire(name) + wire.QUESTION_TAIL.pack(wire.A, wire.IN) for name in names]


def rate(serve: Callable[[Connection], None], asked: Sequence[bytes], *, repeat: bool = True) -> float:
    """Replies a second that a server in a process of its own gives."""
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    process.start()
    try:
        return drive(mine.recv(), asked, repeat=repeat)
    finally:
        process.kill()
        process.join()


def drive(port: int, asked: Sequence[bytes], *, repeat: bool) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(2)
        started, done = time.perf_counter(), 0
        while (repeat or done < len(asked)) and time.perf_counter() - started < SECONDS:
            batch = [asked[(done + n) % len(asked)] for n in range(min(IN_FLIGHT, len(asked)))]
            for query in batch:
                client.send(query)
            for _ in batch:
                client.recv(2000)
            done += len(batch)
        return done / (time.perf_counter() - started)


def serve_ours(parent: Connection) -> None:
    async def run() -> None:
        answerer = Answerer("cluster.local", [ipaddress.IPv4Network("10.96.0.0/16")])
        for n in range(SERVICES):
            answerer.zone.put(f"s{n}", [Record(f"s{n}.default.svc.cluster.local", wire.A,
                                               bytes([10, 96, n >> 8, n & 255]))])
        server = Server(answerer, Upstream(list, SystemClock()))
        await server.start("127.0.0.1", 0)
        parent.send(server.port)
        await asyncio.Event().wait()
    uvloop.run(run())


def serve_echo(parent: Connection) -> None:
    """Sends every datagram back: what the sockets and the event loop cost alone."""
    serve_each(parent, lambda query: query)


def serve_dnspython(parent: Connection) -> None:
    """Answers any question with one address, by dnspython from end to end."""
    def answer(query: bytes) -> bytes:
        question = dns.message.from_wire(query)
        reply = dns.message.make_response(question)
        reply.answer.append(dns.rrset.from_text(question.question[0].name, 5, "IN", "A", "10.96.0.1"))
        return reply.to_wire()
    serve_each(parent, answer)


def serve_each(parent: Connection, answer: Callable[[bytes], bytes]) -> None:
    async def run() -> None:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        udp.bind(("127.0.0.1", 0))

        def readable() -> None:
            for _ in range(BURST):
                try:
                    query, client = udp.recvfrom(4096)
                except BlockingIOError:
                    return
                send(udp, answer(query), client)
        asyncio.get_running_loop().add_reader(udp.fileno(), readable)
        parent.send(udp.getsockname()[1])
        await asyncio.Event().wait()
    uvloop.run(run())


if __name__ == "__main__":
    main(measure, "Cluster DNS")
