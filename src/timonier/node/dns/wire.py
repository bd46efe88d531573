"""DNS messages as bytes, by hand: the questions that pods ask and the answers to them. Pure, no I/O.

Only what a server of A, SRV, PTR and the like needs; anything rarer is refused, never guessed at. Sources: RFC 1035,
RFC 6891 (EDNS), RFC 8482 (ANY).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, HINFO, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 13, 16, 28, 33, 41, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS = 16
ANSWER, AUTHORITATIVE, TRUNCATED, RECURSION_WANTED, RECURSION_OFFERED = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
CHECKING_DISABLED = 0x0010
OPCODE = 0x7800

HEADER = struct.Struct("!HHHHHH")
QUESTION_TAIL = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
OWNER_IS_QUESTION = b"\xc0\x0c"
"""A pointer to the name in the question, which always stands at byte 12."""
PLAIN_UDP = 512
LARGEST_UDP = 1232
"""What passes everywhere without fragments (DNS Flag Day 2020)."""
LARGEST_TCP = 65535


class Malformed(ValueError):
    """Not a question that can be answered; FORMERR if there is at least a header."""


class Question(NamedTuple):
    """One question as it came."""

    name: str
    """Lower case, without the final dot. Bytes that are not ASCII are kept as Latin-1."""
    type: int
    klass: int
    raw: bytes
    """The question section, as the client spelled it."""
    flags: int
    edns: bool
    version: int
    udp_limit: int
    """Bytes that the client takes in one datagram."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes into a reply: records as (owner on the wire, type, TTL, data)."""

    rcode: int = NOERROR
    records: Sequence[tuple[bytes, int, int, bytes]] = ()
    authority: Sequence[tuple[bytes, int, int, bytes]] = ()
    additional: Sequence[tuple[bytes, int, int, bytes]] = ()
    authoritative: bool = True


def parse(message: bytes) -> Question:
    """The question of a query. Raises Malformed for anything but one question and at most an OPT record."""
    if len(message) < HEADER.size:
        raise Malformed("shorter than a header")
    _, flags, questions, answers, authorities, additionals = HEADER.unpack_from(message)
    if flags & ANSWER:
        raise Malformed("not a query")
    if questions != 1 or answers or authorities or additionals > 1:
        raise Malformed("not one question alone")
    name, at = read_name(message)
    if at + 4 > len(message):
        raise Malformed("question cut short")
    kind, klass = QUESTION_TAIL.unpack_from(message, at)
    raw, at = message[HEADER.size : at + 4], at + 4
    edns, version, limit = False, 0, PLAIN_UDP
    if additionals:
        if len(message) < at + 1 + RECORD.size or message[at]:
            raise Malformed("additional record cut short")
        extra, size, extended, length = RECORD.unpack_from(message, at + 1)
        at += 1 + RECORD.size + length
        if extra == OPT:
            edns, version, limit = True, extended >> 16 & 0xFF, min(max(size, PLAIN_UDP), LARGEST_UDP)
    if at != len(message):
        raise Malformed("length does not fit")
    return Question(name, kind, klass, raw, flags, edns, version, limit)


def read_name(message: bytes) -> tuple[str, int]:
    """The name in the question, and where it ends. A question's name is never compressed."""
    at, labels = HEADER.size, []
    while True:
        if at >= len(message):
            raise Malformed("name cut short")
        length = message[at]
        if not length:
            break
        if length > 63:
            raise Malformed("compressed or unknown label in the question")
        label = message[at + 1 : at + 1 + length]
        if len(label) < length or b"." in label:
            raise Malformed("label cut short, or with a dot in it")
        labels.append(label)
        at += 1 + length
        if at - HEADER.size > 254:
            raise Malformed("name longer than 255 bytes")
    return b".".join(labels).lower().decode("latin-1"), at + 1


def reply(identity: bytes, question: Question, answer: Answer, limit: int) -> bytes:
    """A reply with everything that fits in `limit` bytes: additional records are left out first; where the answers do
    not fit, none are sent, and the client is told to come by TCP."""
    extra = opt(answer.rcode) if question.edns else b""
    records, authority = sections(answer.records), sections(answer.authority)
    additional = sections(answer.additional)
    counts = [len(answer.records), len(answer.authority), len(answer.additional)]
    room = limit - HEADER.size - len(question.raw) - len(extra)
    if len(records) + len(authority) + len(additional) > room:
        additional, counts[2] = b"", 0
    truncated = 0
    if len(records) + len(authority) > room:
        records, authority, counts, truncated = b"", b"", [0, 0, 0], TRUNCATED
    flags = (ANSWER | question.flags & (OPCODE | RECURSION_WANTED | CHECKING_DISABLED) | RECURSION_OFFERED | truncated
             | (AUTHORITATIVE if answer.authoritative else 0) | answer.rcode & 0xF)
    return (identity + struct.pack("!HHHHH", flags, 1, counts[0], counts[1], counts[2] + bool(extra))
            + question.raw + records + authority + additional + extra)


