"""Server-side apply and managedFields of custom kinds: what their schemas say about merging, and their versions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.api_server import Cluster, Reply
from support.definitions import FOOS, define, definition, foo, version
from support.webhook_server import webhook

FOO, V2 = f"{FOOS}/x", "/apis/example.com/v2/namespaces/default/foos/x"
ITEMS = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"], "items": {
    "type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "port": {"type": "integer", "default": 80}, "value": {"type": "string"}}}}
SPEC = {"type": "object", "properties": {
    "size": {"type": "integer"}, "text": {"type": "string"}, "items": ITEMS,
    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "either": {"x-kubernetes-int-or-string": True},
    "template": {"type": "object", "x-kubernetes-embedded-resource": True,
                 "x-kubernetes-preserve-unknown-fields": True}}}


async def apply(cluster: Cluster, body: Any, manager: str = "me", more: str = "", url: str = FOO) -> Reply:
    return await cluster.call("PATCH", f"{url}?fieldManager={manager}{more}", body,
                              content_type="application/apply-patch+yaml")


def managed(reply: Reply) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in reply.json["metadata"].get("managedFields", [])}


async def test_a_new_object_is_its_creators_structs_and_all(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    reply = await cluster.post(f"{FOOS}?fieldManager=maker", foo(spec={"size": 1, "tags": ["a"]}))
    assert managed(reply) == {"maker": {"f:spec": {".": {}, "f:size": {}, "f:tags": {".": {}, 'v:"a"': {}}}}}


async def test_lists_and_maps_are_merged_as_the_schema_says(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    await apply(cluster, foo(spec={"items": [{"name": "a"}], "tags": ["x"], "whole": {"a": "1"},
                                   "free": {"deep": {"list": [1]}}}), "one")
    reply = await apply(cluster, foo(spec={"items": [{"name": "a", "port": 443}, {"name": "b"}], "tags": ["y"],
                                           "free": {"deep": {"more": True}}}), "two")
    spec = reply.json["spec"]
    assert {(item["name"], item["port"]) for item in spec["items"]} == {("a", 80), ("a", 443), ("b", 80)}
    assert sorted(spec["tags"]) == ["x", "y"]
    assert spec["free"] == {"deep": {"list": [1], "more": True}}
    assert managed(reply)["one"] == {"f:spec": {
        "f:items": {'k:{"name":"a","port":80}': {".": {}, "f:name": {}}}, "f:tags": {'v:"x"': {}}, "f:whole": {},
        "f:free": {"f:deep": {".": {}, "f:list": {}}}}}
    conflict = await apply(cluster, foo(spec={"whole": {"b": "2"}}), "two")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.whole'


async def test_what_is_no_longer_applied_goes_and_leaves_no_nulls(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    await apply(cluster, foo(spec={"size": 1, "items": [{"name": "a"}], "tags": ["x"]}))
    reply = await apply(cluster, foo(spec={"text": "t"}))
    assert reply.json["spec"] == {"text": "t"}


async def test_truth_is_not_the_number_one(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    await apply(cluster, foo(spec={"free": {"flag": 1}}), "one")
    conflict = await apply(cluster, foo(spec={"free": {"flag": True}}), "two")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.free.flag'


@pytest.mark.parametrize(("spec", "fault"), [
    pytest.param({"unknown": 1}, ".spec.unknown: field not declared in schema", id="unknown"),
    pytest.param({"size": "big"}, ".spec.size: expected numeric (int or float), got string", id="form"),
    pytest.param({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]', id="twice"),
])
async def test_a_configuration_has_to_fit_the_schema(cluster: Cluster, spec: Any, fault: str) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    reply = await apply(cluster, foo(spec=spec))
    assert reply.code == 400
    assert reply.message == f"failed to create typed patch object (/x; example.com/v1, Kind=Foo): {fault}"


async def test_embedded_objects_and_numbers_or_texts_are_owned_by_field(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    reply = await apply(cluster, foo(spec={"either": 5, "template": {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}}}))
    assert managed(reply)["me"]["f:spec"] == {"f:either": {}, "f:template": {
        "f:apiVersion": {}, "f:kind": {}, "f:metadata": {"f:name": {}, "f:labels": {"f:a": {}}}}}


async def test_status_is_applied_through_its_own_door(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC, subresources={"status": {}})))
    await apply(cluster, foo(spec={"size": 1}))
    both = foo(spec={"size": 2}) | {"status": {"ready": True}}
    both["metadata"]["labels"] = {"a": "b"}
    reply = await apply(cluster, both, "controller", url=f"{FOO}/status")
    assert (reply.json["spec"], reply.json["status"]) == ({"size": 1}, {"ready": True})
    assert managed(reply)["controller"] == {"f:status": {"f:ready": {}}}


async def test_a_scale_names_the_field_that_the_definition_names(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC, subresources={"scale": {
        "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}})))
    await apply(cluster, foo(spec={"size": 1}))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 3}}
    assert (await apply(cluster, scale, "hpa", "&force=true", f"{FOO}/scale")).code == 200
    reply = await cluster.get(FOO)
    assert reply.json["spec"] == {"size": 3}
    assert managed(reply) == {"hpa": {"f:spec": {"f:size": {}}}}


async def test_conflicts_are_found_across_versions_that_differ_by_name_alone(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC), version("v2", SPEC)))
    await apply(cluster, foo(spec={"size": 1, "text": "a"}), "one")
    second = foo(spec={"size": 2}, apiVersion="example.com/v2")
    conflict = await apply(cluster, second, "two", url=V2)
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.size'
    reply = await apply(cluster, second, "two", "&force=true", V2)
    assert managed(reply) == {"one": {"f:spec": {"f:text": {}}}, "two": {"f:spec": {"f:size": {}}}}


def renamed(request: Any) -> bytes:
    """A webhook's answer: what v1 calls `text`, v2 calls `words`."""
    old, new = ("text", "words") if request["desiredAPIVersion"].endswith("v2") else ("words", "text")
    made = [obj | {"apiVersion": request["desiredAPIVersion"],
                   "spec": {new if name == old else name: value for name, value in (obj.get("spec") or {}).items()}}
            for obj in request["objects"]]
    return orjson.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {
        "uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": made}})


