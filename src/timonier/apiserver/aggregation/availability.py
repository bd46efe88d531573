"""Whether the servers behind APIServices answer: the Service, its port, its endpoints, and then the server itself."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

import orjson

from timonier.api.errors import ApiError
from timonier.apiserver.aggregation.backends import Backend, Backends, identity
from timonier.apiserver.aggregation.local import API_SERVICE, tell
from timonier.apiserver.endpoints import SERVICE, SLICE, ready
from timonier.apiserver.hooks import NotAnswered, why
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import AUTHENTICATED_GROUP, MASTERS_GROUP, User
from timonier.kit.clock import Seconds
from timonier.kit.http import HttpError

log = logging.getLogger(__name__)

ASKER = User("system:kube-aggregator", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))
EVERY: Seconds = 30.0
"""Between two looks at a backend, where nothing around it changed."""
ANSWER_SECONDS: Seconds = 5.0
TRIES = 5
"""Attempts before a backend counts as not answering."""
JSON = {"Accept": "application/json"}


class Finding(NamedTuple):
    """Whether a backend is available, and why."""

    well: bool
    reason: str
    message: str


async def check_forever(registry: Registry, backends: Backends) -> None:
    """Look at all backends now and then, and whenever what they depend on changed."""
    changed = asyncio.Event()
    ends = [registry.cache(kind).subscribe(lambda delta: changed.set()) for kind in (API_SERVICE, SERVICE, SLICE)]
    try:
        while True:
            changed.clear()
            async with asyncio.TaskGroup() as group:
                for backend in backends.all():
                    group.create_task(check(registry, backends, backend), name=f"check-{backend.name}")
            await backends.let_go()
            try:
                async with asyncio.timeout(EVERY if backends.all() else None):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        for end in ends:
            end()
        await backends.close()


async def check(registry: Registry, backends: Backends, backend: Backend) -> None:
    """Look at one backend, and have its APIService say what was found."""
    found = around(registry, backend)
    if found is None:
        found = await asked(backends, backend)
    if not found.well:
        log.info("API not available", extra={"api": backend.name, "reason": found.reason, "why": found.message})
    try:
        await tell(registry, backend.name, found.well, found.reason, found.message)
    except ApiError as error:
        log.warning("status of an APIService not written", extra={"api": backend.name, "error": error.message})


def around(registry: Registry, backend: Backend) -> Finding | None:
    """What keeps a backend from being asked at all."""
    where = f'service/{backend.service} in "{backend.namespace}"'
    service = registry.peek(SERVICE, backend.namespace, backend.service)
    if service is None:
        return Finding(False, "ServiceNotFound", f"{where} is not present")
    ports = service["spec"].get("ports") or ()
    port = next((each for each in ports if each["port"] == backend.port), None)
    if port is None:
        return Finding(False, "ServicePortError", f"{where} is not listening on port {backend.port}")
    name = port.get("name") or ""
    slices = [each for each in registry.peek_all(SLICE, backend.namespace)
              if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == backend.service]
    if not slices:
        return Finding(False, "EndpointsNotFound", f"cannot find endpointslices for {where}")
    if not any(ready(registry, backend.namespace, backend.service, name)):
        return Finding(False, "MissingEndpoints",
                       f'endpointslices for {where} have no addresses with port name "{name}"')
    return None


async def asked(backends: Backends, backend: Backend) -> Finding:
    """What a backend says when asked for its resources; what it says is kept."""
    url, message = backend.base + backend.root, ""
    for _ in range(TRIES):
        try:
            response = await backend.connections.request("GET", url, {**JSON, **identity(ASKER)},
                                                         within=ANSWER_SECONDS)
        except (HttpError, ApiError, NotAnswered, OSError) as error:
            message = f'failing or missing response from {url}: Get "{url}": {why(error)}'
            continue
        if 200 <= response.status < 400:
            await learn(backends, backend, response.body)
            await learn_v2(backend)
            return Finding(True, "Passed", "all checks passed")
        message = f"failing or missing response from {url}: bad status from {url}: {response.status}"
    return Finding(False, "FailedDiscoveryCheck", message)


async def learn(backends: Backends, backend: Backend, body: bytes) -> None:
    """Keep what a backend tells of its resources, and where it describes them."""
    resources, openapi = parsed(body), backend.openapi
    try:
        index = await backend.connections.request("GET", f"{backend.base}/openapi/v3", {**JSON, **identity(ASKER)},
                                                  within=ANSWER_SECONDS)
        entry = (parsed(index.body).get("paths") or {}).get(backend.root.strip("/")) or {}
        openapi = str(entry.get("serverRelativeURL") or "") if index.status == 200 else ""
    except (HttpError, ApiError, OSError) as error:
        log.debug("OpenAPI of a backend not read", extra={"api": backend.name, "error": str(error)})
    if (resources, openapi) != (backend.resources, backend.openapi):
        backend.resources, backend.openapi = resources, openapi
        backends.stamp += 1


async def learn_v2(backend: Backend) -> None:
    """Keep what a backend says of its group and version in OpenAPI v2, where that is other than before."""
    from timonier.apiserver.openapi.merge import Part

    before = backend.described
    headers = {**JSON, **identity(ASKER), **({"If-None-Match": f'"{before.etag}"'} if before and before.etag else {})}
    try:
        answer = await backend.connections.request("GET", f"{backend.base}/openapi/v2", headers, within=ANSWER_SECONDS)
        if answer.status == 304:
            return
        etag = answer.headers.get("etag", "").strip('"')
        backend.described = await asyncio.to_thread(Part.of, answer.body, backend.root, etag) \
            if answer.status == 200 else None
    except ValueError as error:
        backend.described = None
        log.warning("OpenAPI v2 of a backend not usable", extra={"api": backend.name, "error": str(error)})
    except (HttpError, ApiError, OSError) as error:
        log.debug("OpenAPI v2 of a backend not read", extra={"api": backend.name, "error": str(error)})


def parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
