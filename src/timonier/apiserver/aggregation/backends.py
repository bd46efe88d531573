"""The servers behind APIServices: which group and version each answers, and how it is reached.

They are read from the watch cache, and read again when an APIService changed. What a backend has told of itself
(`resources`, `openapi`) is kept with it, so that discovery never waits for one.
"""

from __future__ import annotations

import logging
import ssl as tls
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from timonier.apiserver.aggregation.local import API_SERVICE, AVAILABLE, BUILT_IN
from timonier.apiserver.endpoints import dial
from timonier.apiserver.hooks import NotAnswered, trusting
from timonier.apiserver.kubelets import kubelets_of
from timonier.apiserver.meters import gauge
from timonier.apiserver.request import User
from timonier.kit.http import Connections, unverified

if TYPE_CHECKING:
    from prometheus_client import Metric

    from timonier.apiserver.app import ApiServer
    from timonier.apiserver.openapi.merge import Part

log = logging.getLogger(__name__)

Object = dict[str, Any]
PORT = 443


@dataclass(eq=False)
class Backend:
    """One group and version that another server answers."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    group_priority: int
    version_priority: int
    connections: Connections
    spec: bytes
    available: bool = False
    resources: Object | None = None
    """Its APIResourceList."""
    openapi: str = ""
    """Where its OpenAPI v3 document is."""
    described: Part | None = None
    """Of its OpenAPI v2 document, what is about this group and version."""

    @property
    def base(self) -> str:
        """The URL of the server, by the name that its certificate has to have."""
        return f"https://{self.service}.{self.namespace}.svc:{self.port}"

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}"


class Backends:
    """All backends of one server. `stamp` changes whenever what they tell of themselves does."""

    def __init__(self, server: ApiServer) -> None:
        self._server, self._seen, self.stamp = server, -1, 0
        self._cache = server.registry.cache(API_SERVICE)
        self._known: dict[tuple[str, str], Backend] = {}
        self._gone: list[Connections] = []

    def all(self) -> Sequence[Backend]:
        self._refresh()
        return list(self._known.values())

    def described(self) -> tuple[Part, ...]:
        """What backends say in OpenAPI v2, in the order of their names."""
        self._refresh()
        return tuple(each.described for each in sorted(self._known.values(), key=lambda each: each.name)
                     if each.described is not None)

    def of(self, path: str) -> Backend | None:
        """Who answers a path below `/apis/<group>/<version>`; None where this server does."""
        self._refresh()
        if not self._known or not path.startswith("/apis/"):
            return None
        _, _, group, version, *_ = (*path.split("/", 4), "", "")
        return self._known.get((group, version))

    def _refresh(self) -> None:
        if self._cache.version == self._seen:
            return
        registry, self._seen = self._server.registry, self._cache.version
        before, self._known = {each.name: each for each in self._known.values()}, {}
        for obj in registry.peek_all(API_SERVICE):
            if obj["spec"].get("service") and (obj["spec"].get("group", ""), obj["spec"]["version"]) not in BUILT_IN:
                found = self._made(obj, before.get(obj["metadata"]["name"]))
                self._known[found.group, found.version] = found
        kept = {id(each.connections) for each in self._known.values()}
        self._gone += [each.connections for each in before.values() if id(each.connections) not in kept]
        self.stamp += 1

    def _made(self, obj: Object, before: Backend | None) -> Backend:
        spec, name = obj["spec"], obj["metadata"]["name"]
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        if before is not None and before.spec == key:
            found = before
        else:
            service = spec["service"]
            place = service["namespace"], service["name"], service.get("port") or PORT
            connections = Connections(self._trust(spec), dial=lambda host, port: dial(
                self._server.registry, lambda: kubelets_of(self._server), *place))
            found = Backend(name, spec.get("group", ""), spec["version"], *place, spec["groupPriorityMinimum"],
                            spec["versionPriority"], connections, key)
        conditions = (obj.get("status") or {}).get("conditions") or ()
        found.available = any(each["type"] == AVAILABLE and each["status"] == "True" for each in conditions)
        return found

    def _trust(self, spec: Object) -> tls.SSLContext:
        """TLS to a backend, with the front proxy's certificate. What cannot be read of a bundle vouches for nobody."""
        try:
            context = unverified() if spec.get("insecureSkipTLSVerify") else trusting(spec.get("caBundle") or "")
        except NotAnswered as error:
            log.warning("caBundle of an APIService not read", extra={"error": str(error)})
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        settings = self._server.settings
        if settings.proxy_client_cert_file and settings.proxy_client_key_file:
            context.load_cert_chain(settings.proxy_client_cert_file, settings.proxy_client_key_file)
        return context

    def families(self) -> Iterator[Metric]:
        """Whether each backend is available, under Kubernetes's name."""
        yield gauge("aggregator_unavailable_apiservice", "Whether the API that another server answers is unavailable.",
                    ("name",), (((each.name,), not each.available) for each in self.all()))

    async def let_go(self) -> None:
        """Close the connections to backends that are no more."""
        while self._gone:
            await self._gone.pop().close()

    async def close(self) -> None:
        await self.let_go()
        for each in self._known.values():
            await each.connections.close()


def identity(user: User) -> Mapping[str, Sequence[str]]:
    """The headers that tell a backend who asks; it believes them for the certificate with which they come."""
    headers: dict[str, Sequence[str]] = {"X-Remote-User": (user.name,)}
    if user.uid:
        headers["X-Remote-Uid"] = (user.uid,)
    if user.groups:
        headers["X-Remote-Group"] = user.groups
    return headers | {f"X-Remote-Extra-{quote(key, safe='')}": values for key, values in user.extra.items()}