async def test_managers_of_two_versions_are_compared_by_webhook(cluster: Cluster, tmp_path: Any) -> None:
    texts = {name: {"type": "object", "properties": {"size": {"type": "integer"}, name: {"type": "string"}}}
             for name in ("text", "words")}
    async with webhook(tmp_path, renamed) as hook:
        await define(cluster, definition(
            version("v1", texts["text"]), version("v2", texts["words"]), conversion={
                "strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
                                                   "clientConfig": hook.client("/convert")}}))
        await apply(cluster, foo(spec={"size": 1, "text": "a"}), "one")
        second = foo(spec={"words": "b"}, apiVersion="example.com/v2")
        conflict = await apply(cluster, second, "two", url=V2)
        assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.text'
        reply = await apply(cluster, second, "two", "&force=true", V2)
        assert (reply.code, reply.json["spec"]) == (200, {"size": 1, "words": "b"})
        assert managed(reply) == {"one": {"f:spec": {"f:size": {}}}, "two": {"f:spec": {"f:words": {}}}}
        left = await apply(cluster, foo(apiVersion="example.com/v2"), "one", url=V2)
        assert left.json["spec"] == {"words": "b"}, "what one applied as v1 and leaves out as v2 goes"


async def test_entries_of_versions_that_are_gone_go_with_the_next_change(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC), version("v2", SPEC)))
    await apply(cluster, foo(spec={"text": "a"}, apiVersion="example.com/v2"), "old", url=V2)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.example.com"
    made = (await cluster.get(path)).json
    made["spec"]["versions"] = made["spec"]["versions"][:1]
    assert (await cluster.put(path, made)).code == 200
    await cluster.settle()
    await cluster.settle()
    reply = await apply(cluster, foo(spec={"size": 1}), "new")
    assert set(managed(reply)) == {"new"}


async def test_a_list_that_becomes_atomic_belongs_to_who_had_something_in_it(cluster: Cluster) -> None:
    await define(cluster, definition(version("v1", SPEC)))
    await apply(cluster, foo(spec={"tags": ["a"]}), "one")
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.example.com"
    changed = (await cluster.get(path)).json
    spec = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["tags"]["x-kubernetes-list-type"] = "atomic"
    assert (await cluster.put(path, changed)).code == 200
    await cluster.settle()
    await cluster.settle()
    conflict = await apply(cluster, foo(spec={"tags": ["b"]}), "two")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.tags'
