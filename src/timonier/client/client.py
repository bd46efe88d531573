"""The typed client: one method a verb, each giving the generated type that it was asked for.

`Client(config)` is cheap to make and safe to share between tasks. Errors are those of `timonier.api.errors`;
`timonier.kit.http.HttpError` means that the server gave no answer. What to do about a conflict is the caller's affair.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from timonier.api import errors, kinds
from timonier.api.types import authentication_v1, core_v1, meta_v1, policy_v1
from timonier.client.counts import NO_ANSWER, Requests
from timonier.client.wire import Listed, Object, Partial, WatchLine, decode, encode, error_of, kind_of, of_status
from timonier.kit.clock import Clock, SystemClock
from timonier.kit.http import ConnectionFailed, Connections, HttpError, Response
from timonier.kit.kubeconfig import ClientConfig

T = TypeVar("T", bound=Object)

JSON = "application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

BACKGROUND, FOREGROUND, ORPHAN = "Background", "Foreground", "Orphan"
PAGE = 500
"""Objects fetched by one request of a list."""
ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
WATCH_SILENCE = 600.0
"""A watch on which nothing arrived for so long, not even a bookmark, is taken for dead."""
WATCH_SECONDS = 290
"""How long one watch request lasts before it is made anew, varied by up to as much again."""


@dataclass(frozen=True, slots=True)
class Watched(Generic[T]):
    """One event of a watch: ADDED, MODIFIED or DELETED with the object, or BOOKMARK with its resourceVersion alone."""

    type: str
    object: T


class Client:
    """Requests to one API server as one identity. `name` is told to the server as the user agent."""

    def __init__(self, config: ClientConfig, *, name: str = "timonier", clock: Clock | None = None) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self._connections = Connections(config.ssl_context(), server_name=config.server_name or None)
        self.requests = Requests(config.server.partition("://")[2].partition("/")[0])
        self._agent = name
        self._token, self._token_stamp = config.token, (0, 0)

    async def close(self) -> None:
        await self._connections.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, cls: type[T], name: str, namespace: str = "", *, kind: kinds.Kind | None = None) -> T:
        """One object. `kind` names the collection where `cls` is `Partial`."""
        path = (kind or kind_of(cls)).path(namespace, name)
        return self._typed(cls, await self.raw("GET", path, accept=PARTIAL if cls is Partial else JSON))

    async def list(self, cls: type[T], namespace: str = "", *, labels: str = "", fields: str = "",
                   kind: kinds.Kind | None = None, resourceVersion: str = "") -> Listed[T]:
        """Every object of a kind, in one namespace or all, fetched page by page from one snapshot."""
        listed: Listed[T] = Listed()
        async for page in self.pages(cls, namespace, labels=labels, fields=fields, kind=kind,
                                     resourceVersion=resourceVersion):
            listed.items += page.items
            listed.metadata = page.metadata
        return listed

    async def pages(self, cls: type[T], namespace: str = "", *, labels: str = "", fields: str = "", size: int = PAGE,
                    kind: kinds.Kind | None = None, resourceVersion: str = "") -> AsyncIterator[Listed[T]]:
        """The same list in pieces of at most `size` objects, each fetched when it is asked for.

        Raises Expired where so much time passes between two pieces that the server has forgotten the first's revision.
        """
        path = (kind or kind_of(cls)).path(namespace)
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(size),
                 "resourceVersion": resourceVersion}
        accept = PARTIAL_LIST if cls is Partial else JSON
        while True:
            page = decode(Listed[cls], await self.raw("GET", path, query, accept=accept))  # type: ignore[valid-type]
            yield page
            if not page.metadata.continue_:
                return
            query |= {"continue": page.metadata.continue_, "resourceVersion": ""}

    async def create(self, obj: T) -> T:
        cls = type(obj)
        path = kind_of(cls).path(obj.metadata.namespace)
        return self._typed(cls, await self.raw("POST", path, body=encode(obj)))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """Replace an object; its resourceVersion, where it has one, must still be current."""
        cls = type(obj)
        path = kind_of(cls).path(obj.metadata.namespace, obj.metadata.name, subresource)
        return self._typed(cls, await self.raw("PUT", path, body=encode(obj)))

    async def update_status(self, obj: T) -> T:
        return await self.update(obj, subresource="status")

    async def patch(self, cls: type[T], name: str, namespace: str, patch: Any, *, kind_of_patch: str = MERGE_PATCH,
                    subresource: str = "", kind: kinds.Kind | None = None) -> T:
        """Change part of an object; `patch` is what the patch's media type says, as plain data."""
        path = (kind or kind_of(cls)).path(namespace, name, subresource)
        accept = PARTIAL if cls is Partial else JSON
        body = msgspec.json.encode(patch)
        return self._typed(cls, await self.raw("PATCH", path, body=body, content_type=kind_of_patch, accept=accept))

    async def apply(self, obj: T, *, manager: str, force: bool = False, subresource: str = "") -> T:
        """Have the fields that are set as they are here, and give up those of an earlier apply that are not.

        `manager` is the name under which the server remembers them. Raises Conflict where another manager wants one of
        them otherwise, unless `force` takes it over. The object carries neither managedFields nor a resourceVersion
        that it does not mean.
        """
        cls = type(obj)
        path = kind_of(cls).path(obj.metadata.namespace, obj.metadata.name, subresource)
        query = {"fieldManager": manager, "force": "true" if force else ""}
        return self._typed(cls, await self.raw("PATCH", path, query, encode(obj), content_type=APPLY_PATCH))

    async def delete(self, cls: type[Object], name: str, namespace: str = "", *, uid: str = "",
                     resourceVersion: str = "", propagation: str = "", grace: int | None = None,
                     kind: kinds.Kind | None = None) -> None:
        """Delete an object; `uid` and `resourceVersion` are preconditions, so that a namesake is never hit."""
        path = (kind or kind_of(cls)).path(namespace, name)
        await self.raw("DELETE", path, body=delete_options(uid, resourceVersion, propagation, grace))

    async def delete_collection(self, cls: type[Object], namespace: str = "", *, labels: str = "", fields: str = "",
                                propagation: str = "", kind: kinds.Kind | None = None) -> None:
        query = {"labelSelector": labels, "fieldSelector": fields}
        path = (kind or kind_of(cls)).path(namespace)
        await self.raw("DELETE", path, query, delete_options("", "", propagation, None))

    async def bind(self, pod: core_v1.Pod, node: str) -> None:
        """Assign a pod to a node. Raises Conflict where it has one, or is not the pod that was decided upon."""
        meta = meta_v1.ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace, uid=pod.metadata.uid)
        binding = core_v1.Binding(metadata=meta, target=core_v1.ObjectReference(kind="Node", name=node))
        path = kind_of(core_v1.Pod).path(meta.namespace, meta.name, "binding")
        await self.raw("POST", path, body=encode(binding))

    async def evict(self, name: str, namespace: str, *, uid: str = "", grace: int | None = None) -> None:
        """Delete a pod if its disruption budgets allow it now; raises TooManyRequests where they do not."""
        eviction = policy_v1.Eviction(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace))
        if uid or grace is not None:
            eviction.deleteOptions = meta_v1.DeleteOptions(
                gracePeriodSeconds=grace, preconditions=meta_v1.Preconditions(uid=uid) if uid else None)
        path = kind_of(core_v1.Pod).path(namespace, name, "eviction")
        await self.raw("POST", path, body=encode(eviction), attempts=1)

    async def token(self, service_account: str, namespace: str, *, audiences: Sequence[str] = (),
                    seconds: int = 3600, pod: core_v1.Pod | None = None) -> authentication_v1.TokenRequestStatus:
        """A token for a service account, bound to a pod where one is given."""
        request = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(
            audiences=[*audiences], expirationSeconds=seconds))
        if pod is not None:
            request.spec.boundObjectRef = authentication_v1.BoundObjectReference(
                apiVersion="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid)
        path = kind_of(core_v1.ServiceAccount).path(namespace, service_account, "token")
        answer = self._typed(authentication_v1.TokenRequest, await self.raw("POST", path, body=encode(request)))
        return answer.status

    async def watch(self, cls: type[T], namespace: str = "", *, resourceVersion: str, labels: str = "",
                    fields: str = "", kind: kinds.Kind | None = None) -> AsyncIterator[Watched[T]]:
        """Changes after a resourceVersion, until the server ends the watch. Raises Expired (or Gone) to list anew."""
        seconds = WATCH_SECONDS + random.randrange(WATCH_SECONDS)
        query = {"watch": "true", "resourceVersion": resourceVersion, "allowWatchBookmarks": "true",
                 "labelSelector": labels, "fieldSelector": fields, "timeoutSeconds": str(seconds)}
        url = self._url((kind or kind_of(cls)).path(namespace), query)
        headers = self._headers(PARTIAL if cls is Partial else JSON)
        async with self._connections.stream("GET", url, headers, read_timeout=WATCH_SILENCE) as stream:
            self.requests.add("GET", str(stream.status))
            if stream.status != 200:
                raise error_of(stream.status, stream.headers, await stream.read())
            async for line in lines(stream):
                yield watched(cls, line)

    async def wait_for(self, cls: type[T], name: str, namespace: str = "", *, until: Callable[[T | None], bool],
                       seconds: float = 60.0) -> T | None:
        """An object (None where there is none) once it is as it should be. Raises TimeoutError.

        `until` sees the object as it is now and after each change: `until=lambda obj: obj is None` waits for its end.
        """
        fields = f"metadata.name={name}"
        async with asyncio.timeout(seconds):
            while True:
                found = await self.list(cls, namespace, fields=fields)
                obj = found.items[0] if found.items else None
                if until(obj):
                    return obj
                try:
                    events = self.watch(cls, namespace, fields=fields, resourceVersion=found.metadata.resourceVersion)
                    async for event in events:
                        obj = None if event.type == "DELETED" else event.object
                        if event.type != "BOOKMARK" and until(obj):
                            return obj
                except (errors.Expired, errors.Gone):
                    continue

    async def raw(self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None, *,
                  content_type: str = JSON, accept: str = JSON, attempts: int = ATTEMPTS) -> bytes:
        """The body of a successful answer. Retries what the server refused for now, and what never reached it."""
        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = content_type
        url = self._url(path, query or {})
        for attempt in range(1, attempts + 1):
            started = self.clock.monotonic()
            try:
                response = await self._connections.request(method, url, headers, body)
                self.requests.add(method, str(response.status), self.clock.monotonic() - started)
            except HttpError as error:
                self.requests.add(method, NO_ANSWER)
                harmless = method == "GET" or isinstance(error, ConnectionFailed)
                if not harmless or attempt == attempts:
                    raise
                await self.clock.sleep(pause(attempt))
                continue
            if response.status < 300:
                return response.body
            failure = error_of(response.status, response.headers, response.body)
            if attempt == attempts or not refused_for_now(response, failure):
                raise failure
            await self.clock.sleep(max(pause(attempt), min(failure.retry_after, LONGEST_PAUSE)))
        raise AssertionError("the last attempt returns or raises")

    def stream(self, method: str, path: str, query: Mapping[str, str] | None = None, *, accept: str = "*/*",
               read_timeout: float | None = None) -> Any:
        """`async with client.stream("GET", path) as stream`: a body read as it comes, such as a followed log."""
        return self._connections.stream(method, self._url(path, query or {}), self._headers(accept),
                                        read_timeout=read_timeout)

    def _typed(self, cls: type[T], body: bytes) -> T:
        obj: T = decode(cls, body)
        return obj

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        given = urlencode([(key, value) for key, value in query.items() if value])
        return f"{self.config.server}{quote(path, safe='/:@')}" + (f"?{given}" if given else "")

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": self._agent}
        if token := self._current_token():
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _current_token(self) -> str:
        if (path := self.config.token_file) is None:
            return self._token
        try:
            now = path.stat()
            if (now.st_mtime_ns, now.st_ino) != self._token_stamp:
                self._token, self._token_stamp = path.read_text().strip(), (now.st_mtime_ns, now.st_ino)
        except OSError as error:
            if not self._token:
                raise errors.Unauthorized(f"cannot read the token file {path}: {error}") from error
        return self._token


def pause(attempt: int) -> float:
    """Seconds before the next attempt: doubling, varied by half so that clients do not march in step."""
    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.75, 1.25)


def refused_for_now(response: Response, failure: errors.ApiError) -> bool:
    return response.status == 429 or (response.status in (500, 503, 504) and failure.retry_after > 0)


def delete_options(uid: str, resourceVersion: str, propagation: str, grace: int | None) -> bytes | None:
    options: dict[str, Any] = {}
    preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resourceVersion)) if value}
    if preconditions:
        options["preconditions"] = preconditions
    if propagation:
        options["propagationPolicy"] = propagation
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if not options:
        return None
    return msgspec.json.encode({"kind": "DeleteOptions", "apiVersion": "v1"} | options)


async def lines(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The lines of a body, however it was cut into chunks."""
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
    if rest.strip():
        yield rest


def watched(cls: type[T], line: bytes) -> Watched[T]:
    event: WatchLine = decode(WatchLine, line)
    if event.type == "ERROR":
        raise of_status(decode(meta_v1.Status, event.object), 500)
    if event.type == "BOOKMARK":
        bare: Partial = decode(Partial, event.object)
        bookmark = cls()
        bookmark.metadata = bare.metadata
        return Watched("BOOKMARK", bookmark)
    obj: T = decode(cls, event.object)
    return Watched(event.type, obj)
