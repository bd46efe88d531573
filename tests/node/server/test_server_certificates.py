"""No certificate gets into the kubelet's API that its CA did not issue for a client, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.certificates import Made, context
from support.kubelet_api import TOKEN, FakeRuntime, allowed, known, pod
from support.showing import BAD, VERSIONS, Answered, ask, sorts

from timonier.cluster.certificates import Authority, Identity
from timonier.component.authenticate import Authenticator
from timonier.kit.clock import SystemClock
from timonier.kit.serve import serve
from timonier.kit.tls import server_context
from timonier.kit.trust import Authorities
from timonier.node.kubelet.server.app import KubeletApi
from timonier.node.kubelet.server.authorise import Authoriser
from timonier.node.kubelet.server.host import Host


class Door:
    """A kubelet's API that allows everything to whom it believes, and certificates of every sort to come with."""

    def __init__(self, port: int, authority: Authority, folder: Path) -> None:
        self.port, self.folder, self.trusted = port, folder, authority.pair.certificate
        ca = Made(x509.load_pem_x509_certificate(self.trusted.read_bytes()),
                  load_pem_private_key(authority.pair.key.read_bytes(), None))
        self.sorts = sorts(SystemClock().now(), ca, ("kube-apiserver-kubelet-client", "system:masters"))

    async def get(self, sort: str, version: str = "1.3", path: str = "/healthz", **headers: str) -> Answered:
        made = self.sorts[sort] if sort else None
        return await ask(self.port, path, context(made, self.trusted, self.folder, VERSIONS[version]), headers)


@contextlib.asynccontextmanager
async def opened(folder: Path, *, trusting: bool = True) -> AsyncIterator[Door]:
    authority = Authority(folder / "pki")
    pair = authority.issue("kubelet", Identity("system:node:n1", hosts=("127.0.0.1",)))
    listening = socket.create_server(("127.0.0.1", 0))
    trusted = Authorities.from_file(authority.pair.certificate) if trusting else Authorities()
    host: Any = Host("n1", FakeRuntime(), lambda: (pod(),))
    api = KubeletApi(host, Authenticator(known, authorities=trusted), Authoriser("n1", allowed))
    ssl = server_context(pair.certificate, pair.key, authority.pair.certificate)
    serving = asyncio.ensure_future(serve(api, [listening], ssl))
    try:
        yield Door(listening.getsockname()[1], authority, folder)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await api.streams.connections.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sort", [*BAD, "nameless", ""])
async def test_who_is_not_believed_is_unauthorized(tmp_path: Path, sort: str, version: str) -> None:
    async with opened(tmp_path) as door:
        for path in ("/healthz", "/pods", "/exec/default/web/main?command=sh&output=1", "/nonsense"):
            answer = await door.get(sort, version, path)
            assert (answer.code, answer.body) == (401, b"Unauthorized")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sort", ["good", "without-usages"])
async def test_the_authoritys_clients_are_let_in(tmp_path: Path, sort: str, version: str) -> None:
    async with opened(tmp_path) as door:
        assert (await door.get(sort, version)).body == b"ok"


async def test_a_token_counts_beside_a_certificate_that_does_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        assert (await door.get("foreign", Authorization=f"Bearer {TOKEN}")).code == 200
        assert (await door.get("foreign", Authorization="Bearer nonsense")).code == 401


async def test_a_kubelet_that_was_given_no_authorities_believes_no_certificate(tmp_path: Path) -> None:
    async with opened(tmp_path, trusting=False) as door:
        assert (await door.get("good")).code == 401
