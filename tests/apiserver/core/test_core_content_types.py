"""Content types: in what form objects come and go, what is refused, and what is compressed."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from support.api_server import Cluster, config, pod

from timonier.api.kinds import KINDS
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.api.protobuf import envelope
from timonier.apiserver.messages import Messages

CONFIGS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
BOTH = f"{PROTOBUF},application/json"
METADATA = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TABLE = "as=Table;v=v1;g=meta.k8s.io"
KNOWN = f"only the following media types are accepted: application/json, application/yaml, {PROTOBUF}"


def sent(obj: dict[str, Any], apiVersion: str, kind: str) -> bytes:
    return envelope.encode(obj | {"apiVersion": apiVersion, "kind": kind})


def through(obj: Any) -> Any:
    """An object as it is once it has been a message: without the zeros that Go leaves out of JSON."""
    return envelope.decode(envelope.encode(obj))


async def test_a_pod_lives_its_life_in_protobuf(cluster: Cluster) -> None:
    speak = {"content_type": PROTOBUF, "accept": BOTH}
    made = await cluster.post(PODS, sent(pod(), "v1", "Pod"), **speak)
    assert (made.code, made.protobuf["metadata"]["name"]) == (201, "web")
    plain = (await cluster.get(f"{PODS}/web")).json
    assert (await cluster.get(f"{PODS}/web", accept=BOTH)).protobuf == through(plain)
    wanted = made.protobuf | {"metadata": made.protobuf["metadata"] | {"labels": {"a": "b"}}}
    changed = await cluster.put(f"{PODS}/web", envelope.encode(wanted), **speak)
    assert changed.protobuf["metadata"]["labels"] == {"a": "b"}
    patched = await cluster.call("PATCH", f"{PODS}/web", {"metadata": {"labels": {"c": "d"}}}, accept=BOTH,
                                 content_type="application/strategic-merge-patch+json")
    assert patched.protobuf["metadata"]["labels"] == {"a": "b", "c": "d"}
    options = sent({"gracePeriodSeconds": 0}, "v1", "DeleteOptions")
    assert (await cluster.delete(f"{PODS}/web", options, **speak)).protobuf["kind"] == "Pod"
    gone = await cluster.get(f"{PODS}/web", accept=BOTH)
    assert (gone.code, gone.protobuf["reason"], gone.protobuf["details"]["name"]) == (404, "NotFound", "web")


async def test_lists_in_protobuf_are_pieces_of_one_revision(cluster: Cluster) -> None:
    for name in "abc":
        await cluster.post(CONFIGS, config(name, x=name))
    first = (await cluster.get(f"{CONFIGS}?limit=2", accept=BOTH)).protobuf
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    rest = (await cluster.get(f"{CONFIGS}?continue={first['metadata']['continue']}", accept=BOTH)).protobuf
    assert [item["data"] for item in rest["items"]] == [{"x": "c"}]
    assert rest["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "list" in kind.verbs], ids=lambda kind: kind.id)
async def test_every_kind_is_listed_in_protobuf(cluster: Cluster, kind: Any) -> None:
    listed = (await cluster.get(kind.path(), accept=PROTOBUF)).protobuf
    assert (listed["kind"], listed["apiVersion"]) == (kind.list_kind, kind.apiVersion)


async def test_views_of_a_kind_have_their_own_messages(cluster: Cluster) -> None:
    event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"kind": "Pod", "name": "web"},
             "message": "text", "type": "Normal", "reason": "Because"}
    assert (await cluster.post("/api/v1/namespaces/default/events", event)).code == 201
    core = (await cluster.get("/api/v1/namespaces/default/events/e", accept=PROTOBUF)).protobuf
    view = (await cluster.get("/apis/events.k8s.io/v1/namespaces/default/events/e", accept=PROTOBUF)).protobuf
    assert (core["message"], view["note"]) == ("text", "text")


async def test_subresources_of_other_kinds_speak_protobuf(cluster: Cluster) -> None:
    deployment = {"metadata": {"name": "web"}, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}}}
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert (await cluster.post(path, deployment)).code == 201
    scale = (await cluster.get(f"{path}/web/scale", accept=PROTOBUF)).protobuf
    assert scale["spec"] == {"replicas": 2}
    scale["spec"]["replicas"] = 3
    changed = await cluster.put(f"{path}/web/scale", envelope.encode(scale), content_type=PROTOBUF, accept=PROTOBUF)
    assert changed.protobuf["spec"] == {"replicas": 3}
    token = await cluster.post("/api/v1/namespaces/default/serviceaccounts/default/token", sent(
        {"spec": {"expirationSeconds": 600}}, "authentication.k8s.io/v1", "TokenRequest"), content_type=PROTOBUF,
        accept=PROTOBUF)
    assert token.protobuf["status"]["token"]


async def test_reviews_speak_protobuf(cluster: Cluster) -> None:
    review = sent({"spec": {"user": "ann", "resourceAttributes": {"verb": "get", "resource": "pods"},
                            "extra": {"scopes": ["a", "b"]}}}, "authorization.k8s.io/v1", "SubjectAccessReview")
    reply = await cluster.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review, content_type=PROTOBUF,
                               accept=BOTH)
    assert reply.protobuf["spec"]["extra"] == {"scopes": ["a", "b"]}
    assert reply.protobuf["status"].get("allowed", False) is False


async def test_metadata_alone_comes_in_protobuf_too(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a", x="y"))
    one = (await cluster.get(f"{CONFIGS}/a", accept=f"{PROTOBUF};{METADATA}")).protobuf
    assert (one["kind"], one["apiVersion"], set(one)) == (
        "PartialObjectMetadata", "meta.k8s.io/v1", {"kind", "apiVersion", "metadata"})
    listed = await cluster.get(CONFIGS, accept=f"{PROTOBUF};{METADATA.replace('Metadata;', 'MetadataList;')}")
    assert listed.protobuf["kind"] == "PartialObjectMetadataList"
    assert [item["metadata"]["name"] for item in listed.protobuf["items"]] == ["a"]


@pytest.mark.parametrize("accept", [PROTOBUF, f"{PROTOBUF};{METADATA}"])
async def test_a_watch_in_protobuf_is_a_row_of_messages(cluster: Cluster, accept: str) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                "&allowWatchBookmarks=true", accept=f"{accept},application/json;{METADATA}")
    await cluster.post(CONFIGS, config("b"))
    await cluster.delete(f"{CONFIGS}/a")
    await cluster.settle()
    assert b"content-type: application/vnd.kubernetes.protobuf;stream=watch\r\n" in watch.head + b"\r\n"
    events = watch.events()
    assert [(event["type"], event["object"]["metadata"].get("name", "")) for event in events] == [
        ("ADDED", "a"), ("BOOKMARK", ""), ("ADDED", "b"), ("DELETED", "a")]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert {event["object"]["kind"] for event in events} == \
        {"PartialObjectMetadata" if METADATA in accept else "ConfigMap"}
    assert events[-1]["object"]["metadata"]["resourceVersion"] == str(cluster.feed.revision)


async def test_watches_of_the_same_in_two_forms_see_the_same(cluster: Cluster) -> None:
    watches = [await cluster.watch(f"{CONFIGS}?watch=1", accept=accept) for accept in ("application/json", PROTOBUF)]
    for name in "ab":
        await cluster.post(CONFIGS, config(name))
    await cluster.patch(f"{CONFIGS}/a", {"data": {"x": "y"}})
    await cluster.settle()
    lines, messages = (watch.events() for watch in watches)
    assert [event | {"object": through(event["object"])} for event in lines] == messages


async def test_an_expired_watch_says_so_in_protobuf(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion=1", accept=PROTOBUF)
    cluster.feed.cache_at("/configmaps/").oldest = 10**6
    late = await cluster.watch(f"{CONFIGS}?watch=1&resourceVersion=1", accept=PROTOBUF)
    event, = late.events()
    assert (event["type"], event["object"]["reason"], event["object"]["code"]) == ("ERROR", "Expired", 410)
    assert watch.open


@pytest.mark.parametrize(("accept", "message"), [
    pytest.param("text/plain", KNOWN, id="unknown"),
    pytest.param("application/cbor", KNOWN, id="cbor-is-off-by-default"),
    pytest.param(f"{PROTOBUF};{TABLE}", KNOWN, id="no-table-in-protobuf"),
    pytest.param("application/json;as=Nothing;g=meta.k8s.io;v=v1", KNOWN, id="unknown-form"),
    pytest.param("application/json;stream=other", KNOWN, id="unknown-stream"),
    pytest.param(f"application/json;{METADATA}", "you requested PartialObjectMetadata, but the requested object is a "
                 "list (*core.ConfigMapList)", id="metadata-of-a-list")])
async def test_what_there_is_not_is_not_acceptable(cluster: Cluster, accept: str, message: str) -> None:
    reply = await cluster.get(CONFIGS, accept=accept)
    assert (reply.code, reply.json["reason"], reply.message) == (406, "NotAcceptable", message)


async def test_nothing_is_written_where_the_answer_would_not_be_acceptable(cluster: Cluster) -> None:
    assert (await cluster.post(CONFIGS, config("a"), accept="text/plain")).code == 406
    assert (await cluster.get(f"{CONFIGS}/a")).code == 404


async def test_a_watch_has_no_yaml(cluster: Cluster) -> None:
    wish = "application/json;stream=other,application/yaml;stream=watch"
    reply = await cluster.get(f"{CONFIGS}?watch=1", accept=wish)
    assert (reply.code, reply.message) == (406, "only the following media types are accepted: "
                                           f"application/json;stream=watch, {PROTOBUF};stream=watch")


async def test_reviews_are_no_tables(cluster: Cluster) -> None:
    reply = await cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}, accept=f"application/json;{TABLE}")
    assert reply.code == 406


async def test_the_first_form_that_there_is_is_taken(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a"))
    for accept, found in ((f"{PROTOBUF};{TABLE},application/json", "application/json"),
                          ("text/html,*/*", "application/json"),
                          (f"*/*,{PROTOBUF}", PROTOBUF), (f"application/json;q=0.5,{PROTOBUF}", PROTOBUF),
                          ("application/yaml", "application/yaml"), ("application/json;stream=watch",
                                                                     "application/json")):
        assert (await cluster.get(f"{CONFIGS}/a", accept=accept)).headers["content-type"] == found


async def test_yaml_is_spoken(cluster: Cluster) -> None:
    made = await cluster.post(CONFIGS, b"metadata: {name: a}\ndata: {x: 'y'}\n", content_type="application/yaml",
                              accept="application/yaml")
    assert b"kind: ConfigMap\n" in made.content


@pytest.mark.parametrize(("query", "headers"), [
    ("?pretty=true", {}), ("", {"user_agent": "curl/8.5.0"}), ("", {"accept": "application/json;pretty=1"})])
async def test_people_get_line_breaks(cluster: Cluster, query: str, headers: dict[str, str]) -> None:
    await cluster.post(CONFIGS, config("a"))
    assert (await cluster.get(f"{CONFIGS}/a{query}", **headers)).content.startswith(b'{\n  "kind": "ConfigMap",\n')
    assert (await cluster.get(f"{CONFIGS}/b{query}", **headers)).content.startswith(b'{\n  "kind": "Status",\n')
    assert (await cluster.get(f"{CONFIGS}/a?pretty=false", user_agent="curl/8.5.0")).content.startswith(b'{"kind"')


async def test_large_answers_are_compressed_for_who_takes_it(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("big", x="y" * 200_000))
    await cluster.post(CONFIGS, config("small", x="y"))
    plain = await cluster.get(f"{CONFIGS}/big")
    packed = await cluster.get(f"{CONFIGS}/big", accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.content) == plain.content
    assert "content-encoding" not in (await cluster.get(f"{CONFIGS}/small", accept_encoding="gzip")).headers
    in_protobuf = await cluster.get(CONFIGS, accept=PROTOBUF, accept_encoding="gzip, deflate")
    assert len(envelope.decode(gzip.decompress(in_protobuf.content))["items"]) == 2


async def test_messages_are_made_once_and_kept_while_there_is_room(cluster: Cluster) -> None:
    for name in "abc":
        await cluster.post(CONFIGS, config(name, x="y" * 100))
    await cluster.settle()
    kind = next(kind for kind in KINDS if kind.kind == "ConfigMap")
    items = list(cluster.feed.cache(kind).within("default"))
    roomy, narrow = Messages(10**6), Messages(500)
    assert all(roomy.of(kind, item) is roomy.of(kind, item) for item in items)
    for item in items:
        assert narrow.of(kind, item) == roomy.of(kind, item)
    assert narrow.of(kind, items[-1]) is narrow.of(kind, items[-1])
    assert 0 < narrow.size <= 500 < roomy.size


async def test_messages_of_objects_that_are_gone_are_not_kept(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a", x="y" * 100))
    await cluster.get(f"{CONFIGS}/a", accept=PROTOBUF)
    assert cluster.server.messages.size
    await cluster.delete(f"{CONFIGS}/a")
    await cluster.settle()
    assert not cluster.server.messages.size


async def test_an_object_in_protobuf_need_not_say_what_it_is(cluster: Cluster) -> None:
    body = envelope.envelope("", "", envelope.body(config("a", x="y"), "v1", "ConfigMap"))
    made = await cluster.post(CONFIGS, body, content_type=PROTOBUF)
    assert (made.code, made.json["data"]) == (201, {"x": "y"})


async def test_who_watches_a_deprecated_kind_is_warned(cluster: Cluster) -> None:
    watch = await cluster.watch("/api/v1/namespaces/default/endpoints?watch=1")
    assert b'warning: 299 - "v1 Endpoints is deprecated in v1.33+' in watch.head


async def test_a_version_that_is_gone_elsewhere_speaks_protobuf_too(cluster: Cluster) -> None:
    path = "/apis/extensions/v1beta1/namespaces/default/deployments"
    body = sent({"metadata": {"name": "web"}, "spec": {"template": {
        "metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}}}, "extensions/v1beta1", "Deployment")
    made = await cluster.post(path, body, content_type=PROTOBUF, accept=PROTOBUF)
    assert (made.code, made.protobuf["apiVersion"], made.protobuf["spec"]["selector"]) == (
        201, "extensions/v1beta1", {"matchLabels": {"a": "b"}})
    listed = (await cluster.get(path, accept=PROTOBUF)).protobuf
    assert [item["metadata"]["name"] for item in listed["items"]] == ["web"]
