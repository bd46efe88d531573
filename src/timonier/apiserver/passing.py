"""Requests that somebody else answers: passed on, and the answers back, streamed where they last.

Where a request goes, under whose name, and what becomes of headers is the business of who passes it on: the proxy
subresources, and the aggregation layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from timonier.apiserver.documents import Answer
from timonier.apiserver.pages import is_page
from timonier.apiserver.request import Request
from timonier.apiserver.subresources.connect import wants_upgrade
from timonier.apiserver.subresources.log import pass_on
from timonier.kit.http import Connections, Headers
from timonier.kit.streaming.relay import Link, relay
from timonier.kit.streaming.switching import switching

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

__all__ = ["exchange", "forwarded", "upgrade", "wants_upgrade"]

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
                        "transfer-encoding", "upgrade", "content-length", "host", "expect"})
NOT_PASSED_ON = frozenset({"authorization"})
"""What is between the client and the API server, and nobody else's business."""
ANSWER_SECONDS = 60.0
LARGEST = 1024 * 1024
"""Bytes of an answer that is kept whole, so that its connection can be used again."""

Translate = Callable[[Mapping[str, str]], Iterator[tuple[str, str]]]
"""Of the other side's headers, those that the client gets."""
Page = Callable[[Mapping[str, str], bytes], bytes]
"""Of a page's headers and content, the content that the client gets."""


def forwarded(request: Request) -> Iterator[tuple[str, str]]:
    """The client's headers for the other side."""
    for name, value in request.headers.items():
        if name not in HOP_BY_HOP and name not in NOT_PASSED_ON and not name.startswith("impersonate-"):
            yield name, value
    before = request.headers.get("x-forwarded-for")
    yield "x-forwarded-for", f"{before}, {request.client or 'unknown'}" if before else request.client or "unknown"


async def exchange(server: ApiServer, request: Request, connections: Connections, url: str, headers: Headers,
                   translate: Translate, page: Page | None = None) -> Answer | None:
    """Pass a request on and its answer back, its HTML pages as `page` makes them. Raises HttpError."""
    opening = connections.stream(request.method, url, headers, request.body or None, within=ANSWER_SECONDS)
    async with opening as stream:
        answered = dict(translate(stream.headers))
        length = stream.headers.get("content-length", "")
        if request.method == "HEAD" or stream.status in (204, 304):
            return Answer(stream.status, list(answered.items()), b"")
        if page is not None and is_page(stream.headers):
            return Answer(stream.status, list(answered.items()), page(stream.headers, await stream.read()))
        if length.isdigit() and int(length) <= LARGEST:
            return Answer(stream.status, list(answered.items()), await stream.read())
        assert request.take_over is not None
        request.begun()
        request.underway = True
        with server.metrics.long_running(request):
            await pass_on(request.take_over(), stream, answered, stream.status)
    return None


async def upgrade(server: ApiServer, request: Request, connections: Connections, url: str, headers: Headers,
                  translate: Translate) -> Answer | None:
    """Let the client and what it wants to reach speak another protocol, such as WebSocket. Raises HttpError."""
    asking = {**headers, "Connection": "Upgrade", "Upgrade": request.headers["upgrade"]}
    response, reader, writer = await connections.upgrade(request.method, url, asking, within=ANSWER_SECONDS)
    if reader is None or writer is None:
        return Answer(response.status, list(translate(response.headers)), response.body)
    assert request.take_over is not None
    taken = request.take_over()
    taken.write(switching(response.headers))
    with server.metrics.long_running(request):
        await relay(taken, Link(reader, writer), until=taken.ended)
    return None
