"""Exec and attach between a WebSocket client (v5.channel.k8s.io) and a runtime that speaks SPDY (v4), without I/O.

Each WebSocket message is one channel's number and bytes; each channel is a SPDY stream towards the runtime. Beyond the
older protocols, version 5 lets the client close one channel, which is how stdin ends while output goes on: that becomes
the FIN of its stream. Source: KEP-4006, "Transition from SPDY to WebSockets".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from timonier.kit.streaming import spdy, websocket
from timonier.kit.streaming.relay import Moved

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
"""The channel on which a client says which other channel it closes."""
STREAM_TYPES = {ERROR: "error", STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", RESIZE: "resize"}
FROM_CLIENT = (STDIN, RESIZE)
PROTOCOL = "v5.channel.k8s.io"


def wanted(*, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> list[int]:
    """The channels of a session, in the order in which their streams are opened. A terminal has no stderr."""
    optional = {STDIN: stdin, STDOUT: stdout, STDERR: stderr and not tty, RESIZE: tty}
    return [ERROR, *(channel for channel, asked in optional.items() if asked)]


class Channels:
    """One session. First `open` towards the runtime and feed `from_runtime` until `ready`; then both ways."""

    def __init__(self, channels: Iterable[int]) -> None:
        self._spdy = spdy.Spdy(client=True)
        self._socket = websocket.WebSocket()
        self._wanted = list(channels)
        self._stream_of: dict[int, int] = {}
        self._channel_of: dict[int, int] = {}
        self._unanswered: set[int] = set()
        self._receiving: set[int] = set()
        """Channels on which the runtime may still send."""
        self._told = False
        """Whether the client knows how the command ended."""
        self._current: int | None = None
        """The channel of the message that is being received."""

    def open(self) -> bytes:
        """What opens the streams at the runtime."""
        frames = []
        for channel in self._wanted:
            stream, frame = self._spdy.open({"streamtype": STREAM_TYPES[channel]})
            self._stream_of[channel], self._channel_of[stream] = stream, channel
            frames.append(frame)
        self._unanswered = set(self._channel_of)
        self._receiving = {channel for channel in self._wanted if channel not in FROM_CLIENT}
        return b"".join(frames)

    @property
    def ready(self) -> bool:
        """Whether the runtime has accepted every stream; before that it would drop what is sent on them."""
        return not self._unanswered

    def greeting(self) -> bytes:
        """An empty message on an output channel: the client's sign that the session is up."""
        return self._message(STDOUT if STDOUT in self._wanted else STDERR if STDERR in self._wanted else ERROR)

    def from_client(self, data: bytes) -> Moved:
        """Bytes of the WebSocket. Empty bytes say that the client is gone."""
        return from_websocket(self._socket, data, self._from_message)

    def from_runtime(self, data: bytes) -> Moved:
        """Bytes of the SPDY connection. Empty bytes say that the runtime is gone."""
        if not data:
            return Moved(to_one=self._farewell("the connection to the container runtime was lost"), over=True)
        try:
            events = self._spdy.receive(data)
        except spdy.SpdyError as error:
            return Moved(to_one=self._farewell(f"the container runtime broke the protocol: {error}"), over=True)
        to_client, to_runtime = bytearray(), bytearray()
        for event in events:
            match event:
                case spdy.Data(stream, payload, fin):
                    to_client += self._output(stream, payload, fin)
                case spdy.StreamReplied(stream, _, fin):
                    self._unanswered.discard(stream)
                    to_client += self._output(stream, b"", fin)
                case spdy.StreamReset(stream):
                    to_client += self._output(stream, b"", True)
                case spdy.StreamOpened(stream):
                    to_runtime += self._spdy.reset(stream, spdy.Reset.REFUSED_STREAM)
                case spdy.Ping(number):
                    to_runtime += self._spdy.ping(number)
                case spdy.GoAway():
                    pass  # streams that are open go on to their end
        if self._receiving:
            return Moved(bytes(to_client), bytes(to_runtime))
        ending = self._farewell("the container runtime did not say how the command ended")
        return Moved(bytes(to_client) + ending, bytes(to_runtime), over=True)

    def _from_message(self, piece: websocket.Data) -> bytes:
        """What a piece of a client's message means to the runtime. Channels that are not open are ignored."""
        payload = piece.payload
        if piece.starts:
            self._current = None
        if self._current is None:
            if not payload:
                return b""
            self._current, payload = payload[0], payload[1:]
        if self._current == CLOSE:
            return b"".join(self._finish(channel) for channel in payload)
        if self._current in FROM_CLIENT and self._current in self._stream_of and payload:
            return self._spdy.data(self._stream_of[self._current], payload)
        return b""

    def _finish(self, channel: int) -> bytes:
        stream = self._stream_of.get(channel)
        return self._spdy.data(stream, b"", fin=True) if stream is not None and channel in FROM_CLIENT else b""

    def _output(self, stream: int, payload: bytes, fin: bool) -> bytes:
        """What the runtime sent on a stream, for the client; nothing of streams that are not ours to show."""
        channel = self._channel_of.get(stream)
        if channel is None or channel in FROM_CLIENT:
            return b""
        if fin:
            self._receiving.discard(channel)
        if not payload:
            return b""
        self._told = self._told or channel == ERROR
        return self._message(channel, payload)

    def _farewell(self, otherwise: str) -> bytes:
        """The close frame, after a Status for the client where it has got none: silence would mean success.

        A normal one, since clients that get another show its code instead of the Status.
        """
        if self._told:
            return self._socket.close()
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "InternalError",
                  "message": f"Internal error occurred: {otherwise}", "code": 500}
        return self._message(ERROR, json.dumps(status).encode()) + self._socket.close()

    def _message(self, channel: int, payload: bytes = b"") -> bytes:
        return self._socket.message(bytes((channel,)) + payload)


class Tunnel:
    """A port-forward's SPDY connection inside the binary messages of a WebSocket, unwrapped and wrapped."""

    def __init__(self) -> None:
        self._socket = websocket.WebSocket()

    def from_client(self, data: bytes) -> Moved:
        return from_websocket(self._socket, data, lambda message: message.payload)

    def from_runtime(self, data: bytes) -> Moved:
        if not data:
            return Moved(to_one=self._socket.close(), over=True)
        return Moved(to_one=self._socket.message(data))


def from_websocket(socket: websocket.WebSocket, data: bytes,
                   carried: Callable[[websocket.Data], bytes]) -> Moved:
    """What a client's bytes bring: `carried` says what of each message goes on to the runtime; control frames are
    answered here. Empty bytes say that the client is gone.
    """
    if not data:
        return Moved(over=True)
    try:
        events = socket.receive(data)
    except websocket.WebSocketError as error:
        return Moved(to_one=socket.close(error.code, str(error)), over=True)
    to_client, to_runtime = bytearray(), bytearray()
    for event in events:
        match event:
            case websocket.Data():
                to_runtime += carried(event)
            case websocket.Ping(payload):
                to_client += socket.pong(payload)
            case websocket.Close(code):
                to_client += socket.close(code)
                return Moved(bytes(to_client), bytes(to_runtime), over=True)
    return Moved(bytes(to_client), bytes(to_runtime))
