"""pods/proxy, services/proxy and nodes/proxy: HTTP through the API server and a node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.front import Front, api_server, kubelet, node, pod_of
from support.kubelet_api import FakeRuntime, pod
from support.streams import switch
from support.webhook_server import webhook

from timonier.apiserver import endpoints
from timonier.apiserver.hooks import NotAnswered, hooks_of
from timonier.apiserver.subresources import proxy
from timonier.cluster.certificates import Authority, Identity
from timonier.kit.http import Connections, Response
from timonier.kit.serve import serve
from timonier.kit.tls import server_context
from timonier.node.kubelet.server import hop
from timonier.node.kubelet.server.host import Host

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"


async def web(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application in a pod that tells what it was asked."""
    message = await receive()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    path = scope["raw_path"].decode()
    if headers.get("upgrade") == "echo":
        taken = scope["extensions"]["timonier"].take_over()
        taken.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := await taken.read():
            taken.write(data)
        return
    status, answer = 200, [(b"x-app", b"yes")]
    if path == "/redirect":
        status, answer = 302, [(b"location", b"/elsewhere")]
    if path == "/empty":
        status = 204
    if path == "/page":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b'<a href="/rewriteme">test</a>'})
        return
    told = {"method": scope["method"], "path": path, "query": scope["query_string"].decode(), "headers": headers,
            "body": message.get("body", b"").decode()}
    await send({"type": "http.response.start", "status": status, "headers": answer})
    await send({"type": "http.response.body", "body": b"" if status == 204 else json.dumps(told).encode()})


@asynccontextmanager
async def application(ssl: Any = None) -> AsyncIterator[int]:
    import socket

    listening, started = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    serving = asyncio.create_task(serve(web, [listening], ssl, started=started))
    await started.wait()
    try:
        yield int(listening.getsockname()[1])
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture(autouse=True)
def loopback_is_the_pod_network(monkeypatch):
    monkeypatch.setattr(hop, "target", lambda address, port: (address, int(port)))
    for module in (proxy, endpoints):
        monkeypatch.setattr(module, "refuse_address", lambda address: None)


@asynccontextmanager
async def world(authority: Authority, port: int, *, ready: bool = True) -> AsyncIterator[Front]:
    """Pod `web` at an address where an application listens, and Service `web` in front of it."""
    obj = pod_of(pod())
    obj["status"]["podIP"] = "127.0.0.1"
    obj["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    service = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default", "uid": "s"},
               "spec": {"ports": [{"name": "http", "port": 80}, {"name": "other", "port": 81}]}}
    slice_ = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
                 "metadata": {"name": "web-1", "namespace": "default", "uid": "e",
                              "labels": {"kubernetes.io/service-name": "web"}},
                 "ports": [{"name": "http", "port": port}],
                 "endpoints": [{"addresses": ["127.0.0.1"], "nodeName": "n1", "conditions": {"ready": ready}}]}
    async with kubelet(authority, Host("n1", FakeRuntime(), lambda: [pod()])) as kubelet_port, \
            api_server(authority, node(kubelet_port), obj, service, slice_) as front:  # type: ignore[arg-type]
        yield front


