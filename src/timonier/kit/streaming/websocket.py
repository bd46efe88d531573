"""WebSocket framing without I/O: bytes in, events out, and the other way round. Source: RFC 6455.

The one idea: payload is passed on as it arrives. A message of any length, in any number of fragments, is a series of
`Data` events of which the first `starts` and the last `ends` it, so memory stays constant however much is sent.
Extensions are not negotiated, so reserved bits are errors; the meaning of messages does not belong here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTROL_LIMIT = 125
"""Bytes that a control frame may carry."""

NORMAL, PROTOCOL_ERROR = 1000, 1002
NO_CODE = 1005
"""What is reported for a close frame without a code; never sent."""


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class WebSocketError(Exception):
    """The peer broke the protocol; answer with a close frame of `code` and end the connection."""

    def __init__(self, message: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a message, possibly empty."""

    payload: bytes
    starts: bool
    ends: bool
    text: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with `pong` of the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer sends nothing more; to be answered with `close` where that was not sent before."""

    code: int
    reason: str = ""


Event = Data | Ping | Pong | Close


class WebSocket:
    """One end of an open WebSocket connection, after the handshake.

    A client masks what it sends and takes what is not masked; a server the reverse.
    """

    def __init__(self, *, client: bool = False) -> None:
        self._client = client
        self._buffer = bytearray()
        self._closed = False
        self._frame: Frame | None = None
        self._inside = False
        """Whether a message has begun and not ended."""
        self._text = False

    def receive(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises WebSocketError, after which nothing more may be received."""
        self._buffer += data
        events: list[Event] = []
        while not self._closed:
            if self._frame is None:
                self._frame = take_header(self._buffer, masked=not self._client)
                if self._frame is None:
                    break
                self._check_order(self._frame)
            frame = self._frame
            event = self._control(frame) if frame.opcode >= Opcode.CLOSE else self._payload(frame)
            if event is None:
                break
            events.append(event)
        if self._closed:
            self._buffer.clear()
        return events

    def message(self, payload: bytes, *, text: bool = False) -> bytes:
        """A whole message in one frame."""
        return frame(Opcode.TEXT if text else Opcode.BINARY, payload, masked=self._client)

    def ping(self, payload: bytes = b"") -> bytes:
        return frame(Opcode.PING, payload[:CONTROL_LIMIT], masked=self._client)

    def pong(self, payload: bytes) -> bytes:
        return frame(Opcode.PONG, payload[:CONTROL_LIMIT], masked=self._client)

    def close(self, code: int = NORMAL, reason: str = "") -> bytes:
        """The last frame that this end sends; `reason` is cut to what fits."""
        body = b"" if code == NO_CODE else struct.pack(">H", code) + clipped(reason, CONTROL_LIMIT - 2)
        return frame(Opcode.CLOSE, body, masked=self._client)

    def _check_order(self, frame: Frame) -> None:
        if frame.opcode >= Opcode.CLOSE:
            return
        if (frame.opcode is Opcode.CONTINUATION) != self._inside:
            raise WebSocketError("a continuation without a beginning" if not self._inside
                                 else "a new message inside another")
        if not self._inside:
            self._text = frame.opcode is Opcode.TEXT
        frame.starts = not self._inside
        self._inside = True

    def _payload(self, frame: Frame) -> Data | None:
        """As much of a data frame as has come; None where nothing has."""
        if frame.left and not self._buffer:
            return None
        piece = frame.take(self._buffer)
        done = frame.left == 0
        data = Data(piece, frame.starts, done and frame.final, self._text)
        frame.starts = False
        if done:
            self._frame, self._inside = None, not frame.final
        return data

    def _control(self, frame: Frame) -> Event | None:
        """A control frame, once it is complete."""
        if len(self._buffer) < frame.left:
            return None
        payload = frame.take(self._buffer)
        self._frame = None
        match frame.opcode:
            case Opcode.PING:
                return Ping(payload)
            case Opcode.PONG:
                return Pong(payload)
            case _:
                self._closed = True
                return read_close(payload)


class Frame:
    """A frame whose header was read and `left` bytes of whose payload were not."""

    __slots__ = ("final", "key", "left", "offset", "opcode", "starts")

    def __init__(self, opcode: Opcode, final: bool, length: int, key: bytes) -> None:
        self.opcode, self.final, self.left, self.key = opcode, final, length, key
        self.starts = False
        self.offset = 0

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the buffer what belongs to this frame, unmasked."""
        piece = bytes(memoryview(buffer)[:self.left])
        del buffer[:len(piece)]
        self.left -= len(piece)
        if self.key:
            turn = self.offset % 4
            self.offset += len(piece)
            piece = mask(piece, self.key[turn:] + self.key[:turn])
        return piece


def take_header(buffer: bytearray, *, masked: bool) -> Frame | None:
    """Remove a frame's header from the buffer; None where it has not come completely."""
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    if first & 0x70:
        raise WebSocketError("reserved bits are set")
    if bool(second & 0x80) != masked:
        raise WebSocketError("a client must mask its frames" if masked else "a server must not mask its frames")
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        raise WebSocketError(f"unknown opcode {first & 0x0F}") from None
    length, final = second & 0x7F, bool(first & 0x80)
    if opcode >= Opcode.CLOSE and (length > CONTROL_LIMIT or not final):
        raise WebSocketError("a control frame is too long or fragmented")
    size = {126: 2, 127: 8}.get(length, 0)
    end = 2 + size + (4 if masked else 0)
    if len(buffer) < end:
        return None
    if size:
        length = int.from_bytes(buffer[2:2 + size], "big")
        if length >> 63:
            raise WebSocketError("a frame's length has its highest bit set")
    key = bytes(buffer[2 + size:end])
    del buffer[:end]
    return Frame(opcode, final, length, key)


def frame(opcode: Opcode, payload: bytes, *, masked: bool) -> bytes:
    """One final frame."""
    length, bit = len(payload), 0x80 if masked else 0
    if length <= CONTROL_LIMIT:
        header = struct.pack(">BB", 0x80 | opcode, bit | length)
    elif length < 1 << 16:
        header = struct.pack(">BBH", 0x80 | opcode, bit | 126, length)
    else:
        header = struct.pack(">BBQ", 0x80 | opcode, bit | 127, length)
    if not masked:
        return header + payload
    key = secrets.token_bytes(4)
    return header + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated key; as one big number, since that is a hundred times quicker than byte by byte."""
    size = len(payload)
    pattern = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


def read_close(payload: bytes) -> Close:
    if len(payload) == 1:
        raise WebSocketError("a close frame has half a code")
    if not payload:
        return Close(NO_CODE)
    return Close(int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace"))


def clipped(text: str, limit: int) -> bytes:
    """UTF-8 of at most `limit` bytes, cut between characters."""
    return text.encode()[:limit].decode(errors="ignore").encode()


def accept_key(key: str) -> str:
    """`Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode() + ACCEPT_GUID, usedforsecurity=False).digest()).decode()


def new_key() -> str:
    """A client's `Sec-WebSocket-Key`."""
    return base64.b64encode(secrets.token_bytes(16)).decode()
