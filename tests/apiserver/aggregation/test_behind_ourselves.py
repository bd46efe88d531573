"""An API server of ours behind another one of ours: what aggregation promises, from the user to the answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.api_server import Cluster, running
from support.definitions import FOOS, define, foo

from timonier.api.kinds import BY_ID, Kind
from timonier.apiserver.access import access
from timonier.apiserver.aggregation import availability
from timonier.apiserver.request import Request, User
from timonier.cluster.certificates import Authority, Identity
from timonier.kit.clock import SystemClock
from timonier.kit.serve import listen, serve
from timonier.kit.tls import server_context
from timonier.kit.trust import Authorities

GROUP = "example.com"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


class Named:
    """Takes everyone for whom the `x-test-user` header names, and for an administrator without it."""

    async def authenticate(self, request: Request) -> User:
        name = request.headers.pop("x-test-user", "")
        if not name:
            return User("admin", groups=("system:masters", "system:authenticated"))
        return User(name, "u-1", ("system:authenticated", "dev"), {"team.example.com/name": ("a", "b c")})


@asynccontextmanager
async def pair(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Cluster, Cluster]]:
    """The server in front, and the one behind it, which serves Foos."""
    (folder / "behind").mkdir()
    authority, proxy = Authority(folder / "pki"), Authority(folder / "front-proxy", "front-proxy-ca")
    serving = authority.issue("sample", Identity("sample", hosts=("sample.default.svc",)))
    client = proxy.issue("client", Identity("front-proxy-client"))
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]

    async def dial(*_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    monkeypatch.setattr("timonier.apiserver.aggregation.backends.dial", dial)
    async with running(folder / "behind", requestheader_client_ca_file=proxy.pair.certificate,
                       requestheader_allowed_names=("front-proxy-client",)) as behind, \
            running(folder, proxy_client_cert_file=client.certificate, proxy_client_key_file=client.key) as front:
        await define(behind)
        doors = access(behind.server.settings, behind.registry, SystemClock(), Authorities())
        object.__setattr__(behind.server.access, "authenticator", doors.authenticator)
        object.__setattr__(front.server.access, "authenticator", Named())
        context = server_context(serving.certificate, serving.key, proxy.pair.certificate)
        task = asyncio.ensure_future(serve(behind.server.app, [sock], context))
        try:
            await stand_before(front, base64.b64encode(authority.pair.certificate.read_bytes()).decode())
            yield front, behind
        finally:
            await front.server.backends.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def stand_before(front: Cluster, authority: str) -> None:
    """Have the front pass Foos on."""
    await front.post("/api/v1/namespaces/default/services", {
        "metadata": {"name": "sample"}, "spec": {"ports": [{"port": 443}]}})
    await front.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
        "metadata": {"name": "sample", "labels": {"kubernetes.io/service-name": "sample"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.9"]}], "ports": [{"name": "", "port": 443, "protocol": "TCP"}]})
    await front.post(SERVICES, {"metadata": {"name": f"v1.{GROUP}"}, "spec": {
        "group": GROUP, "version": "v1", "groupPriorityMinimum": 900, "versionPriority": 20, "caBundle": authority,
        "service": {"namespace": "default", "name": "sample"}}})
    await front.settle()
    for backend in front.server.backends.all():
        await availability.check(front.registry, front.server.backends, backend)
    await front.settle()


def kind_of(cluster: Cluster) -> Kind:
    found = cluster.registry.resources.find(f"{GROUP}/v1", "Foo")
    assert found is not None
    return found


async def bind(cluster: Cluster, role: str) -> None:
    await cluster.registry.create(BY_ID["rbac.authorization.k8s.io/v1/ClusterRole"], {
        "metadata": {"name": role}, "rules": [{"apiGroups": [GROUP], "resources": ["foos"], "verbs": ["*"]}]})
    await cluster.registry.create(BY_ID["rbac.authorization.k8s.io/v1/ClusterRoleBinding"], {
        "metadata": {"name": role}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                                                "name": role},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "dev"}]})
    await cluster.settle()


async def test_objects_are_made_read_changed_and_deleted_through_the_front(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch) as (front, behind):
        condition = (await front.get(f"{SERVICES}/v1.{GROUP}")).json["status"]["conditions"][0]
        assert (condition["status"], condition["reason"]) == ("True", "Passed")
        made = await front.post(FOOS, foo("a", {"x": "y"}), content_type="application/json")
        assert made.code == 201
        assert (await behind.registry.get(kind_of(behind), "default", "a"))["spec"] == {"x": "y"}
        changed = await front.patch(f"{FOOS}/a", {"spec": {"x": "z"}})
        assert changed.json["spec"] == {"x": "z"}
        assert [item["metadata"]["name"] for item in (await front.get(FOOS)).json["items"]] == ["a"]
        assert (await front.delete(f"{FOOS}/a")).code == 200
        missing = await front.get(f"{FOOS}/a")
        assert (missing.code, missing.message) == (404, f'foos.{GROUP} "a" not found')


async def test_a_watch_through_the_front_sees_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch) as (front, behind):
        taken = await front.watch(f"{FOOS}?watch=1&timeoutSeconds=30")
        await behind.registry.create(kind_of(behind), foo("seen", {}), "default")
        async with asyncio.timeout(5):
            while not taken.events():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert taken.events()[0]["object"]["metadata"]["name"] == "seen"


async def test_each_of_the_two_says_what_the_user_may_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch) as (front, behind):
        refused = await front.get(FOOS, x_test_user="jane")
        assert (refused.code, refused.message) == (
            403, f'foos.{GROUP} is forbidden: User "jane" cannot list resource "foos" in API group "{GROUP}" in '
            'the namespace "default"')
        await bind(front, "front")
        assert (await front.get(FOOS, x_test_user="jane")).code == 403
        await bind(behind, "behind")
        assert (await front.get(FOOS, x_test_user="jane")).code == 200


async def test_who_comes_without_the_proxys_certificate_is_nobody(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch) as (_, behind):
        reply = await behind.get(FOOS, x_remote_user="admin", x_remote_group="system:masters")
        assert reply.code == 403
        assert 'User "system:anonymous"' in reply.message
