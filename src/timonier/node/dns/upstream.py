"""Names outside the cluster: asked of the machine's own resolvers, one query at a time, each from a socket of its own.

Answers are kept for a short while, so that the search path of a pod costs its node and not the network. Failures are
kept for a moment, and once nobody has answered at all, the next who ask wait less while the question goes on being
asked, so that a machine without a network says so soon and one that gets its network back is not kept from it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from timonier.kit.clock import Clock
from timonier.node.dns import wire
from timonier.node.dns.wire import Malformed, Received

log = logging.getLogger(__name__)

ATTEMPT = 2.0
"""Seconds that one resolver is given."""
ROUNDS = 2
PATIENCE_WITH_SILENCE = 0.3
"""Seconds that an asker waits while the last question of all went unanswered."""
MOST_PENDING = 512
"""Queries in flight; more are refused, so that a resolver that hangs does not take the node's memory."""
MOST_KEPT = 4096
LONGEST_KEPT, SHORTEST_KEPT = 30, 1
FAILURE_KEPT = 2
PORT = 53
SYSTEMD_RESOLVED = Path("/run/systemd/resolve/resolv.conf")
RELOAD = 5.0


class Unanswered(Exception):
    """No resolver answered."""


class Upstream:
    """The resolvers of the machine and what they said lately."""

    def __init__(self, servers: Callable[[], Sequence[tuple[str, int]]], clock: Clock) -> None:
        self._servers, self._clock = servers, clock
        self._kept: dict[bytes, tuple[float, float, Received | None]] = {}
        self._pending: dict[bytes, asyncio.Future[Received]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._silence = False
        """Whether the last question to be settled met with no reply of any kind."""

    async def ask(self, raw_question: bytes) -> tuple[Received, int]:
        """What a resolver says to a question (as it stands in a message), and how many seconds ago it said so. Raises
        Unanswered."""
        key, now = raw_question[:-4].lower() + raw_question[-4:], self._clock.monotonic()
        if (kept := self._kept.get(key)) and now < kept[1]:
            if kept[2] is None:
                raise Unanswered("no resolver answered a moment ago")
            return kept[2], int(now - kept[0])
        if key not in self._pending:
            if len(self._pending) >= MOST_PENDING:
                raise Unanswered("too many questions are waiting for resolvers")
            self._pending[key] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._settle(key), name="dns upstream")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(PATIENCE_WITH_SILENCE if self._silence else None):
                return await asyncio.shield(self._pending[key]), 0
        except TimeoutError as error:
            raise Unanswered("no resolver has answered lately") from error

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle(self, key: bytes) -> None:
        """Ask, keep what came, and tell everybody who waits for it."""
        future = self._pending[key]
        try:
            received = await self._ask_all(key)
            self._keep(key, received, lifetime(received))
            future.set_result(received)
        except (Unanswered, OSError) as error:
            self._keep(key, None, FAILURE_KEPT)
            future.set_exception(Unanswered(str(error)))
            future.exception()  # it may be that nobody waits any more
        finally:
            del self._pending[key]
            future.cancel()

    def _keep(self, key: bytes, received: Received | None, seconds: float) -> None:
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        now = self._clock.monotonic()
        self._kept[key] = (now, now + seconds, received)

    async def _ask_all(self, raw_question: bytes) -> Received:
        failure: Exception = Unanswered("no resolver is configured")
        servers = self._servers()
        for server in [*servers] * ROUNDS:
            try:
                async with asyncio.timeout(ATTEMPT):
                    received = await by_udp(server, raw_question)
                    if received.flags & wire.TRUNCATED:
                        received = await by_tcp(server, raw_question)
            except (TimeoutError, OSError, Malformed, asyncio.IncompleteReadError) as error:
                failure = error
                continue
            self._silence = False
            if received.flags & 0xF in (wire.SERVFAIL, wire.REFUSED, wire.NOTIMP):
                failure = Unanswered(f"resolver {server[0]} failed")
                continue
            return received
        self._silence = isinstance(failure, TimeoutError)
        raise Unanswered(str(failure) or "resolvers did not answer in time")


async def by_udp(server: tuple[str, int], raw_question: bytes) -> Received:
    loop = asyncio.get_running_loop()
    identity, reply = secrets.token_bytes(2), loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: OneReply(identity, raw_question, reply), remote_addr=server)
    try:
        transport.sendto(wire.query(identity, raw_question))
        received: Received = await reply
        return received
    finally:
        transport.close()


async def by_tcp(server: tuple[str, int], raw_question: bytes) -> Received:
    identity = secrets.token_bytes(2)
    reader, writer = await asyncio.open_connection(*server)
    try:
        message = wire.query(identity, raw_question)
        writer.write(struct.pack("!H", len(message)) + message)
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = await reader.readexactly(length)
        if answer[:2] != identity:
            raise Malformed("reply to another query")
        return wire.receive(answer, raw_question)
    finally:
        writer.close()


class OneReply(asyncio.DatagramProtocol):
    """Waits for the reply to one query; anything else that arrives is not it."""

    def __init__(self, identity: bytes, raw_question: bytes, reply: asyncio.Future[Received]) -> None:
        self._identity, self._raw_question, self._reply = identity, raw_question, reply

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] != self._identity or self._reply.done():
            return
        try:
            self._reply.set_result(wire.receive(data, self._raw_question))
        except Malformed:
            return

    def error_received(self, exc: Exception) -> None:
        if not self._reply.done():
            self._reply.set_exception(exc)


def lifetime(received: Received) -> float:
    """Seconds for which a reply is kept."""
    least = min((ttl for _, ttl in received.ttls), default=FAILURE_KEPT)
    return float(min(max(least, SHORTEST_KEPT), LONGEST_KEPT))


class ResolvConf:
    """The resolvers that a file names, read anew when it changes. Ours are left out, lest we ask ourselves."""

    def __init__(self, path: Path, clock: Clock, ours: Sequence[str] = ()) -> None:
        self._path, self._clock, self._ours = path, clock, frozenset(ours)
        self._servers: list[tuple[str, int]] = []
        self._read = float("-inf")

    def __call__(self) -> Sequence[tuple[str, int]]:
        if self._clock.monotonic() - self._read >= RELOAD:
            self._read = self._clock.monotonic()
            named = nameservers(self._path)
            if named and all(ipaddress.ip_address(each).is_loopback for each in named):
                named = nameservers(SYSTEMD_RESOLVED) or named  # a stub that only listens outside our namespace
            self._servers = [(each, PORT) for each in named if each not in self._ours]
        return self._servers


def nameservers(path: Path) -> list[str]:
    """The addresses on the `nameserver` lines of a resolver configuration; none if it cannot be read."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        log.debug("cannot read resolver configuration", extra={"file": str(path), "error": str(error)})
        return []
    named = (line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1)
    return [each for each in named if is_address(each)]


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
