"""What it costs to know who asks and whether they may: CPU time of one request's authentication and authorisation.

The token and the certificate are ones that the server has seen before, as those of nearly every request; the rights
come by RBAC from the default roles. The last row is a node that reads a secret of one of its pods right after another
pod has changed, in a cluster of 10,000 pods: what the Node authoriser needs in order to keep up.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from table import Row, main

from timonier.api.kinds import BY_ID
from timonier.apiserver import bootstrap
from timonier.apiserver.access import Access, access
from timonier.apiserver.auth.bootstrap import bootstrap as bootstrap_policy
from timonier.apiserver.feed import Feed
from timonier.apiserver.registry import Registry
from timonier.apiserver.request import Request, parse
from timonier.apiserver.server import make_registry
from timonier.apiserver.settings import ApiServerSettings
from timonier.cluster.certificates import Authority, Identity, signing_key
from timonier.kit.clock import SystemClock
from timonier.kit.trust import Authorities
from timonier.store.memory import MemoryStore

TIMES, ROUNDS, PODS = 5000, 5, 10_000
POD, ACCOUNT, BINDING = BY_ID["v1/Pod"], BY_ID["v1/ServiceAccount"], BY_ID["rbac.authorization.k8s.io/v1/RoleBinding"]
SUBJECTS = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="timonier-bench-") as folder:
        return asyncio.run(measured(Path(folder)))


async def measured(folder: Path) -> list[Row]:
    authority, nothing = Authority(folder), Path("/nonexistent")
    settings = ApiServerSettings(nothing, nothing, nothing, signing_key(folder / "sa.key"), "10.0.0.1")
    feed, clock = Feed(MemoryStore()), SystemClock()
    registry, _, _ = make_registry(settings, feed, clock)
    following = asyncio.ensure_future(feed.run())
    await feed.ready.wait()
    try:
        await bootstrap.bootstrap(registry, settings)
        await bootstrap_policy(registry)
        await populate(registry)
        doors = access(settings, registry, clock, Authorities.from_file(authority.pair.certificate))
        token = (await doors.tokens.issue({}, "default", "robot"))["status"]["token"]
        ann, node = (der(authority, name, groups) for name, groups in (("ann", ()), ("system:node:n1",
                                                                                     ("system:nodes",))))
        pod, secret = "/api/v1/namespaces/default/pods/p7", "/api/v1/namespaces/default/secrets/s1"
        note = "CPU time; nothing comparable to stand beside"
        rows = [Row(name, await each(lambda: asked(doors, path, **shown)), None, "µs", note=note)  # noqa: B023
                for name, path, shown in (("service-account token", pod, {"token": token}),
                                          ("certificate", pod, {"certificate": ann}),
                                          ("certificate of a node, secret of its pod", secret, {"certificate": node}))]
        await asked(doors, secret, certificate=node)
        seconds = 0.0
        for number in range(100):
            await registry.change(POD, "default", f"p{number}", relabelled(number))
            await feed.current()
            began = time.process_time()
            await asked(doors, secret, certificate=node)
            seconds += time.process_time() - began
        return [*rows, Row(f"  after a change among {PODS:,} pods", seconds / 100 * 1e6, None, "µs", note=note)]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def populate(registry: Registry) -> None:
    await registry.create(ACCOUNT, {"metadata": {"name": "robot"}}, "default")
    await registry.create(BINDING, {"metadata": {"name": "b"}, "subjects": SUBJECTS, "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}}, "default")
    for number in range(PODS):
        node = f"n{number % 100}"
        await registry.create(POD, {"metadata": {"name": f"p{number}"}, "spec": {
            "nodeName": node, "containers": [{"name": "a", "image": "b"}],
            "volumes": [{"name": "v", "secret": {"secretName": f"s{number}"}}]}}, "default")


def der(authority: Authority, name: str, groups: tuple[str, ...]) -> bytes:
    pair = authority.issue(name.replace(":", "-"), Identity(name, groups=groups))
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes()).public_bytes(Encoding.DER)


def relabelled(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda old: old | {"metadata": old["metadata"] | {"labels": {"turn": str(number)}}}


async def asked(doors: Access, path: str, *, token: str = "", certificate: bytes | None = None) -> None:
    """A request on its way through both."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = Request("GET", path, {}, headers, parse("GET", path, {}), peer_certificate=certificate)
    request.user = await doors.authenticator.authenticate(request)
    await doors.authoriser.demand(request.attributes())


async def each(once: Callable[[], Awaitable[None]]) -> float:
    """CPU microseconds of a call, in the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            await once()
        best = min(best, (time.process_time() - began) / TIMES)
    return best * 1e6


if __name__ == "__main__":
    main(measure, "Who asks, and whether they may")
