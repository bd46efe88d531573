"""Bad input: the status, reason and message of Kubernetes, and never a 500."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api_server import Cluster, config, pod

CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(("body", "message"), [
    pytest.param(b'{"a":}', "couldn't get version/kind; json parse error: invalid character '}' looking for beginning "
                            'of value ({"a":})', id="value"),
    pytest.param(b'{"a"', "json parse error: unexpected end of JSON input", id="truncated"),
    pytest.param(b'{"a" 1}', "invalid character '1' after object key", id="colon"),
    pytest.param(b'{"a": 1 "b"}', "invalid character '\"' after object key:value pair", id="comma"),
    pytest.param(b"{a: 1}", "invalid character 'a' looking for beginning of object key string", id="key"),
    pytest.param(b'{} x', "invalid character 'x' after top-level value", id="extra"),
    pytest.param(b"", "unexpected end of JSON input (<empty>)", id="empty"),
    pytest.param(b"[1]", "cannot unmarshal array into Go value", id="array"),
    pytest.param(b'{"apiVersion": 1}', "cannot unmarshal number into Go struct field .apiVersion of type string",
                 id="version-type"),
    pytest.param(b'{"apiVersion":"v2","kind":"ConfigMap"}', 'no kind "ConfigMap" is registered for version "v2"',
                 id="version"),
    pytest.param(b'{"apiVersion":"v1","kind":"Pod"}', 'Pod in version "v1" cannot be handled as a ConfigMap: '
                 "converting (v1.Pod) to (ConfigMap): unknown conversion", id="kind"),
    pytest.param(b'{"metadata": 3}', "cannot unmarshal number into Go struct field ConfigMap.metadata", id="metadata"),
    pytest.param(b'{"data": {"a": 1}}', "json: cannot unmarshal number into Go struct field ConfigMap.data of type "
                                        "string", id="type"),
])
async def test_bodies_that_cannot_be_read(cluster: Cluster, body: bytes, message: str) -> None:
    reply = await cluster.post(CONFIGS, body, content_type="application/json")
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
    assert message in reply.message


async def test_yaml_that_cannot_be_read(cluster: Cluster) -> None:
    reply = await cluster.post(CONFIGS, b"a: [", content_type="application/yaml")
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%b]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9))
    for text in (bomb, b"a: &a [*a]", b"[" * 5000 + b"]" * 5000, b"[" * 1_000_000, b"- " * 500_000):
        assert (await cluster.post(CONFIGS, text, content_type="application/yaml")).code == 400


async def test_yaml_that_can_be_read(cluster: Cluster) -> None:
    reply = await cluster.post(CONFIGS, b"metadata: {name: z}\ndata: {when: '2001-01-01', yes: 'true'}",
                               content_type="application/yaml")
    assert reply.code == 201, reply.content
    assert reply.json["data"] == {"when": "2001-01-01", "true": "true"}


@pytest.mark.parametrize("kind", ["text/plain", "application/cbor", "multipart/form-data; boundary=x"])
async def test_content_types_that_are_not_spoken(cluster: Cluster, kind: str) -> None:
    reply = await cluster.post(CONFIGS, b"x", content_type=kind)
    assert (reply.code, reply.json["reason"]) == (415, "UnsupportedMediaType")
    assert reply.message.startswith("the body of the request was in an unknown format - accepted media types include: "
                                    "application/json, application/yaml")


async def test_bodies_that_are_too_large(cluster: Cluster) -> None:
    reply = await cluster.post(CONFIGS, b" " * (3 * 1024 * 1024 + 1))
    assert (reply.code, reply.json["reason"]) == (413, "RequestEntityTooLarge")
    assert reply.message == "Request entity too large: limit is 3145728"


async def test_unknown_fields_are_warned_of_refused_or_ignored(cluster: Cluster) -> None:
    body = pod() | {"spec": {"containers": [{"name": "app", "image": "x", "comand": []}]}}
    refused = await cluster.post(f"{PODS}?fieldValidation=Strict", body)
    assert refused.code == 400
    assert refused.message == ('Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field '
                               '"spec.containers[0].comand"')
    warned = await cluster.post(f"{PODS}?dryRun=All", body)
    assert warned.headers["warning"] == r'299 - "unknown field \"spec.containers[0].comand\""'
    ignored = await cluster.post(f"{PODS}?dryRun=All&fieldValidation=Ignore", body)
    assert "warning" not in ignored.headers
    assert (await cluster.post(f"{PODS}?fieldValidation=Maybe", body)).code == 422


async def test_duplicate_fields_are_refused_where_strict(cluster: Cluster) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}'
    reply = await cluster.post(f"{CONFIGS}?fieldValidation=Strict", body)
    assert reply.code == 400
    assert 'duplicate field "data.x"' in reply.message


async def test_keys_that_come_twice_in_yaml_are_refused_where_strict(cluster: Cluster) -> None:
    body = b"metadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\nmore: 1\n"
    reply = await cluster.call("POST", f"{CONFIGS}?fieldValidation=Strict", body, content_type="application/yaml")
    assert (reply.code, reply.message) == (
        400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: error converting YAML '
        'to JSON: yaml: unmarshal errors:\n  line 5: key "x" already set in map, unknown field "more"')


@pytest.mark.parametrize(("kind", "body", "shown"), [
    ("merge-patch", b'{"data":{"x":"1","x":"2"},"more":1}', 'duplicate field "data.x", unknown field "more"'),
    ("json-patch", b'[{"op":"add","path":"/more","value":1,"note":"","op":"add"}]',
     'json patch duplicate field "[0].op", json patch unknown field "[0].note", unknown field "more"'),
    ("strategic-merge-patch", b'{"data":{"x":"1"},"more":[1]}', 'unknown field "more"')])
async def test_patches_are_judged_where_strict(cluster: Cluster, kind: str, body: bytes, shown: str) -> None:
    await cluster.post(CONFIGS, {"metadata": {"name": "a"}})
    url, media_type = f"{CONFIGS}/a", f"application/{kind}+json"
    refused = await cluster.call("PATCH", f"{url}?fieldValidation=Strict", body, content_type=media_type)
    assert refused.code == 422
    what = '"map[data:map[x:1] more:[1]]"' if kind.startswith("strategic") else r'"{\"kind\":\"ConfigMap\",'
    assert refused.message.startswith(f' "" is invalid: patch: Invalid value: {what}')
    assert refused.message.endswith(f": strict decoding error: {shown}")
    warned = await cluster.call("PATCH", url, body, content_type=media_type)
    assert warned.code == 200
    assert warned.headers["warning"] == r'299 - "unknown field \"more\""'  # the last of them


@pytest.mark.parametrize(("method", "url", "code"), [
    ("GET", "/api/v1/nonsense", 404), ("GET", "/apis/example.com/v1/things", 404), ("GET", "/nonsense", 404),
    ("GET", "/api/v1/pods/web", 404), ("GET", "/api/v1/namespaces/default/nodes", 404),
    ("GET", f"{PODS}/web/nonsense", 404), ("POST", "/api/v1/pods", 405), ("POST", f"{PODS}/web", 405),
    ("PUT", PODS, 405), ("DELETE", "/api/v1/namespaces", 405), ("DELETE", "/api/v1/pods", 405),
    ("BREW", PODS, 405), ("GET", "/api/v1/namespaces/default/bindings", 405), ("POST", "/version", 405),
    ("GET", "/api/v1/namespaces/..%2f..%2fetc/pods/passwd", 404), ("GET", "/api/v1/namespaces/%00/pods/x", 404),
])
async def test_paths_that_lead_nowhere(cluster: Cluster, method: str, url: str, code: int) -> None:
    reply = await cluster.call(method, url)
    assert reply.code == code, reply.content
    if code == 405:
        assert reply.message == "the server does not allow this method on the requested resource"


@pytest.mark.parametrize("name", ["a/b", "..", ".", "%2e%2e", "Upper", "-a", "a" * 254, "", "x\x00y", "é"])
async def test_names_that_are_none(cluster: Cluster, name: str) -> None:
    for body, url in ((config(name), CONFIGS), (pod(name), PODS),
                      ({"metadata": {"name": name}}, "/api/v1/namespaces")):
        reply = await cluster.post(url, body)
        assert (reply.code, reply.json["reason"]) == (422, "Invalid"), reply.content
        assert "metadata.name" in reply.message


@pytest.mark.parametrize("name", ["a/b", "..", "."])
async def test_names_that_would_leave_their_place_in_any_kind(cluster: Cluster, name: str) -> None:
    from timonier.api.kinds import KINDS
    from timonier.apiserver.routes import NOT_STORED

    for kind in KINDS:
        if kind.id not in NOT_STORED:
            reply = await cluster.post(kind.path("default"), {"metadata": {"name": name}})
            assert reply.code in (403, 422), (kind.id, reply.content)


async def test_what_is_not_there(cluster: Cluster) -> None:
    reply = await cluster.get(f"{PODS}/ghost")
    assert reply.code == 404
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                          "message": 'pods "ghost" not found', "reason": "NotFound",
                          "details": {"name": "ghost", "kind": "pods"}, "code": 404}


async def test_every_kind_survives_an_empty_object(cluster: Cluster) -> None:
    from timonier.api.kinds import KINDS

    for kind in KINDS:
        if "create" in kind.verbs:
            reply = await cluster.post(kind.path("default"), {"metadata": {"name": "x"}})
            assert reply.code < 500, (kind.id, reply.content)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda children: st.lists(children, max_size=3) | st.dictionaries(
                        st.sampled_from(["metadata", "spec", "status", "name", "containers", "ports", "labels", "x",
                                         "clusterIP", "clusterIPs", "type", "selector", "template", "finalizers"]),
                        children, max_size=4), max_leaves=12)
TARGETS = [("POST", PODS), ("POST", "/api/v1/namespaces/default/services"), ("POST", "/api/v1/nodes"),
           ("POST", "/apis/apps/v1/namespaces/default/deployments"), ("POST", "/api/v1/namespaces"),
           ("POST", "/api/v1/namespaces/default/events"), ("POST", f"{PODS}/web/binding"),
           ("POST", f"{PODS}/web/eviction"), ("PUT", f"{PODS}/web"), ("PUT", f"{PODS}/web/status"),
           ("POST", "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"),
           ("PUT", "/apis/apps/v1/namespaces/default/deployments/d/scale"), ("DELETE", f"{PODS}/web"),
           ("PATCH", f"{PODS}/web"), ("PATCH", f"{PODS}/web/ephemeralcontainers")]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=st.sampled_from(TARGETS), body=JSON,
       patch=st.sampled_from(["json-patch", "merge-patch", "strategic-merge-patch"]))
async def test_no_json_is_a_defect_of_the_server(cluster: Cluster, caplog: pytest.LogCaptureFixture,
                                                 target: tuple[str, str], body: Any, patch: str) -> None:
    import json

    await cluster.post(PODS, pod())
    method, url = target
    kind = f"application/{patch}+json" if method == "PATCH" else "application/json"
    with caplog.at_level(logging.ERROR):
        reply = await cluster.call(method, url, json.dumps(body).encode(), content_type=kind)
    assert reply.code < 500, (reply.content, caplog.text)


async def test_a_defect_is_told_without_its_particulars(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: Any) -> None:
        raise KeyError("the password is hunter2")

    monkeypatch.setattr("timonier.apiserver.verbs.get.serve", broken)
    reply = await cluster.get(f"{PODS}/web")
    assert (reply.code, reply.json["reason"]) == (500, "InternalError")
    assert b"hunter2" not in reply.content
    assert reply.headers["audit-id"] in reply.message


async def test_an_object_that_the_store_would_not_take_is_refused_in_etcds_words(cluster: Cluster) -> None:
    reply = await cluster.post("/apis/apps/v1/namespaces/default/controllerrevisions",
                               {"metadata": {"name": "big"}, "revision": 1, "data": {"x": "y" * 1_600_000}})
    assert (reply.code, reply.message) == (500, "etcdserver: request is too large")
    assert not reply.json.get("reason")


async def test_a_request_ends_when_its_time_is_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("timonier.apiserver.routes.dispatch", slow)
    reply = await cluster.get("/api/v1/pods?timeout=5ms")
    assert (reply.code, reply.json["reason"]) == (504, "Timeout")
    assert reply.message == "Timeout: request did not complete within the allotted timeout"


@pytest.mark.parametrize("text", ["soon", "5", "1m5"])
async def test_a_time_that_is_none_is_refused(cluster: Cluster, text: str) -> None:
    reply = await cluster.get(f"/api/v1/pods?timeout={text}")
    assert reply.code == 400
    assert reply.message == f'invalid timeout specified in the request URL - time: invalid duration "{text}"'


@pytest.mark.parametrize("depth", [200, 245, 250, 260, 400, 900, 1000, 1020, 1100, 20_000])
async def test_what_is_nested_too_deeply_is_refused_and_never_an_error_of_the_server(
        cluster: Cluster, depth: int) -> None:
    path = "/apis/apps/v1/namespaces/default/controllerrevisions"
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    head = b'{"kind":"ControllerRevision","apiVersion":"apps/v1","metadata":{"name":"x"},"revision":1,"data":'
    made = await cluster.post(path, head + deep + b"}", content_type="application/json")
    assert made.code == (201 if depth <= 200 else made.code)
    await cluster.post(path, head + b'{"b":1}}', content_type="application/json")
    for kind in ("merge-patch", "strategic-merge-patch"):
        patched = await cluster.patch(f"{path}/x", b'{"data":' + deep + b"}", kind)
        assert patched.code in (200, 400, 422)
    dry = await cluster.post(f"{path}?dryRun=All", head.replace(b'"x"', b'"y"') + deep + b"}",
                             content_type="application/json")
    assert {made.code, dry.code} <= {201, 400}
    for accept in ("application/json", "application/json;as=Table;g=meta.k8s.io;v=v1", "application/yaml",
                   "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"):
        assert (await cluster.get(path, accept=accept)).code == 200
    assert (await cluster.get(f"{path}/x?includeObject=Object", accept="application/yaml")).code == 200