async def ask(method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Response:
    connections = Connections()
    try:
        return await connections.request(method, url, headers, body)
    finally:
        await connections.close()


@pytest.mark.parametrize("path", [
    pytest.param(f"{PODS}/web/proxy", id="pod-at-its-first-port"), pytest.param(f"{PODS}/web:PORT/proxy", id="pod"),
    pytest.param(f"{PODS}/http:web:PORT/proxy", id="pod-with-scheme"),
    pytest.param(f"{SERVICES}/web:80/proxy", id="service-by-number"),
    pytest.param(f"{SERVICES}/web:http/proxy", id="service-by-name"),
    pytest.param(f"{SERVICES}/http:web:http/proxy", id="service-with-scheme")])
async def test_a_request_reaches_the_application_as_it_is_less_what_is_ours(authority, path):
    async with application() as port, world(authority, port) as front:
        url = front.url + path.replace("PORT", str(port)) + "/a%20b/?q=1&q=2"
        answer = await ask("POST", url, {"Authorization": "Bearer mine", "X-Own": "yes"}, b"content")
        told = json.loads(answer.body)
        assert (answer.status, answer.headers["x-app"]) == (200, "yes")
        assert (told["method"], told["path"], told["query"], told["body"]) == ("POST", "/a%20b/", "q=1&q=2", "content")
        assert told["headers"]["x-own"] == "yes"
        assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert "authorization" not in told["headers"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [f"{PODS}/web/proxy/", f"{SERVICES}/web:http/proxy/some/path"])
async def test_every_method_is_passed_on(authority, path, method):
    async with application() as port, world(authority, port) as front:
        answer = await ask(method, f"{front.url}{path}?method={method}")
        told = json.loads(answer.body)
        assert (answer.status, told["method"], told["query"]) == (200, method, f"method={method}")


async def test_an_application_with_tls_is_reached_through_the_hop(authority, tmp_path):
    pair = Authority(tmp_path).issue("app", Identity("app", hosts=("example.org",)))
    async with application(server_context(pair.certificate, pair.key)) as port, world(authority, port) as front:
        answer = await ask("GET", f"{front.url}{PODS}/https:web:{port}/proxy/secure")
        assert (answer.status, json.loads(answer.body)["path"]) == (200, "/secure")


async def test_redirects_stay_below_the_proxy_and_empty_answers_are_empty(authority):
    async with application() as port, world(authority, port) as front:
        answer = await ask("GET", f"{front.url}{PODS}/web/proxy/redirect")
        assert (answer.status, answer.headers["location"]) == (302, f"{PODS}/web/proxy/elsewhere")
        assert (await ask("GET", f"{front.url}{PODS}/web/proxy/empty")).status == 204
        answer = await ask("HEAD", f"{front.url}{PODS}/web/proxy/head")
        assert (answer.status, answer.headers["x-app"]) == (200, "yes")
        answer = await ask("GET", f"{front.url}{PODS}/web/proxy?a=b")
        assert (answer.status, answer.headers["location"]) == (301, f"{PODS}/web/proxy/?a=b")


async def test_links_of_pages_lead_back_below_the_proxy(authority):
    async with application() as port, world(authority, port) as front:
        for path in (f"{PODS}/web:{port}/proxy", f"{SERVICES}/http:web:http/proxy"):
            answer = await ask("GET", f"{front.url}{path}/page")
            assert answer.body.decode() == f'<a href="{path}/rewriteme">test</a>'


async def test_an_upgrade_becomes_a_tunnel(authority):
    async with application() as port, world(authority, port) as front:
        _, link = await switch("GET", f"{front.url}{PODS}/web/proxy/ws", {"Upgrade": "echo"})
        link.write(b"ping")
        assert await asyncio.wait_for(link.read(), 5) == b"ping"


@pytest.mark.parametrize(("path", "code", "message"), [
    (f"{PODS}/ftp:web:1/proxy/", 400, 'invalid pod request "ftp:web:1"'),
    (f"{PODS}/web:port/proxy/", 400, "invalid port 'port'"),
    (f"{SERVICES}/web:99/proxy/", 503, 'no service port "99" found for service "web"'),
    (f"{SERVICES}/web:81/proxy/", 503, 'no endpoints available for service "web"'),
    (f"{SERVICES}/nope:80/proxy/", 404, 'services "nope" not found'),
    ("/api/v1/nodes/n1/proxy/hop/10.0.0.1/80", 403, "the node's hop is for the API server alone"),
    ("/api/v1/nodes/n1/proxy//hop/10.0.0.1/80", 403, "the node's hop is for the API server alone"),
])
async def test_what_leads_nowhere_is_said_so(authority, path, code, message):
    async with application() as port, world(authority, port) as front:
        answer = await ask("GET", front.url + path)
        assert (answer.status, json.loads(answer.body)["message"]) == (code, message)


async def test_a_service_without_ready_endpoints_is_not_available(authority):
    async with application() as port, world(authority, port, ready=False) as front:
        answer = await ask("GET", f"{front.url}{SERVICES}/web:80/proxy/")
        assert (answer.status, json.loads(answer.body)["reason"]) == (503, "ServiceUnavailable")


async def test_a_port_where_nobody_listens_is_not_available(authority):
    async with world(authority, 1) as front:
        answer = await ask("GET", f"{front.url}{PODS}/web:1/proxy/")
        assert (answer.status, json.loads(answer.body)["message"]) == (
            503, "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused")


async def test_a_node_is_its_kubelet(authority):
    async with world(authority, 1) as front:
        assert (await ask("GET", f"{front.url}/api/v1/nodes/n1/proxy/healthz")).body == b"ok"
        assert json.loads((await ask("GET", f"{front.url}/api/v1/nodes/n1/proxy/pods")).body)["kind"] == "PodList"


async def test_running_something_through_a_node_needs_the_right_to_create(authority):
    async with world(authority, 1) as front:
        front.rights.forbidden = lambda attributes: attributes.verb == "create"
        answer = await ask("GET", f"{front.url}/api/v1/nodes/n1/proxy/exec/default/web/main?output=1",
                           {"Connection": "Upgrade", "Upgrade": "websocket"})
        assert answer.status == 403


@pytest.mark.parametrize("address", ["", "127.0.0.1", "169.254.169.254", "::1", "nonsense"])
def test_addresses_that_no_pod_can_have_are_refused(address, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(proxy.BadRequest):
        proxy.refuse_address(address)


async def test_a_webhook_behind_a_service_is_reached_the_same_way_by_the_certificate_of_its_name(authority, tmp_path):
    async with webhook(tmp_path) as hook, world(authority, hook.port) as front:
        service = {"namespace": "default", "name": "web", "port": 80, "path": "/hook"}
        hooks, review = hooks_of(front.server), {"apiVersion": "x", "request": {"uid": ""}}
        await front.server.feed.current()
        try:
            await hooks.post({"caBundle": hook.bundle, "service": service}, review, 5)
            assert hook.paths == ["/hook?timeout=5s"]
            with pytest.raises(NotAnswered, match=r'no service port .82. found for service "web"'):
                await hooks.post({"caBundle": hook.bundle, "service": service | {"port": 82}}, {}, 5)
        finally:
            await hooks.close()