def failure(message: bytes, rcode: int) -> bytes | None:
    """A reply to what could not be parsed: its header, without a question. None where replying would be wrong, to what
    has no header or is itself a reply."""
    if len(message) < HEADER.size or message[2] & 0x80:
        return None
    flags = int.from_bytes(message[2:4], "big") & (OPCODE | RECURSION_WANTED) | ANSWER | RECURSION_OFFERED | rcode
    return message[:2] + struct.pack("!HHHHH", flags, 0, 0, 0, 0)


def sections(records: Iterable[tuple[bytes, int, int, bytes]]) -> bytes:
    return b"".join(owner + RECORD.pack(kind, IN, ttl, len(data)) + data for owner, kind, ttl, data in records)


def opt(rcode: int) -> bytes:
    """The OPT record that answers one: our size, and the upper bits of the response code."""
    return b"\0" + RECORD.pack(OPT, LARGEST_UDP, rcode >> 4 << 24, 0)


def name_to_wire(name: str) -> bytes:
    """A name as labels. Raises ValueError for what is no name."""
    if not name:
        return b"\0"
    labels = name.encode("latin-1").split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name!r} has an empty or too long label")
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(wire) > 255:
        raise ValueError(f"{name!r} is longer than 255 bytes")
    return wire


def skip_name(message: bytes, at: int) -> int:
    """Where a name, compressed or not, ends."""
    while True:
        if at >= len(message):
            raise Malformed("name cut short")
        length = message[at]
        if length >= 0xC0:
            return at + 2
        if length > 63:
            raise Malformed("unknown label")
        at += 1 + length
        if not length:
            return at


@dataclass(frozen=True, slots=True)
class Received:
    """A reply from another server, taken apart so far that it can be given to somebody else."""

    flags: int
    counts: tuple[int, int, int]
    """Records in the answer, authority and additional sections."""
    body: bytes
    """These sections as they came. Pointers in them count from the start of the message, and so stay right after a
    question of the same length."""
    ttls: tuple[tuple[int, int], ...]
    """(place in the body, TTL) of each record; OPT has none."""


def receive(message: bytes, raw_question: bytes) -> Received:
    """Take a reply to this question apart; an OPT record at its end concerned us alone and is left out. Raises
    Malformed for anything else."""
    start = HEADER.size + len(raw_question)
    if len(message) < start or message[HEADER.size : start] != raw_question:
        raise Malformed("reply to another question")
    _, flags, questions, *counts = HEADER.unpack_from(message)
    if not flags & ANSWER or questions != 1:
        raise Malformed("not a reply to one question")
    at, end, ttls = start, len(message), []
    for left in reversed(range(sum(counts))):
        begin, at = at, skip_name(message, at)
        if at + RECORD.size > len(message):
            raise Malformed("record cut short")
        kind, _, ttl, length = RECORD.unpack_from(message, at)
        if kind != OPT:
            ttls.append((at + 4 - start, ttl))
        elif not left and counts[2]:
            end, counts[2] = begin, counts[2] - 1
        at += RECORD.size + length
    if at != len(message):
        raise Malformed("length does not fit")
    return Received(flags, (counts[0], counts[1], counts[2]), message[start:end], tuple(ttls))


def passed_on(identity: bytes, question: Question, received: Received, age: int, limit: int) -> bytes:
    """A reply that gives on what another server said `age` seconds ago."""
    extra = opt(received.flags & 0xF) if question.edns else b""
    body, counts, truncated = bytearray(received.body), received.counts, received.flags & TRUNCATED
    for place, ttl in received.ttls:
        body[place : place + 4] = max(0, ttl - age).to_bytes(4, "big")
    if HEADER.size + len(question.raw) + len(body) + len(extra) > limit:
        body, counts, truncated = bytearray(), (0, 0, 0), TRUNCATED
    flags = (ANSWER | question.flags & (RECURSION_WANTED | CHECKING_DISABLED) | RECURSION_OFFERED | truncated
             | received.flags & 0xF)
    return (identity + struct.pack("!HHHHH", flags, 1, counts[0], counts[1], counts[2] + bool(extra))
            + question.raw + body + extra)


def query(identity: bytes, raw_question: bytes) -> bytes:
    """A query of our own to another server."""
    return identity + struct.pack("!HHHHH", RECURSION_WANTED, 1, 0, 0, 1) + raw_question + opt(NOERROR)
