"""How the frames of a watch travel: in the chunks of an HTTP answer, or each as a message of a WebSocket.

A WebSocket is what a browser has: over it, an event is a message, so one in protobuf needs no length before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from timonier.api.errors import BadRequest
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.apiserver.negotiate import WATCHING
from timonier.apiserver.request import Request
from timonier.kit.streaming import websocket
from timonier.kit.streaming.switching import switching
from timonier.kit.streaming.websocket import WebSocket
from timonier.kit.taken import Taken

HEAD = (b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncache-control: no-cache, private\r\naudit-id: %b\r\n%b"
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
LENGTH = 4
"""Bytes before a message of protobuf that say how long it is."""


class Packing(Protocol):
    """How an answer begins, how frames go into it, and how it ends."""

    last: bytes

    def head(self, request: Request) -> bytes: ...

    def pack(self, frames: Iterable[bytes]) -> bytes: ...


class Chunks:
    """Frames that leave together as one chunk."""

    last = b"0\r\n\r\n"

    def head(self, request: Request) -> bytes:
        content_type = request.form.media_type + (WATCHING if request.form.media_type == PROTOBUF else "")
        marks = b"".join(b"%b: %b\r\n" % mark for mark in (*request.marks, *request.warning_headers()))
        return HEAD % (content_type.encode(), request.audit_id.encode(), marks)

    def pack(self, frames: Iterable[bytes]) -> bytes:
        body = b"".join(frames)
        return b"%x\r\n%b\r\n" % (len(body), body)


class Messages:
    """Each frame as one message, of text or, in protobuf, of bytes."""

    def __init__(self, *, text: bool) -> None:
        self.text, self._socket = text, WebSocket()
        self.last = self._socket.close()

    def head(self, request: Request) -> bytes:
        key = request.headers.get("sec-websocket-key")
        if not key:
            raise BadRequest("a WebSocket needs the header Sec-WebSocket-Key")
        headers = {"Upgrade": "websocket", "Sec-WebSocket-Accept": websocket.accept_key(key)}
        if protocols := request.headers.get("sec-websocket-protocol", ""):
            headers["Sec-WebSocket-Protocol"] = protocols.partition(",")[0].strip()
        return switching(headers | {name.decode(): value.decode() for name, value in request.marks})

    def pack(self, frames: Iterable[bytes]) -> bytes:
        return b"".join(self._socket.message(frame if self.text else frame[LENGTH:], text=self.text)
                        for frame in frames)


CHUNKS, TEXTS, BINARIES = Chunks(), Messages(text=True), Messages(text=False)


def of_request(request: Request) -> Packing:
    """How the client of a request wants its frames."""
    if "websocket" not in request.headers.get("upgrade", "").lower():
        return CHUNKS
    return BINARIES if request.form.media_type == PROTOBUF else TEXTS


async def listen(taken: Taken) -> None:
    """Answer what the client of a WebSocket sends, and return when it has closed it. What else it says is ignored."""
    socket = WebSocket()
    while data := await taken.read():
        try:
            events = socket.receive(data)
        except websocket.WebSocketError:
            return
        for event in events:
            if isinstance(event, websocket.Ping):
                taken.write(socket.pong(event.payload))
            elif isinstance(event, websocket.Close):
                return
