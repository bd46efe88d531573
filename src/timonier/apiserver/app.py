"""The API server as an ASGI application: route, authenticate, authorise, dispatch, answer.

Every ApiError becomes a Status. Anything else that is raised is a defect of this server: it is logged, and the user
gets a Status 500 without its particulars.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

from timonier.api import durations
from timonier.api.errors import (
    ApiError,
    BadRequest,
    InternalError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    Timeout,
    Unauthorized,
)
from timonier.apiserver import health, routes
from timonier.apiserver.access import Access
from timonier.apiserver.aggregation import proxy as aggregation
from timonier.apiserver.aggregation.backends import Backends
from timonier.apiserver.answers import failure
from timonier.apiserver.discovery import Discovery
from timonier.apiserver.documents import Answer
from timonier.apiserver.fairness.families import families as fairness_families
from timonier.apiserver.fairness.gate import Gate
from timonier.apiserver.feed import Feed
from timonier.apiserver.messages import Messages
from timonier.apiserver.metrics import Metrics
from timonier.apiserver.objects import TooDeep, is_too_deep
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Request, parse
from timonier.apiserver.settings import ApiServerSettings
from timonier.apiserver.watching.audience import Audiences
from timonier.kit.allowance import Allowance
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.exchange import Exchange
from timonier.kit.ids import new_id

if TYPE_CHECKING:
    from timonier.apiserver.audit.auditor import Auditor

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HEALTH = ("/healthz", "/livez", "/readyz")
START_SECONDS = 10.0
"""How long a request that comes while the server starts waits."""
TIMED_OUT = "Timeout: request did not complete within the allotted timeout"
MAX_QUERY_FIELDS = 1000
ALLOWANCES = 64
"""Different times for which timers are kept: clients that set one have always the same."""
LONGEST_AUDIT_ID = 64


class ApiServer:
    """One server: what its handlers share. `app` is the ASGI application."""

    def __init__(self, settings: ApiServerSettings, registry: Registry, access: Access,
                 clock: Clock | None = None, auditor: Auditor | None = None) -> None:
        self.settings, self.registry, self.access = settings, registry, access
        self.authoriser = access.authoriser
        self.clock = clock or SystemClock()
        self.feed: Feed = registry.feed
        self.begun = self.clock.now()
        self.allowance = lru_cache(ALLOWANCES)(Allowance)
        self.metrics = Metrics(self.feed.count)
        self.gate = Gate(registry, self.clock,
                         settings.max_requests_inflight + settings.max_mutating_requests_inflight)
        self.metrics.sources += [lambda: fairness_families(self.gate), access.counts.families]
        self.auditor = auditor
        if auditor is not None:
            self.metrics.sources.append(auditor.families)
        self.discovery = Discovery(registry.resources, f"{settings.advertise_address}:{settings.secure_port}")
        self.messages = Messages(settings.protobuf_cache)
        self.feed.on_delete.append(self.messages.forget)
        self.audiences = Audiences(self.messages, self.clock.now, registry.views, self.metrics.watch_events)
        self.backends = Backends(self)
        self.metrics.sources.append(self.backends.families)
        self.bootstrapped = asyncio.Event()
        self.closing = False
        self.parts: dict[str, Any] = {}
        """What handlers of other modules keep for the life of the server, such as connections to kubelets."""

    async def app(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Message]],
                  send: Callable[[Message], Awaitable[None]]) -> None:
        started = self.clock.monotonic()
        request = request_of(scope)
        stream = request.verb == "watch" or request.subresource in routes.STREAMS
        flight = "readOnly" if request.verb in ("get", "list") else "mutating"
        if not stream:
            self.metrics.in_flight[flight] += 1
        try:
            answer = await self.answer(request, scope, receive, stream=stream)
        finally:
            if not stream:
                self.metrics.in_flight[flight] -= 1
        if answer is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers_of(answer, request)})
            await send({"type": "http.response.body", "body": answer.body})
        self.metrics.observe(request, 200 if answer is None else answer.status,
                             0.0 if stream and answer is None else self.clock.monotonic() - started)
        if request.audit is not None:
            await request.audit.ends(answer, stream=stream)

    async def answer(self, request: Request, scope: dict[str, Any],
                     receive: Callable[[], Awaitable[Message]], *, stream: bool) -> Answer | None:
        """What to send; None where a stream has already been sent. Never raises but for cancellation."""
        try:
            with self.within(request, stream=stream):
                return await self.handle(request, scope, receive)
        except ApiError as error:
            return failure(error, request)
        except TimeoutError:
            if request.underway:
                return None  # what has been sent cannot be taken back: it breaks off
            return failure(Timeout(TIMED_OUT), request)
        except Exception as error:
            if is_too_deep(error):
                return failure(TooDeep(), request)
            if request.audit is not None:
                await request.audit.panics(error)
            log.exception("request failed", extra={"method": request.method, "path": request.path,
                                                   "audit_id": request.audit_id})
            return failure(InternalError("Internal error occurred: the server has logged what went wrong under audit "
                                         f"id {request.audit_id}"), request)
        finally:
            request.begun()

    def within(self, request: Request, *, stream: bool) -> AbstractContextManager[None]:
        """Ends what is done for a request, by TimeoutError, when its time is over. Raises what `asked_of` raises."""
        if stream:
            return nullcontext()
        longest, asked = self.settings.request_timeout, asked_of(request) if request.query else 0.0
        return self.allowance(asked if 0 < asked < longest else longest).timeout()

    async def handle(self, request: Request, scope: dict[str, Any],
                     receive: Callable[[], Awaitable[Message]]) -> Answer | None:
        """A request's way: who asks, whether there is a seat, whether they may, and then what they want."""
        if not request.path.startswith(HEALTH):
            await self.started()
        if request.info.is_resource:
            # Rights, tokens and admission are judged by the cache: let it know all that was written before.
            await self.feed.current()
            request.kind = self.registry.resources.of(request.info)
        await self.identify(request, scope)
        if request.subresource not in routes.STREAMS:
            request.seat = await self.gate.enter(request)
        await self.authoriser.demand(request.attributes())
        if request.method in WITH_BODY:
            request.body = await self.body(request, receive)
        if (backend := self.backends.of(request.path)) is not None:
            return await aggregation.serve(self, request, backend)
        if request.info.is_resource:
            return await routes.dispatch(self, request)
        return await health.serve(self, request)

    async def started(self) -> None:
        """Return once the roles are there by which rights are judged: who is early waits, rather than being refused."""
        if not self.bootstrapped.is_set():
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self.bootstrapped.wait()
            except TimeoutError as error:
                raise ServiceUnavailable("the server is still starting, please try again later") from error

    async def identify(self, request: Request, scope: dict[str, Any]) -> None:
        """Set the request's user. Raises Unauthorized, and Forbidden where it may not act as another."""
        try:
            request.user = await self.access.authenticator.authenticate(request)
        except Unauthorized as error:
            self.metrics.authentications["failure",] += 1
            if self.auditor is not None:
                await self.auditor.refused(request, error)
            raise
        self.metrics.authentications["success",] += 1
        if self.auditor is not None:
            await self.auditor.begin(request)
        if "impersonate-" in " ".join(request.headers):
            await self.access.impersonation.act(request)

    async def body(self, request: Request, receive: Callable[[], Awaitable[Message]]) -> bytes:
        """The whole body. Raises RequestEntityTooLarge."""
        limit = self.settings.max_request_bytes
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise too_large(limit)
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"".join(pieces)
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            pieces.append(piece)
            if not message.get("more_body"):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def asked_of(request: Request) -> float:
    """Seconds within which a client wants its answer, 0 where it does not say. Raises BadRequest for no duration."""
    text = request.parameter("timeout")
    try:
        return durations.parse(text) if text else 0.0
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None


