"""An HTTP/1.1 client: pooled connections, TLS, streamed bodies, upgrades to raw streams, and a limit on every wait.

The head of an answer is read up to its blank line and not a byte further, so that an upgraded connection can be handed
out as it is; httptools parses head and body. Redirects are answers like any other, retries belong to the caller, except
for one: a kept-alive connection that turns out to be dead is replaced once where repeating the request is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl as tls
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httptools

CONNECT_TIMEOUT = 5.0
REQUEST_TIMEOUT = 60.0
MAX_HEAD = 64 * 1024
"""Bytes that the status line and headers of an answer may take."""
CHUNK = 64 * 1024
MAX_IDLE = 16
"""Idle connections kept per host and port."""
IDLE_SECONDS = 60.0
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
UNSAFE = re.compile(r"[^\x21-\x7e]")
"""What may not stand in a request target, since it could end the line."""


Headers = Mapping[str, str | Sequence[str]]
"""What a request is sent with; a header with several values is sent several times."""


class HttpError(Exception):
    """No usable answer arrived; the subclasses say why."""


class ConnectionFailed(HttpError):
    """No connection could be made; nothing was sent."""


class Disconnected(HttpError):
    """The connection broke after something was sent; whether it took effect is unknown."""


class TimedOut(HttpError):
    """A limit on waiting was reached."""


class BadResponse(HttpError):
    """What arrived is not HTTP, or too large a head."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer in full. Header names are lower-case; repeated ones are joined by a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True, eq=False)
class Connection:
    """One transport, and since when it has been idle."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reused: bool = False
    idle_since: float = 0.0

    @property
    def dead(self) -> bool:
        return self.reader.at_eof() or self.writer.transport.is_closing()

    def abort(self) -> None:
        self.writer.transport.abort()


@dataclass(slots=True)
class Message:
    """What httptools reports while it parses one answer."""

    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


class Stream:
    """An answer whose body is still arriving: iterate over it, or `read` it to its end."""

    def __init__(self, connection: Connection, method: str, read_timeout: float | None) -> None:
        self._connection, self._method, self._read_timeout = connection, method, read_timeout
        self._message = Message()
        self._parser = httptools.HttpResponseParser(self._message)
        self._keep_alive = False
        self.status = 0

    @property
    def headers(self) -> Mapping[str, str]:
        return self._message.headers

    @property
    def reusable(self) -> bool:
        """Whether the body was read to its end and the server keeps the connection."""
        return self._message.complete and self._keep_alive and not self._connection.dead

    async def read_head(self) -> None:
        """Wait for the status and headers, passing over interim answers such as 100."""
        while True:
            head = await self._bounded(read_until_blank_line(self._connection.reader))
            try:
                self._parser.feed_data(head)
            except httptools.HttpParserUpgrade:
                self.status = self._parser.get_status_code()
                return
            except httptools.HttpParserError as error:
                raise BadResponse(f"malformed response: {error}") from error
            self.status = self._parser.get_status_code()
            if self.status >= 200 or self.status == 101:
                break
            self._message = Message()
            self._parser = httptools.HttpResponseParser(self._message)
        self._keep_alive = self._parser.should_keep_alive()
        if self._method == "HEAD" and not self._message.complete:
            self._message.complete, self._keep_alive = True, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            if self._message.chunks:
                chunk = b"".join(self._message.chunks)
                self._message.chunks.clear()
                yield chunk
            if self._message.complete:
                return
            await self._receive()

    async def read(self) -> bytes:
        while not self._message.complete:
            await self._receive()
        body = b"".join(self._message.chunks)
        self._message.chunks.clear()
        return body

    async def _receive(self) -> None:
        data = await self._bounded(receive(self._connection.reader))
        if not data:
            if "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", ""):
                raise Disconnected("connection closed in the middle of a response")
            self._message.complete = True
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadResponse(f"malformed response: {error}") from error

    async def _bounded(self, reading: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._read_timeout):
                return await reading
        except TimeoutError as error:
            raise TimedOut(f"nothing received within {self._read_timeout} s") from error


async def read_until_blank_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Disconnected("connection closed before a response") from error
    except asyncio.LimitOverrunError as error:
        raise BadResponse(f"response head is larger than {MAX_HEAD} bytes or not HTTP") from error
    except OSError as error:
        raise Disconnected(str(error)) from error


async def receive(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError as error:
        raise Disconnected(str(error)) from error


Dial = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Makes a connection to a host and port. Raises ConnectionFailed."""


