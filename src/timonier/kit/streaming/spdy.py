"""SPDY/3.1 framing without I/O: many streams in one connection. Source: SPDY Protocol, drafts 3 and 3.1.

What Kubernetes's clients and container runtimes use of it, which is how moby/spdystream speaks it: streams are opened
by either end, carry headers and bytes, and close by halves. There is no flow control: nobody in this field sends or
heeds WINDOW_UPDATE, so a slow reader holds up the connection, which is the back-pressure.

As in `websocket`, payload is passed on as it arrives. Headers are bounded, so memory stays constant.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from timonier.kit.streaming.dictionary import HEADER_DICTIONARY

VERSION = 3
CONTROL_LIMIT = 64 * 1024
"""Bytes that a control frame may have, headers compressed."""
HEADERS_LIMIT = 256 * 1024
"""Bytes that a header block may have, uncompressed."""
STREAM_LIMIT = 1024
"""Streams that may be open at once."""
DATA_LIMIT = (1 << 24) - 1
FIN = 0x01

Headers = Mapping[str, str]


class Type(IntEnum):
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Reset(IntEnum):
    """Why a stream was reset."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    UNSUPPORTED_VERSION = 4
    CANCEL = 5
    INTERNAL_ERROR = 6


class SpdyError(Exception):
    """The peer broke the protocol; the connection cannot go on, since its headers' compression is shared."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; answer with `reply` or `reset`."""

    stream: int
    headers: Headers
    fin: bool


@dataclass(frozen=True, slots=True)
class StreamReplied:
    """The peer accepted a stream that this end opened."""

    stream: int
    headers: Headers
    fin: bool


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of what a stream carries; with `fin` the peer sends nothing more on it."""

    stream: int
    payload: bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class StreamReset:
    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer asks whether this end lives; answer with `ping` of the same number. Answers are not reported."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer opens no more streams and takes none; those that are open go on."""

    last: int
    status: int


Event = StreamOpened | StreamReplied | Data | StreamReset | Ping | GoAway


@dataclass(slots=True)
class Stream:
    """Which halves of a stream are still open."""

    receiving: bool = True
    sending: bool = True


