"""GET of a collection with ?watch: its changes as they happen, written straight to the connection.

A watcher subscribes to the cache and frames each change as its selection sees it: what begins to match is ADDED, what
ceases to is DELETED. Frames gather and leave once a turn of the event loop, as one chunk. A client that does not keep
up is waited for until its backlog reaches the limit, and then disconnected: it can resume from what it has seen.

Source: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks", "Streaming lists".
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from timonier.api.errors import ApiError, Expired
from timonier.api.kinds import Kind
from timonier.apiserver.answers import included, transformed
from timonier.apiserver.cache import TRIGGERS, Delta, Item
from timonier.apiserver.conversion import from_storage, is_view
from timonier.apiserver.listing import ListOptions, Selection, options_of
from timonier.apiserver.negotiate import PLAIN, YAML, Accepted, accepted
from timonier.apiserver.request import Object, Request
from timonier.kit.taken import Taken

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

log = logging.getLogger(__name__)

INITIAL_END = "k8s.io/initial-events-end"
HEAD = (b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncache-control: no-cache, private\r\naudit-id: %b\r\n%b"
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
LAST_CHUNK = b"0\r\n\r\n"

Framer = Callable[[bytes, Item, int], bytes]
"""(event type, item, resourceVersion to show) as one line."""


async def serve(server: ApiServer, request: Request, kind: Kind) -> None:
    """Stream until the client leaves, the time is up, or the server ends. Raises ApiErrors before the first byte."""
    options, form = options_of(request, kind), accepted(request.headers.get("accept", ""))
    if form.media_type == YAML:
        form = Accepted(form=form.form, version=form.version)
    if options.revision:
        await server.feed.ready.wait()
        await server.feed.at_least(options.revision)
    else:
        await server.feed.current()
    frame = framer(kind, form, included(request), server)
    assert request.take_over is not None
    taken: Taken = request.take_over()
    content_type = form.content_type + (";stream=watch" if form.form else "")
    marks = b"".join(b"%b: %b\r\n" % mark for mark in request.marks)
    taken.write(HEAD % (content_type.encode(), request.audit_id.encode(), marks))
    watcher = Watcher(taken, options.selection, frame, server.settings.watch_buffer)
    with server.metrics.long_running(request):
        await follow(server, request, kind, options, watcher)


async def follow(server: ApiServer, request: Request, kind: Kind, options: ListOptions, watcher: Watcher) -> None:
    """Begin where the options say, then keep the connection until something ends it."""
    cache = server.feed.cache(kind)
    try:
        begin(server, kind, options, watcher)
    except ApiError as error:
        watcher.fail(error)
        return
    request.begun()
    unsubscribe = cache.subscribe(watcher.take, trigger_of(options.selection))
    try:
        await wait(server, kind, options, watcher)
    finally:
        unsubscribe()
        watcher.finish()


def begin(server: ApiServer, kind: Kind, options: ListOptions, watcher: Watcher) -> None:
    """Send what happened since the client's revision, or, where it has none, what there is.

    Runs without waiting, so that nothing can happen between this and subscribing.
    """
    cache = server.feed.cache(kind)
    state = not options.revision or options.initial_events
    if options.initial_events is False and not options.revision:
        state = False
    if state:
        for item in cache.within(options.selection.namespace):
            if options.selection.matches(item):
                watcher.send(b"ADDED", item, item.revision)
    elif options.revision:
        if options.revision < cache.oldest:
            raise Expired(f"too old resource version: {options.revision} ({cache.oldest})")
        for delta in cache.since(options.revision):
            watcher.take(delta)
    if options.initial_events and options.bookmarks:
        watcher.push(bookmark(kind, server.feed.revision, {INITIAL_END: "true"}))


async def wait(server: ApiServer, kind: Kind, options: ListOptions, watcher: Watcher) -> None:
    loop = asyncio.get_running_loop()
    seconds = options.timeout or server.settings.min_request_timeout * random.uniform(1, 2)
    deadline, told = loop.time() + seconds, server.feed.revision
    while not watcher.over:
        left = deadline - loop.time()
        if left <= 0:
            return
        pause = min(left, server.settings.watch_bookmark_seconds) if options.bookmarks else left
        done, _ = await asyncio.wait({watcher.taken.ended, watcher.cut}, timeout=pause,
                                     return_when=asyncio.FIRST_COMPLETED)
        if done:
            return
        if options.bookmarks and server.feed.revision > told:
            # Everything up to the feed's revision has been handed to the watcher: it has missed nothing before it.
            told = server.feed.revision
            watcher.push(bookmark(kind, told))


def bookmark(kind: Kind, revision: int, annotations: dict[str, str] | None = None) -> bytes:
    metadata: Object = {"resourceVersion": str(revision)}
    if annotations:
        metadata["annotations"] = annotations
    return orjson.dumps({"type": "BOOKMARK", "object": {
        "kind": kind.kind, "apiVersion": kind.apiVersion, "metadata": metadata}}) + b"\n"


def trigger_of(selection: Selection) -> tuple[str, str] | None:
    """The field by which a selection is so narrow that the cache need not ask it about every change."""
    for field in TRIGGERS:
        value = selection.fields.required(field)
        if value is not None:
            return field, value
    return None


def framer(kind: Kind, form: Accepted, include: str, server: ApiServer) -> Framer:
    """How the client wants its events."""
    if form == PLAIN and not is_view(kind):
        return splice

    def encode(event: bytes, item: Item, revision: int) -> bytes:
        obj = from_storage(kind, orjson.loads(item.value if revision == item.revision else item.at(revision)))
        shown = transformed(obj, kind, form, include, server.clock.now())
        return b'{"type":"%b","object":%b}\n' % (event, orjson.dumps(shown))
    return encode


def splice(event: bytes, item: Item, revision: int) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (event, item.value if revision == item.revision else item.at(revision))


class Watcher:
    """One client: its selection, and what waits to be written to it."""

    def __init__(self, taken: Taken, selection: Selection, frame: Framer, limit: int) -> None:
        self.taken, self.selection, self.limit = taken, selection, limit
        self.frame = frame
        self.shared = frame is splice
        self.pending: list[bytes] = []
        self.size = 0
        self.scheduled = self.over = False
        self.loop = asyncio.get_running_loop()
        self.cut: asyncio.Future[None] = self.loop.create_future()
        """Done when the server has to end this watch."""
        taken.when_writable = self.flush

    def take(self, delta: Delta | None) -> None:
        """What a change means to this client."""
        if delta is None:
            self.fail(Expired("too old resource version: the server lost its history"))
            return
        before = delta.before is not None and self.selection.matches(delta.before)
        after = delta.after is not None and self.selection.matches(delta.after)
        if after:
            assert delta.after is not None
            self.send_shared(delta, b"MODIFIED" if before else b"ADDED", delta.after, delta.after.revision)
        elif before:
            assert delta.before is not None
            self.send_shared(delta, b"DELETED", delta.before, delta.revision)

    def send_shared(self, delta: Delta, event: bytes, item: Item, revision: int) -> None:
        """A frame that is the same for every client that wants plain JSON is made once."""
        if not self.shared:
            self.send(event, item, revision)
            return
        frame = delta.frames.get(event)
        if frame is None:
            frame = delta.frames[event] = splice(event, item, revision)
        self.push(frame)

    def send(self, event: bytes, item: Item, revision: int) -> None:
        self.push(self.frame(event, item, revision))

    def push(self, frame: bytes) -> None:
        if self.over:
            return
        self.pending.append(frame)
        self.size += len(frame)
        if not self.scheduled:
            self.scheduled = True
            self.loop.call_soon(self.flush)
        elif self.size > self.limit and not self.taken.writable:
            log.info("a watcher that did not keep up was disconnected", extra={"bytes": self.size})
            self.over = True
            self.pending.clear()
            self.taken.abort()

    def flush(self) -> None:
        """Write what gathered, as one chunk; a client that is behind gets it when it has caught up."""
        self.scheduled = False
        if not self.pending or not self.taken.open:
            return
        if not self.taken.writable:
            self.scheduled = True
            return
        body = b"".join(self.pending)
        self.pending.clear()
        self.size = 0
        self.taken.write(b"%x\r\n%b\r\n" % (len(body), body))

    def fail(self, error: ApiError) -> None:
        """Say why there will be no more events, as the last of them."""
        self.push(orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n")
        self.finish()
        if not self.cut.done():
            self.cut.set_result(None)

    def finish(self) -> None:
        if not self.over:
            self.over = True
            self.scheduled = False
            self.flush()
            self.taken.write(LAST_CHUNK)
            self.taken.close()
