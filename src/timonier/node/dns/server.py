"""Serves DNS on one address by UDP and TCP.

The fast path looks a query up by its bytes, identity aside, and sends bytes back; whatever it does not know goes
through `wire`, `answers` and `upstream` once. A change of the zone empties what is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import Iterator

from timonier.node.dns import wire
from timonier.node.dns.answers import Answerer, Elsewhere, RecordOnWire
from timonier.node.dns.upstream import Unanswered, Upstream
from timonier.node.dns.wire import Answer, Malformed, Question

log = logging.getLogger(__name__)

BURST = 64
"""Datagrams answered before other tasks have a turn."""
MOST_KEPT = 16384
ROTATIONS = 8
"""Orders in which several addresses of one name are given, so that clients that take the first spread out."""
MOST_FORWARDED = 1024
MOST_CONNECTIONS = 256
IDLE = 10.0
"""Seconds after which a TCP connection without a question is closed."""
LONGEST_QUERY = 4096


class Server:
    """One listener. `start` raises OSError if the port is taken."""

    def __init__(self, answerer: Answerer, upstream: Upstream) -> None:
        self._answerer, self._upstream = answerer, upstream
        self._kept: dict[bytes, Iterator[bytes]] = {}
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self._forwarding: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._udp is not None
        return int(self._udp.getsockname()[1])

    @property
    def listening(self) -> bool:
        return self._udp is not None

    def forget(self) -> None:
        """The zone changed."""
        self._kept.clear()

    async def start(self, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            udp.bind((address, port))
            self._tcp = await asyncio.start_server(self._connected, address, udp.getsockname()[1])
        except OSError:
            udp.close()
            raise
        self._udp = udp
        loop.add_reader(udp.fileno(), self._readable, udp)

    async def close(self) -> None:
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None
        if self._tcp is not None:
            self._tcp.close()
        for task in (tasks := {*self._forwarding, *self._connections}):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _readable(self, udp: socket.socket) -> None:
        """Answer what has arrived. A client that cannot be reached is not our trouble."""
        kept = self._kept
        for _ in range(BURST):
            try:
                query, client = udp.recvfrom(LONGEST_QUERY)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("cannot receive", extra={"error": str(error)})
                return
            replies = kept.get(query[2:])
            if replies is not None:
                send(udp, query[:2] + next(replies), client)
            else:
                self._meet(udp, query, client)

    def _meet(self, udp: socket.socket, query: bytes, client: tuple[str, int]) -> None:
        """Answer a query that was not seen before, now or when upstream has answered."""
        outcome = self.answer(query)
        match outcome:
            case None:
                return
            case bytes():
                send(udp, outcome, client)
            case question, elsewhere:
                if len(self._forwarding) >= MOST_FORWARDED:
                    send(udp, wire.reply(query[:2], question, FAILED, question.udp_limit), client)
                    return
                task = asyncio.create_task(self._forward_udp(udp, query, client, question, elsewhere),
                                           name="dns forward")
                self._forwarding.add(task)
                task.add_done_callback(self._forwarding.discard)

    async def _forward_udp(self, udp: socket.socket, query: bytes, client: tuple[str, int], question: Question,
                           elsewhere: Elsewhere) -> None:
        reply = await self._forward(query, question, elsewhere, question.udp_limit)
        if self._udp is udp:
            send(udp, reply, client)

    def answer(self, query: bytes, *, stream: bool = False) -> bytes | tuple[Question, Elsewhere] | None:
        """The reply to a query; None for what must not be replied to; or what to ask upstream first."""
        try:
            question = wire.parse(query)
        except Malformed:
            return wire.failure(query, wire.NOTIMP if query[2:3] and query[2] & 0x78 else wire.FORMERR)
        limit = wire.LARGEST_TCP if stream else question.udp_limit
        if question.flags & wire.OPCODE:
            return wire.reply(query[:2], question, Answer(wire.NOTIMP, authoritative=False), limit)
        if question.version:
            return wire.reply(query[:2], question, Answer(wire.BADVERS, authoritative=False), limit)
        outcome = self._answerer.answer(question)
        if isinstance(outcome, Elsewhere):
            return question, outcome
        replies = [wire.reply(query[:2], question, each, limit) for each in rotations(outcome)]
        if not stream:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[query[2:]] = itertools.cycle([reply[2:] for reply in replies])
        return replies[0]

    async def _forward(self, query: bytes, question: Question, elsewhere: Elsewhere, limit: int) -> bytes:
        try:
            if not elsewhere.before:
                received, age = await self._upstream.ask(question.raw)
                return wire.passed_on(query[:2], question, received, age, limit)
            return wire.reply(query[:2], question, await self._followed(question, elsewhere), limit)
        except Unanswered as error:
            log.debug("question not answered", extra={"name": question.name, "error": str(error)})
            return wire.reply(query[:2], question, FAILED, limit)

    async def _followed(self, question: Question, elsewhere: Elsewhere) -> Answer:
        """An alias of ours together with what upstream says of its target, as stub resolvers need it."""
        raw = wire.name_to_wire(elsewhere.name) + wire.QUESTION_TAIL.pack(question.type, wire.IN)
        received, age = await self._upstream.ask(raw)
        rest = await asyncio.to_thread(unpacked, raw, received, age)
        return Answer(received.flags & 0xF, [*elsewhere.before, *rest], authoritative=False)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                outcome = self.answer(query, stream=True)
                if outcome is None:
                    return
                if not isinstance(outcome, bytes):
                    question, elsewhere = outcome
                    outcome = await self._forward(query, question, elsewhere, wire.LARGEST_TCP)
                writer.write(struct.pack("!H", len(outcome)) + outcome)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._connections.discard(task)
            writer.close()


FAILED = Answer(wire.SERVFAIL, authoritative=False)


def send(udp: socket.socket, reply: bytes, client: tuple[str, int]) -> None:
    try:
        udp.sendto(reply, client)
    except OSError as error:  # a full buffer or an address that cannot be reached: the client asks again
        log.debug("reply not sent", extra={"client": client[0], "error": str(error)})


def rotations(answer: Answer) -> list[Answer]:
    """The same answer with its records in turn at the front."""
    records = answer.records
    if len(records) < 2 or records[0][1] == wire.CNAME:
        return [answer]
    return [Answer(answer.rcode, [*records[n:], *records[:n]], answer.authority, answer.additional)
            for n in range(min(len(records), ROTATIONS))]


def unpacked(raw_question: bytes, received: wire.Received, age: int) -> list[RecordOnWire]:
    """The answers that upstream gave, free of pointers into its message. Rare, so dnspython may do it."""
    import dns.exception
    import dns.message

    header = struct.pack("!HHHHHH", 0, received.flags, 1, *received.counts)
    try:
        message = dns.message.from_wire(header + raw_question + received.body)
    except dns.exception.DNSException as error:
        raise Unanswered(f"reply cannot be read: {error}") from error
    return [(rrset.name.to_wire() or b"", int(rrset.rdtype), max(0, rrset.ttl - age), rdata.to_wire() or b"")
            for rrset in message.answer for rdata in rrset]