class Spdy:
    """One end of a connection. Streams that a client opens have odd numbers, a server's even ones."""

    def __init__(self, *, client: bool) -> None:
        self._parity = 1 if client else 0
        self._next = 1 if client else 2
        self._next_ping = self._next
        self._latest_peer = 0
        self._streams: dict[int, Stream] = {}
        self._buffer = bytearray()
        self._stream, self._left, self._fin = 0, 0, False
        """The data frame that is being received: its stream, its bytes that have not come, its FIN flag."""
        self._pack = zlib.compressobj(zdict=HEADER_DICTIONARY)
        self._unpack = zlib.decompressobj(zdict=HEADER_DICTIONARY)

    @property
    def streams(self) -> int:
        """How many streams are open, by either half."""
        return len(self._streams)

    # -- receiving

    def receive(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises SpdyError, after which nothing more may be received."""
        self._buffer += data
        events: list[Event] = []
        while True:
            if self._left:
                if not self._buffer:
                    return events
                self._take_data(events)
            elif len(self._buffer) < 8:
                return events
            elif self._buffer[0] & 0x80:
                length = int.from_bytes(self._buffer[5:8], "big")
                if length > CONTROL_LIMIT:
                    raise SpdyError(f"a control frame of {length} bytes")
                if len(self._buffer) < 8 + length:
                    return events
                self._control(bytes(self._buffer[:8 + length]), events)
                del self._buffer[:8 + length]
            else:
                self._begin_data(events)

    def _begin_data(self, events: list[Event]) -> None:
        self._stream, rest = struct.unpack(">II", self._buffer[:8])
        del self._buffer[:8]
        self._left, self._fin = rest & DATA_LIMIT, bool(rest >> 24 & FIN)
        if not self._left:
            self._received(self._stream, b"", self._fin, events)

    def _take_data(self, events: list[Event]) -> None:
        piece = bytes(memoryview(self._buffer)[:self._left])
        del self._buffer[:len(piece)]
        self._left -= len(piece)
        self._received(self._stream, piece, self._fin and not self._left, events)

    def _received(self, number: int, payload: bytes, fin: bool, events: list[Event]) -> None:
        """Bytes for a stream; dropped where it is not open, as they may have crossed with its reset."""
        stream = self._streams.get(number)
        if stream is None or not stream.receiving or not (payload or fin):
            return
        if fin:
            stream.receiving = False
            self._forget_if_closed(number)
        events.append(Data(number, payload, fin))

    def _control(self, frame: bytes, events: list[Event]) -> None:
        version, kind, flags = struct.unpack(">HHB", frame[:5])
        if version & 0x7FFF != VERSION:
            raise SpdyError(f"SPDY version {version & 0x7FFF}")
        body, fin = frame[8:], bool(flags & FIN)
        match kind:
            case Type.SYN_STREAM:
                self._syn_stream(body, fin, events)
            case Type.SYN_REPLY:
                number, headers = first_number(body), self._headers(body[4:])
                if number in self._streams:
                    events.append(StreamReplied(number, headers, fin))
                    self._close_half(number, fin)
            case Type.HEADERS:
                number = first_number(body)
                self._headers(body[4:])
                self._received(number, b"", fin, events)
            case Type.RST_STREAM:
                number, status = numbers(body)
                if self._streams.pop(number, None):
                    events.append(StreamReset(number, status))
            case Type.PING:
                number = first_number(body)
                if number % 2 != self._parity:
                    events.append(Ping(number))
            case Type.GOAWAY:
                events.append(GoAway(*numbers(body)))
            case _:
                pass  # SETTINGS and WINDOW_UPDATE say nothing here; unknown frames must be ignored

    def _syn_stream(self, body: bytes, fin: bool, events: list[Event]) -> None:
        number = first_number(body)
        headers = self._headers(body[10:])
        if number % 2 == self._parity or number <= self._latest_peer:
            raise SpdyError(f"stream {number} may not be opened now")
        if len(self._streams) >= STREAM_LIMIT:
            raise SpdyError("too many open streams")
        self._latest_peer = number
        self._streams[number] = Stream(receiving=not fin)
        events.append(StreamOpened(number, headers, fin))

    def _headers(self, block: bytes) -> Headers:
        try:
            plain = self._unpack.decompress(block, HEADERS_LIMIT)
        except zlib.error as error:
            raise SpdyError("headers do not decompress") from error
        if self._unpack.unconsumed_tail or self._unpack.eof:
            raise SpdyError("headers are too large or end the compression")
        return read_headers(plain)

    # -- sending

    def open(self, headers: Headers, *, fin: bool = False) -> tuple[int, bytes]:
        """A new stream's number, and the frame that opens it."""
        number, self._next = self._next, self._next + 2
        self._streams[number] = Stream(sending=not fin)
        return number, control(Type.SYN_STREAM, struct.pack(">IIH", number, 0, 0) + self._packed(headers), fin)

    def reply(self, stream: int, headers: Headers | None = None, *, fin: bool = False) -> bytes:
        """Accept a stream that the peer opened."""
        frame = control(Type.SYN_REPLY, struct.pack(">I", stream) + self._packed(headers or {}), fin)
        self._finish_sending(stream, fin)
        return frame

    def data(self, stream: int, payload: bytes, *, fin: bool = False) -> bytes:
        """A frame of at most 16 MiB; nothing where the stream is closed, as the peer may reset it at any time."""
        if stream not in self._streams or not self._streams[stream].sending:
            return b""
        if len(payload) > DATA_LIMIT:
            raise ValueError(f"a data frame holds {DATA_LIMIT} bytes, not {len(payload)}")
        self._finish_sending(stream, fin)
        return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(payload)) + payload

    def reset(self, stream: int, status: Reset) -> bytes:
        self._streams.pop(stream, None)
        return control(Type.RST_STREAM, struct.pack(">II", stream, status))

    def ping(self, number: int | None = None) -> bytes:
        """The answer to a peer's ping, or a ping of our own."""
        if number is None:
            number, self._next_ping = self._next_ping, self._next_ping + 2
        return control(Type.PING, struct.pack(">I", number))

    def go_away(self, status: int = 0) -> bytes:
        return control(Type.GOAWAY, struct.pack(">II", self._latest_peer, status))

    def _packed(self, headers: Headers) -> bytes:
        return self._pack.compress(write_headers(headers)) + self._pack.flush(zlib.Z_SYNC_FLUSH)

    # -- halves

    def _close_half(self, number: int, fin: bool) -> None:
        if fin:
            self._streams[number].receiving = False
            self._forget_if_closed(number)

    def _finish_sending(self, number: int, fin: bool) -> None:
        if fin and number in self._streams:
            self._streams[number].sending = False
            self._forget_if_closed(number)

    def _forget_if_closed(self, number: int) -> None:
        stream = self._streams[number]
        if not stream.sending and not stream.receiving:
            del self._streams[number]


def control(kind: Type, body: bytes, fin: bool = False) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, (FIN if fin else 0) << 24 | len(body)) + body


def first_number(body: bytes) -> int:
    if len(body) < 4:
        raise SpdyError("a control frame is too short")
    return int.from_bytes(body[:4], "big") & 0x7FFFFFFF


def numbers(body: bytes) -> tuple[int, int]:
    if len(body) < 8:
        raise SpdyError("a control frame is too short")
    return first_number(body), int.from_bytes(body[4:8], "big")


def write_headers(headers: Headers) -> bytes:
    parts = [struct.pack(">I", len(headers))]
    for name, value in headers.items():
        for text in (name.lower().encode(), value.encode()):
            parts += (struct.pack(">I", len(text)), text)
    return b"".join(parts)


def read_headers(block: bytes) -> Headers:
    """Names in lower case; of a header with several values (separated by NUL), the first."""
    reader = Strings(block)
    return {reader.text().lower(): reader.text().split("\0")[0] for _ in range(reader.number())}


class Strings:
    """Reads numbers, and texts that are preceded by their length."""

    def __init__(self, block: bytes) -> None:
        self._block, self._at = block, 0

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def text(self) -> str:
        return self._take(self.number()).decode(errors="replace")

    def _take(self, size: int) -> bytes:
        piece = self._block[self._at:self._at + size]
        if len(piece) < size:
            raise SpdyError("headers end too soon")
        self._at += size
        return piece
