"""The endpoint of controllers and scheduler over real TLS connections: what is open, what is guarded, and for whom."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.certificates import Made, context
from support.ports import free_port
from support.showing import BAD, Answered, ask, sorts

from timonier.api.errors import ApiError, InternalError, ServiceUnavailable
from timonier.api.types import authentication_v1, authorization_v1
from timonier.cluster.certificates import Authority, Identity
from timonier.component.authenticate import Authenticator
from timonier.component.authorise import Reviewed
from timonier.component.guard import Delegated
from timonier.component.settings import ServingSettings
from timonier.component.showing import showing
from timonier.component.shown import Shown
from timonier.kit.clock import FakeClock, SystemClock
from timonier.kit.fatal import CannotRun

TOKEN = {"Authorization": "Bearer good"}


class Reviewing:
    """An API server that knows one token, and lets `monitoring` alone see paths."""

    def __init__(self) -> None:
        self.clock, self.asked, self.error = FakeClock(SystemClock().now()), [], None

    async def create(self, review: Any) -> Any:
        if self.error is not None:
            raise self.error
        if isinstance(review, authentication_v1.TokenReview):
            review.status.authenticated = review.spec.token == "good"
            review.status.user = authentication_v1.UserInfo(username="bot", groups=["monitoring"])
        else:
            assert isinstance(review, authorization_v1.SubjectAccessReview)
            asked = review.spec.nonResourceAttributes
            self.asked.append((review.spec.user, asked.verb, asked.path))
            review.status.allowed = "monitoring" in review.spec.groups
        return review


class Endpoint:
    def __init__(self, settings: ServingSettings, authority: Authority, folder: Path, group: str) -> None:
        self.port, self.folder, self.trusted = settings.secure_port, folder, authority.pair.certificate
        self.shown, self.server = Shown(), Reviewing()
        ca = Made(x509.load_pem_x509_certificate(self.trusted.read_bytes()),
                  load_pem_private_key(authority.pair.key.read_bytes(), None))
        self.sorts = sorts(SystemClock().now(), ca, ("prometheus", group))

    async def get(self, path: str, sort: str = "", headers: dict[str, str] | None = None) -> Answered:
        made = self.sorts[sort] if sort else None
        return await ask(self.port, path, context(made, self.trusted, self.folder), headers)


@contextlib.asynccontextmanager
async def opened(folder: Path, group: str = "monitoring") -> AsyncIterator[Endpoint]:
    authority = Authority(folder / "pki")
    pair = authority.issue("manager", Identity("system:kube-controller-manager", hosts=("127.0.0.1",)))
    settings = ServingSettings(bind_address="127.0.0.1", secure_port=free_port(), tls_cert_file=pair.certificate,
                               tls_private_key_file=pair.key, client_ca_file=authority.pair.certificate)
    endpoint = Endpoint(settings, authority, folder, group)
    async with showing(settings, endpoint.shown, endpoint.server):  # type: ignore[arg-type]
        yield endpoint


async def test_health_is_open_to_all_and_readiness_is_what_the_parts_say(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        endpoint.shown.unready["sync"] = "the mirrors are not filled yet"
        assert [(await endpoint.get(f"/{path}")).body for path in ("healthz", "livez")] == [b"ok", b"ok"]
        answer = await endpoint.get("/readyz")
        assert (answer.code, b"[-]sync failed: the mirrors" in answer.body) == (500, True)
        endpoint.shown.unready["sync"] = ""
        assert (await endpoint.get("/readyz", "foreign")).body == b"ok"
        assert b"[+]sync ok" in (await endpoint.get("/readyz?verbose")).body
        assert endpoint.server.asked == []


@pytest.mark.parametrize("show", [
    pytest.param(lambda endpoint: endpoint.get("/metrics", "good"), id="certificate"),
    pytest.param(lambda endpoint: endpoint.get("/metrics", headers=TOKEN), id="token"),
])
async def test_metrics_are_for_whom_the_api_server_lets_see_them(
        tmp_path: Path, show: Callable[[Endpoint], Any]) -> None:
    async with opened(tmp_path) as endpoint:
        endpoint.shown.metrics["controllers"] = lambda: ["workqueue_depth 3"]
        for _ in range(2):
            answer = await show(endpoint)
            assert (answer.code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
            lines = answer.body.decode().splitlines()
            assert "workqueue_depth 3" in lines
            assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
        assert [(verb, path) for _, verb, path in endpoint.server.asked] == [("get", "/metrics")], "not remembered"


async def test_the_settings_in_force_are_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        endpoint.shown.configuration["componentconfig"] = {"binders": 32}
        assert json.loads((await endpoint.get("/configz", "good")).body) == {"componentconfig": {"binders": 32}}


async def test_who_shows_nothing_is_anonymous_and_may_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        for path in ("/metrics", "/configz", "/livez/ping"):
            answer = await endpoint.get(path)
            status = json.loads(answer.body)
            assert (answer.code, status["reason"]) == (403, "Forbidden")
            assert status["message"] == f'forbidden: User "system:anonymous" cannot get path "{path}"'


async def test_who_may_not_is_told_so(tmp_path: Path) -> None:
    async with opened(tmp_path, group="others") as endpoint:
        answer = await endpoint.get("/metrics", "good")
        assert (answer.code, json.loads(answer.body)["message"]) == (
            403, 'forbidden: User "prometheus" cannot get path "/metrics"')


@pytest.mark.parametrize("sort", [*BAD, "nameless"])
async def test_a_certificate_that_is_not_believed_is_unauthorized(tmp_path: Path, sort: str) -> None:
    async with opened(tmp_path) as endpoint:
        answer = await endpoint.get("/metrics", sort)
        assert (answer.code, json.loads(answer.body)["reason"]) == (401, "Unauthorized")


@pytest.mark.parametrize("shown", ["Bearer bad", "Basic Z29vZA==", "Bearer", ""])
async def test_a_token_that_is_not_believed_is_unauthorized(tmp_path: Path, shown: str) -> None:
    async with opened(tmp_path) as endpoint:
        assert (await endpoint.get("/metrics", headers={"Authorization": shown})).code == 401


@pytest.mark.parametrize("error", [InternalError("broken")])
async def test_an_api_server_that_gives_no_word_is_not_a_refusal(tmp_path: Path, error: ApiError) -> None:
    async with opened(tmp_path) as endpoint:
        endpoint.server.error = error
        assert (await endpoint.get("/metrics", "good")).code == 503
        assert (await endpoint.get("/healthz")).code == 200


async def test_nobody_waits_for_ever_for_the_api_servers_word() -> None:
    async def silent(asked: object) -> Any:
        await asyncio.Event().wait()

    call: Any = SimpleNamespace(peer_certificate=None, headers={}, method="GET", path="/metrics")
    with pytest.raises(ServiceUnavailable):
        await Delegated(Authenticator(silent), Reviewed(silent), limit=0).check(call)


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        paths = ("/", "/nonsense", "/metrics/x", "/livez/nonsense")
        assert [(await endpoint.get(path, "good")).code for path in paths] == [404] * 4
        assert endpoint.server.asked == [("prometheus", "get", "/livez/nonsense")], "strangers can have much asked"


async def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        settings = ServingSettings(
            bind_address="127.0.0.1", secure_port=endpoint.port, client_ca_file=endpoint.trusted,
            tls_cert_file=tmp_path / "pki" / "manager.crt", tls_private_key_file=tmp_path / "pki" / "manager.key")
        with pytest.raises(CannotRun, match=f"cannot listen on port {endpoint.port}"):
            async with showing(settings, Shown(), endpoint.server):  # type: ignore[arg-type]
                pytest.fail("it listens twice")


async def test_the_endpoint_ends_with_what_it_shows(tmp_path: Path) -> None:
    async with opened(tmp_path) as endpoint:
        port = endpoint.port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