def too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {limit}")


def request_of(scope: dict[str, Any]) -> Request:
    """The request of an ASGI scope."""
    headers = joined(scope["headers"])
    text = scope["query_string"].decode("latin-1")
    query = parse_query(text) if text else {}
    exchange: Exchange | None = scope.get("extensions", {}).get("timonier")
    audit_id = headers.get("audit-id", "")
    client = scope.get("client")
    path, method = scope["path"], scope["method"]
    return Request(
        method, path, query, headers, parse(method, path, query), raw_headers=scope["headers"],
        uri=uri_of(scope), client=str(client[0]) if client else "",
        audit_id=audit_id if 0 < len(audit_id) <= LONGEST_AUDIT_ID and audit_id.isprintable() else new_id(),
        peer_certificate=exchange.peer_certificate if exchange else None,
        take_over=exchange.take_over if exchange else None)


def uri_of(scope: dict[str, Any]) -> str:
    """What stood in the request line."""
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return f"{path.decode('latin-1')}?{query.decode('latin-1')}" if query else str(path.decode("latin-1"))


def joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; the values of repeated ones, such as the protocols that exec offers, joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def parse_query(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl("&".join(text.split("&")[:MAX_QUERY_FIELDS]), keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found


def headers_of(answer: Answer, request: Request) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers += request.marks
    headers.append((b"audit-id", request.audit_id.encode("latin-1")))
    if "cache-control" not in dict(answer.headers):
        headers.append((b"cache-control", b"no-cache, private"))
    return headers + request.warning_headers()
