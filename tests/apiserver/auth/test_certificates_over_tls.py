"""A client's certificate over real connections: believed, or answered 401 as Kubernetes does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest
from support.api_server import running
from support.certificates import authority, context
from support.showing import BAD, VERSIONS, ask, sorts

from timonier.apiserver.access import access
from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.cluster.certificates import Authority, Identity
from timonier.kit.serve import serve
from timonier.kit.tls import server_context
from timonier.kit.trust import Authorities

PODS = "/api/v1/namespaces/default/pods"
UNAUTHORIZED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
                "reason": "Unauthorized", "code": 401}


class Door:
    """A server on a port, and certificates of every sort to come with."""

    def __init__(self, now, port, ca, trusted, folder):
        self.port, self.folder, self.trusted = port, folder, trusted
        self.sorts = sorts(now, ca, ("ann", "system:masters"))

    async def get(self, sort, version="1.3", **headers):
        made = self.sorts[sort] if sort else None
        return await ask(self.port, PODS, context(made, self.trusted, self.folder, VERSIONS[version]), headers)


@pytest.fixture
async def door(tmp_path):
    servers = Authority(tmp_path / "pki")
    pair = servers.issue("server", Identity("server", hosts=("127.0.0.1",)))
    listening = socket.create_server(("127.0.0.1", 0))
    async with running(tmp_path) as cluster:
        await bootstrap(cluster.registry)
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        await cluster.post(accounts, {"metadata": {"name": "robot"}})
        issued = await cluster.post(f"{accounts}/robot/token", {"spec": {"audiences": []}})
        ca = authority(cluster.clock.now())
        cluster.server.access = access(cluster.server.settings, cluster.registry, cluster.clock,
                                       Authorities([ca.certificate]))
        ssl = server_context(pair.certificate, pair.key, servers.pair.certificate)
        serving = asyncio.ensure_future(serve(cluster.server.app, [listening], ssl))
        found = Door(cluster.clock.now(), listening.getsockname()[1], ca, servers.pair.certificate, tmp_path)
        found.token = issued.json["status"]["token"]
        yield found
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sort", BAD)
async def test_a_certificate_that_is_not_to_be_believed_is_unauthorized(door, sort, version):
    answer = await door.get(sort, version)
    assert (answer.code, json.loads(answer.body)) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sort", ["good", "without-usages"])
async def test_a_certificate_of_the_authority_is_its_user(door, sort, version):
    answer = await door.get(sort, version)
    assert (answer.code, json.loads(answer.body)["kind"]) == (200, "PodList")


@pytest.mark.parametrize("sort", ["nameless", None])
async def test_who_shows_no_name_is_anonymous(door, sort):
    answer = await door.get(sort)
    assert (answer.code, json.loads(answer.body)["reason"]) == (403, "Forbidden")
    assert 'User "system:anonymous"' in json.loads(answer.body)["message"]


async def test_a_token_that_holds_counts_beside_a_certificate_that_does_not(door):
    answer = await door.get("foreign", Authorization=f"Bearer {door.token}")
    assert answer.code == 403
    assert 'User "system:serviceaccount:default:robot"' in json.loads(answer.body)["message"]
    assert (await door.get("foreign", Authorization="Bearer nonsense")).code == 401


async def test_every_verdict_holds_when_it_is_asked_for_again(door):
    for _ in range(2):
        assert (await door.get("foreign")).code == 401
        assert (await door.get("good")).code == 200
