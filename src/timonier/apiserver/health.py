"""Paths that are not about objects: health, version, metrics, discovery, OpenAPI, and the keys that sign tokens.

Source: Kubernetes documentation, "Kubernetes API health endpoints".
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from timonier.api.errors import MethodNotAllowed
from timonier.apiserver import zpages
from timonier.apiserver.aggregation.discovery import document as with_backends
from timonier.apiserver.answers import TEXT, encoded, plain
from timonier.apiserver.documents import Answer
from timonier.apiserver.encryption.kms import Kms
from timonier.apiserver.encryption.store import EncryptedStore
from timonier.apiserver.request import Object, Request
from timonier.store.contract import StoreError

if TYPE_CHECKING:
    from timonier.apiserver.app import ApiServer

log = logging.getLogger(__name__)

GIT_VERSION = "v1.37.0+timonier"
HEALTH = ("healthz", "livez", "readyz")
KEYS_KEPT = 3600
"""Seconds for which others may keep the keys that verify our tokens."""
PATHS = ("/.well-known/openid-configuration", "/api", "/apis", "/flagz", "/healthz", "/livez", "/metrics",
         "/metrics/slis", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/statusz", "/version")

DUMPS = "api_priority_and_fairness/"

Check = Callable[["ApiServer"], Awaitable[str]]
"""What is wrong; empty where nothing is."""


async def ping(server: ApiServer) -> str:
    return ""


async def store(server: ApiServer) -> str:
    try:
        await server.registry.store.revision()
    except StoreError as error:
        return str(error)
    return ""


async def informers(server: ApiServer) -> str:
    return "" if server.feed.ready.is_set() else "the watch cache is not filled yet"


async def bootstrap(server: ApiServer) -> str:
    return "" if server.bootstrapped.is_set() else "the objects that every cluster has are not all there yet"


async def shutdown(server: ApiServer) -> str:
    return "the server is shutting down" if server.closing else ""


async def kms(server: ApiServer) -> str:
    return "; ".join(service.trouble for service in services(server) if service.trouble)


def services(server: ApiServer) -> Sequence[Kms]:
    """The key management services that the store depends on."""
    store = server.registry.store
    return store.scheme.services() if isinstance(store, EncryptedStore) else ()


CHECKS: dict[str, dict[str, Check]] = {
    "livez": {"ping": ping, "etcd": store},
    "healthz": {"ping": ping, "etcd": store, "poststarthook/start-apiserver-admission-initializer": informers,
                "poststarthook/rbac/bootstrap-roles": bootstrap},
    "readyz": {"ping": ping, "etcd": store, "informer-sync": informers, "poststarthook/rbac/bootstrap-roles": bootstrap,
               "shutdown": shutdown},
}
"""By endpoint. The store's check bears the name that monitoring looks for."""


async def health(server: ApiServer, request: Request, endpoint: str, only: str) -> Answer:
    """`ok`, or what is not; one line a check with ?verbose or where one fails. Why stands in the server's log."""
    checks = CHECKS[endpoint] | ({"kms-providers": kms} if services(server) else {})
    if only:
        if only not in checks:
            return plain(404, "404 page not found\n")
        checks = {only: checks[only]}
    excluded = set(request.query.get("exclude", ()))
    lines, failed = [], []
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        why = await check(server)
        server.metrics.checked(name, endpoint, well=not why)
        if why:
            lines.append(f"[-]{name} failed: reason withheld")
            failed.append(name)
            log.warning("health check failed", extra={"endpoint": endpoint, "check": name, "reason": why})
        else:
            lines.append(f"[+]{name} ok")
    if unknown := excluded - checks.keys():
        lines.append("warn: some health checks cannot be excluded: no matches for "
                     + ",".join(f'"{name}"' for name in sorted(unknown)))
    if failed:
        return plain(500, "\n".join([*lines, f"{endpoint} check failed"]) + "\n")
    if "verbose" in request.query and not only:
        return plain(200, "\n".join([*lines, f"{endpoint} check passed"]) + "\n")
    return plain(200, "ok")


def version() -> Object:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {"major": "1", "minor": "37", "emulationMajor": "1", "emulationMinor": "37", "minCompatibilityMajor": "1",
            "minCompatibilityMinor": "37", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "", "goVersion": "", "compiler": f"{platform.python_implementation()} "
            f"{platform.python_version()}", "platform": f"{platform.system().lower()}/{machine}"}


async def serve(server: ApiServer, request: Request) -> Answer | None:
    """A path that is not a resource's."""
    if request.method not in ("GET", "HEAD"):
        if request.path.rstrip("/") in PATHS:
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        return plain(404, "404 page not found\n")
    first, _, rest = request.path.strip("/").partition("/")
    if first in HEALTH:
        return await health(server, request, first, rest)
    match first, rest:
        case "version", "":
            return encoded(200, version())
        case "metrics", "":
            return Answer(200, [("content-type", TEXT.replace("plain;", "plain; version=0.0.4;"))],
                          server.metrics.text())
        case "metrics", "slis":
            return Answer(200, [("content-type", TEXT.replace("plain;", "plain; version=0.0.4;"))],
                          server.metrics.slis())
        case "statusz", "":
            return zpages.statusz(server, request)
        case "flagz", "":
            return zpages.flagz(server, request)
        case "debug", _ if rest.startswith(DUMPS):
            from timonier.apiserver.fairness.dumps import dump

            text = dump(server.gate, rest.removeprefix(DUMPS))
            return plain(404, "404 page not found\n") if text is None else plain(200, text)
        case "", "":
            return encoded(200, {"paths": list(PATHS)})
        case ("api" | "apis"), _:
            return discovery(server, request)
        case "openapi", _:
            return await openapi(server, request)
        case "openid" | ".well-known", _:
            return keys(server, request)
    return plain(404, "404 page not found\n")


def discovery(server: ApiServer, request: Request) -> Answer:
    accept = request.headers.get("accept", "")
    document = with_backends(server, request.path, accept) or server.discovery.document(request.path, accept)
    return plain(404, "404 page not found\n") if document is None else document.answer(request.headers)


async def openapi(server: ApiServer, request: Request) -> Answer | None:
    from timonier.apiserver.aggregation import openapi as theirs
    from timonier.apiserver.openapi import serve as document

    if request.path.startswith("/openapi/v3/apis/") and server.backends.all() and \
            (passed := await theirs.document(server, request)) is not None:
        return passed
    found = await document(server, request)
    if found is not None and request.path.rstrip("/") == "/openapi/v3":
        return theirs.with_backends(server, found, request)
    return plain(404, "404 page not found\n") if found is None else found


def keys(server: ApiServer, request: Request) -> Answer:
    """How others verify our tokens (OpenID Connect discovery)."""
    from timonier.apiserver.auth.tokens import openid_configuration

    settings, keyring = server.settings, server.access.keyring
    issuer = settings.service_account_issuer[0]
    kept = [("cache-control", f"public, max-age={KEYS_KEPT}")]
    match request.path.rstrip("/"):
        case "/openid/v1/jwks":
            answer = encoded(200, keyring.jwks())
            return Answer(200, [("content-type", "application/jwk-set+json"), *kept], answer.body)
        case "/.well-known/openid-configuration":
            uri = settings.service_account_jwks_uri or f"{issuer.rstrip('/')}/openid/v1/jwks"
            answer = encoded(200, openid_configuration(issuer, uri, keyring.algorithms))
            return Answer(200, [("content-type", "application/json"), *kept], answer.body)
    return plain(404, "404 page not found\n")
