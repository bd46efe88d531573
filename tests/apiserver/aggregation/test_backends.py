"""Servers behind APIServices: a small one of our own over TLS, reached as a pod is."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Cluster, FakeTaken, running

from timonier.apiserver.aggregation import availability
from timonier.apiserver.openapi.documents import PROTOBUF
from timonier.cluster.certificates import Authority, Identity
from timonier.kit.serve import listen, serve

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
ROOT = "/apis/wardle.example.com/v1alpha1"
RESOURCES = {"kind": "APIResourceList", "groupVersion": "wardle.example.com/v1alpha1", "resources": [
    {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "shortNames": ["fl"],
     "verbs": ["create", "get", "list", "watch"]},
    {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}]}
JSON = (b"content-type", b"application/json")
V2 = {"swagger": "2.0", "info": {"title": "wardle", "version": "1"}, "paths": {
    f"{ROOT}/flunders": {"get": {"responses": {"200": {"description": "OK", "schema": {
        "$ref": "#/definitions/com.example.Flunder"}}}}}, "/version": {"get": {"responses": {}}}},
    "definitions": {"com.example.Flunder": {"type": "object"}}}
INDEX = {"paths": {ROOT.strip("/"): {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=AB"}}}


@dataclass
class Wardle:
    """Answers for a group and version, and remembers what it was asked."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    v2: Any = field(default_factory=lambda: V2)

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode(), []).append(value.decode())
        body = (await receive()).get("body", b"")
        certificate = scope["extensions"]["timonier"].peer_certificate
        self.asked.append({"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(),
                           "headers": headers, "body": body, "certificate": certificate})
        answers = {ROOT: RESOURCES, "/openapi/v3": INDEX, f"/openapi/v3{ROOT}": {"openapi": "3.0.0"},
                   "/openapi/v2": self.v2}
        if self.broken:
            await answer(send, 503, b"{}")
        elif scope["path"].endswith("/endless"):
            await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
            await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
            await asyncio.Event().wait()
        elif b"watch" in scope["query_string"]:
            await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
            for event in (b'{"type":"ADDED"}\n', b'{"type":"DELETED"}\n', b""):
                await send({"type": "http.response.body", "body": event, "more_body": bool(event)})
        elif scope["path"] in answers:
            await answer(send, 200, json.dumps(answers[scope["path"]]).encode())
        else:
            await answer(send, 201 if scope["method"] == "POST" else 200, b'{"kind":"Flunder"}')