async def dialled(dial: Dial, host: str, port: int, secure: dict[str, object]
                  ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection made by `dial`, with TLS inside it where that is wanted."""
    reader, writer = await dial(host, port)
    if secure:
        try:
            await writer.start_tls(secure["ssl"], server_hostname=str(secure["server_hostname"]))  # type: ignore[arg-type]
        except BaseException:
            writer.transport.abort()
            raise
    return reader, writer


class Connections:
    """A pool of connections that share TLS settings and limits.

    `ssl` is used for https; `server_name` is verified instead of the host of the URL. `timeout` bounds a whole
    exchange unless the request says `within` how many seconds to answer; streams are bounded until their head has
    arrived, then by `read_timeout` between chunks where one is given. `dial` connects where the machine itself has
    no way to the host.
    """

    def __init__(self, ssl: tls.SSLContext | None = None, *, server_name: str | None = None,
                 connect_timeout: float = CONNECT_TIMEOUT, timeout: float = REQUEST_TIMEOUT,
                 dial: Dial | None = None) -> None:
        self._ssl, self._server_name, self._dial = ssl, server_name, dial
        self._connect_timeout, self._timeout = connect_timeout, timeout
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._busy: set[Connection] = set()

    async def request(self, method: str, url: str, headers: Headers | None = None, body: bytes | None = None,
                      *, within: float | None = None) -> Response:
        """One exchange, its body in full. Raises HttpError; any status is an answer."""
        limit = within if within is not None else self._timeout
        try:
            async with asyncio.timeout(limit), self.stream(method, url, headers, body, within=limit) as stream:
                return Response(stream.status, stream.headers, await stream.read())
        except TimeoutError as error:
            raise TimedOut(f"no complete response within {limit} s") from error

    @contextlib.asynccontextmanager
    async def stream(self, method: str, url: str, headers: Headers | None = None, body: bytes | None = None,
                     *, within: float | None = None, read_timeout: float | None = None) -> AsyncIterator[Stream]:
        """One exchange whose body the caller reads as it comes. Leaving early closes the connection."""
        target = urlsplit(url)
        connection, stream = await self._exchange(method, target, headers, body, within, read_timeout)
        try:
            yield stream
        finally:
            self._release(target, connection, stream.reusable)

    async def upgrade(self, method: str, url: str, headers: Headers, *, within: float | None = None
                      ) -> tuple[Response, asyncio.StreamReader | None, asyncio.StreamWriter | None]:
        """Ask for another protocol. On 101 the connection is the caller's to close; otherwise there is none."""
        target = urlsplit(url)
        connection, stream = await self._exchange(method, target, headers, None, within, within or self._timeout)
        if stream.status == 101:
            self._busy.discard(connection)
            return Response(101, stream.headers), connection.reader, connection.writer
        try:
            return Response(stream.status, stream.headers, await stream.read()), None, None
        finally:
            self._release(target, connection, stream.reusable)

    async def close(self) -> None:
        """Close every connection, idle or in use."""
        connections = [c for idle in self._idle.values() for c in idle] + list(self._busy)
        self._idle.clear()
        self._busy.clear()
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)

    async def _exchange(self, method: str, target: SplitResult, headers: Headers | None,
                        body: bytes | None, within: float | None, read_timeout: float | None
                        ) -> tuple[Connection, Stream]:
        """Send a request and wait for the head of its answer."""
        head = request_head(method, target, headers or {}, body)
        limit = within if within is not None else self._timeout
        for attempt in (1, 2):
            connection = await self._connection(target, fresh=attempt == 2)
            stream = Stream(connection, method, read_timeout)
            try:
                async with asyncio.timeout(limit):
                    connection.writer.write(head + (body or b""))
                    await connection.writer.drain()
                    await stream.read_head()
                return connection, stream
            except TimeoutError as error:
                self._discard(connection)
                raise TimedOut(f"no response within {limit} s") from error
            except (OSError, Disconnected) as error:
                self._discard(connection)
                if not connection.reused or method not in IDEMPOTENT:
                    raise Disconnected(f"{target.netloc}: {error}") from error
            except BaseException:
                self._discard(connection)
                raise
        raise AssertionError("a fresh connection either answers or raises")

    async def _connection(self, target: SplitResult, *, fresh: bool) -> Connection:
        idle = self._idle.get(address(target), [])
        while idle and not fresh:
            connection = idle.pop()
            if not connection.dead:
                connection.reused = True
                self._busy.add(connection)
                return connection
            connection.abort()
        scheme, host, port = address(target)
        secure: dict[str, object] = {}
        if scheme == "https":
            secure = {"ssl": self._ssl or tls.create_default_context(), "server_hostname": self._server_name or host}
        try:
            async with asyncio.timeout(self._connect_timeout):
                if self._dial is not None:
                    reader, writer = await dialled(self._dial, host, port, secure)
                else:
                    reader, writer = await asyncio.open_connection(host, port, limit=MAX_HEAD, **secure)  # type: ignore[arg-type]
        except TimeoutError as error:
            raise ConnectionFailed(f"{host}:{port}: no connection within {self._connect_timeout} s") from error
        except OSError as error:
            raise ConnectionFailed(f"{host}:{port}: {error.strerror or error}") from error
        connection = Connection(reader, writer)
        self._busy.add(connection)
        return connection

    def _discard(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.abort()

    def _release(self, target: SplitResult, connection: Connection, reusable: bool) -> None:
        known = connection in self._busy
        self._busy.discard(connection)
        if not reusable or not known:
            connection.abort()
            return
        now = time.monotonic()
        idle = self._idle.setdefault(address(target), [])
        connection.idle_since = now
        idle.append(connection)
        stale = [c for c in idle if c.dead or now - c.idle_since > IDLE_SECONDS] or idle[:-MAX_IDLE]
        for each in stale:
            idle.remove(each)
            each.abort()


def address(target: SplitResult) -> tuple[str, str, int]:
    if target.scheme not in ("http", "https") or not target.hostname:
        raise ValueError(f"not an http or https URL: {target.geturl()!r}")
    return target.scheme, target.hostname, target.port or (443 if target.scheme == "https" else 80)


def request_head(method: str, target: SplitResult, headers: Headers, body: bytes | None) -> bytes:
    """The request line and headers. Raises ValueError for anything that would break out of its line."""
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    if UNSAFE.search(path):
        raise ValueError(f"request target has characters that must be escaped: {path!r}")
    names = {name.lower() for name in headers}
    lines = [f"{method} {path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {target.netloc.rpartition('@')[2]}")
    if "content-length" not in names and (body is not None or method in ("POST", "PUT", "PATCH")):
        lines.append(f"Content-Length: {len(body or b'')}")
    for name, value in ((name, value) for name, values in headers.items()
                        for value in ((values,) if isinstance(values, str) else values)):
        if "\r" in value or "\n" in value or "\r" in name or "\n" in name:
            raise ValueError(f"header {name!r} contains a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def unverified() -> tls.SSLContext:
    """TLS that accepts any certificate: for probes, and for nothing that carries a credential."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = tls.CERT_NONE
    return context