async def answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [JSON]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def aggregated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Cluster, Wardle]]:
    """A cluster with an APIService, a Service behind it, and a server behind that."""
    authority, front = Authority(folder / "pki"), Authority(folder / "front", "front-proxy-ca")
    pair = authority.issue("wardle", Identity("wardle", hosts=("api.wardle.svc",)))
    client = front.issue("client", Identity("front-proxy-client"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(front.pair.certificate))
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    wardle, sock = Wardle(), listen("127.0.0.1", 0)
    port = sock.getsockname()[1]

    async def dial(*_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    monkeypatch.setattr("timonier.apiserver.aggregation.backends.dial", dial)
    serving = asyncio.ensure_future(serve(wardle.app, [sock], context))
    try:
        async with running(folder, proxy_client_cert_file=client.certificate,
                           proxy_client_key_file=client.key) as cluster:
            await cluster.post("/api/v1/namespaces", {"metadata": {"name": "wardle"}})
            await cluster.post(SERVICES, {"metadata": {"name": "v1alpha1.wardle.example.com"}, "spec": {
                "group": "wardle.example.com", "version": "v1alpha1", "groupPriorityMinimum": 2000,
                "versionPriority": 200, "service": {"namespace": "wardle", "name": "api", "port": 7443},
                "caBundle": base64.b64encode(authority.pair.certificate.read_bytes()).decode()}})
            yield cluster, wardle
            await cluster.server.backends.close()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def with_service(cluster: Cluster) -> None:
    await cluster.post("/api/v1/namespaces/wardle/services", {
        "metadata": {"name": "api"}, "spec": {"ports": [{"port": 7443, "targetPort": 443}]}})
    await cluster.post("/apis/discovery.k8s.io/v1/namespaces/wardle/endpointslices", {
        "metadata": {"name": "api-x", "labels": {"kubernetes.io/service-name": "api"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.9"]}], "ports": [{"name": "", "port": 443, "protocol": "TCP"}]})


async def found(cluster: Cluster) -> tuple[str, str, str]:
    """The condition of the APIService, after the server had a look."""
    await cluster.settle()
    for backend in cluster.server.backends.all():
        await availability.check(cluster.registry, cluster.server.backends, backend)
    await cluster.settle()
    condition = (await cluster.get(f"{SERVICES}/v1alpha1.wardle.example.com")).json["status"]["conditions"][0]
    return condition["status"], condition["reason"], condition["message"]


async def test_what_is_missing_is_told_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, wardle):
        assert await found(cluster) == ("False", "ServiceNotFound", 'service/api in "wardle" is not present')
        reply = await cluster.get(f"{ROOT}/flunders")
        assert (reply.code, reply.content) == (503, b"service unavailable\n")
        await cluster.post("/api/v1/namespaces/wardle/services", {"metadata": {"name": "api"}, "spec": {
            "ports": [{"port": 80}]}})
        assert (await found(cluster))[1:] == ("ServicePortError",
                                              'service/api in "wardle" is not listening on port 7443')
        await cluster.delete("/api/v1/namespaces/wardle/services/api")
        await with_service(cluster)
        assert await found(cluster) == ("True", "Passed", "all checks passed")
        wardle.broken = True
        status, reason, message = await found(cluster)
        assert (status, reason) == ("False", "FailedDiscoveryCheck")
        assert message.endswith(f"bad status from https://api.wardle.svc:7443{ROOT}: 503")
        assert (await cluster.get("/api/v1/namespaces")).code == 200


async def test_a_request_is_passed_on_whole_with_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, wardle):
        await with_service(cluster)
        await found(cluster)
        reply = await cluster.post(f"{ROOT}/namespaces/a%20b/flunders?x=%2F&y", {"kind": "Flunder"},
                                   authorization="Bearer secret", x_remote_user="root", content_type="application/json")
        assert (reply.code, reply.json) == (201, {"kind": "Flunder"})
        asked = wardle.asked[-1]
        assert (asked["method"], asked["query"]) == ("POST", "x=%2F&y")
        assert asked["path"] == f"{ROOT}/namespaces/a b/flunders"
        assert json.loads(asked["body"]) == {"kind": "Flunder"}
        assert asked["certificate"] is not None
        assert asked["headers"]["x-remote-user"] == ["admin"]
        assert asked["headers"]["x-remote-group"] == ["system:masters"]
        assert "authorization" not in asked["headers"]


async def test_a_watch_is_passed_on_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        await with_service(cluster)
        await found(cluster)
        taken = await cluster.watch(f"{ROOT}/flunders?watch=1")
        await asyncio.gather(*cluster.watches)
        assert [event["type"] for event in taken.events()] == ["ADDED", "DELETED"]


async def test_discovery_has_the_groups_of_backends_by_their_priority(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        await with_service(cluster)
        await found(cluster)
        names = [group["name"] for group in (await cluster.get("/apis")).json["groups"]]
        assert names.index("apps") < names.index("wardle.example.com")
        group = (await cluster.get("/apis/wardle.example.com")).json
        assert group["preferredVersion"] == {"groupVersion": "wardle.example.com/v1alpha1", "version": "v1alpha1"}
        assert (await cluster.get(ROOT)).json["resources"][0]["name"] == "flunders"
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        items = (await cluster.get("/apis", accept=accept)).json["items"]
        [item] = [item for item in items if item["metadata"]["name"] == "wardle.example.com"]
        [version] = item["versions"]
        assert version["freshness"] == "Current"
        assert version["resources"] == [{
            "resource": "flunders", "scope": "Namespaced", "singularResource": "flunder", "shortNames": ["fl"],
            "responseKind": {"group": "wardle.example.com", "version": "v1alpha1", "kind": "Flunder"},
            "verbs": ["create", "get", "list", "watch"], "subresources": [{
                "subresource": "status", "verbs": ["get"], "responseKind": {
                    "group": "wardle.example.com", "version": "v1alpha1", "kind": "Flunder"}}]}]


async def test_openapi_has_the_documents_of_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        await with_service(cluster)
        await found(cluster)
        paths = (await cluster.get("/openapi/v3")).json["paths"]
        assert paths[ROOT.strip("/")] == {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=AB"}
        assert "apis/apps/v1" in paths
        assert (await cluster.get(f"/openapi/v3{ROOT}?hash=AB")).json == {"openapi": "3.0.0"}


@pytest.mark.parametrize("accept", ["application/json", PROTOBUF])
async def test_openapi_v2_has_what_backends_say_of_their_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                  accept: str) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, wardle):
        await with_service(cluster)

        async def said() -> tuple[bytes, str]:
            await found(cluster)
            reply = await cluster.get("/openapi/v2", accept=accept)
            return reply.content, reply.headers["etag"]

        content, etag = await said()
        assert f"{ROOT}/flunders".encode() in content
        assert b"com.example.Flunder" in content
        assert b"/api/v1/namespaces/{namespace}/pods" in content
        assert (await said())[1] == etag
        wardle.v2 = {"swagger": "2.0", "paths": {f"{ROOT}/flunders": ["nonsense"]}}
        content, changed = await said()
        assert f"{ROOT}/flunders".encode() not in content
        assert changed != etag


async def test_who_is_gone_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        await with_service(cluster)
        await found(cluster)
        await cluster.delete(f"{SERVICES}/v1alpha1.wardle.example.com")
        await cluster.settle()
        assert (await cluster.get(f"{ROOT}/flunders")).code == 404
        assert "wardle.example.com" not in (await cluster.get("/apis")).content.decode()


async def test_what_is_built_in_goes_on_whatever_an_api_service_says(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        spec = {"groupPriorityMinimum": 1, "versionPriority": 1, "service": {"namespace": "wardle", "name": "api"}}
        for group in ("apps", "odd.example.com"):
            await cluster.post(SERVICES, {"metadata": {"name": f"v1.{group}"}, "spec": spec | {
                "group": group, "version": "v1", "caBundle": base64.b64encode(b"nonsense").decode()}})
        await cluster.settle()
        assert (await cluster.get("/apis/apps/v1/deployments")).code == 200
        assert (await cluster.get("/apis/odd.example.com/v1/things")).code == 503
        text = (await cluster.get("/metrics")).content.decode()
        assert 'aggregator_unavailable_apiservice{name="v1.odd.example.com"} 1.0' in text


async def test_an_answer_that_takes_too_long_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aggregated(tmp_path, monkeypatch) as (cluster, _):
        await with_service(cluster)
        await found(cluster)
        taken = FakeTaken()
        await cluster.call("GET", f"{ROOT}/endless?timeout=200ms", taken=taken)
        assert taken.data.endswith(b"[1,\r\n")
