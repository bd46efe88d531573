"""Conversion by webhook: who calls it with what, what is made of its answers, and what a bad one comes to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.definitions import FOOS, PATH, condition, define, definition, foo, version
from support.webhook_server import Webhook, webhook

V2 = "/apis/example.com/v2/namespaces/default/foos"
HOST_AND_PORT = {"type": "object", "properties": {"place": {"type": "string"}}}
APART = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}


def turned(obj: Any, apiVersion: str) -> Any:
    """v1 has `place: host:port`, v2 has both apart."""
    spec = dict(obj.get("spec") or {})
    if apiVersion.endswith("v2") and "place" in spec:
        spec["host"], _, spec["port"] = spec.pop("place").partition(":")
    elif apiVersion.endswith("v1") and "host" in spec:
        spec["place"] = f"{spec.pop('host')}:{spec.pop('port')}"
    return obj | {"apiVersion": apiVersion, "spec": spec}


def answer(request: Any, objects: Any, **result: Any) -> bytes:
    return orjson.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {
        "uid": request["uid"], "result": {"status": "Success"} | result, "convertedObjects": objects}})


def convert(request: Any) -> bytes:
    return answer(request, [turned(obj, request["desiredAPIVersion"]) for obj in request["objects"]])


def converted(hook: Webhook, **changes: Any) -> Any:
    return definition(version("v1", HOST_AND_PORT), version("v2", APART), conversion={
        "strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
            "clientConfig": hook.client("/convert")}},
        **changes)


@pytest.fixture
async def hook(tmp_path):
    async with webhook(tmp_path, convert) as made:
        yield made


async def test_objects_are_converted_on_their_way_in_and_out(cluster, hook):
    await define(cluster, converted(hook))
    await cluster.post(FOOS, foo(spec={"place": "here:80"}))
    assert hook.asked == [], "the storage version needs no conversion"
    assert (await cluster.get(f"{V2}/x")).json["spec"] == {"host": "here", "port": "80"}
    asked = hook.asked[0]
    assert (asked["kind"], asked["apiVersion"], asked["request"]["desiredAPIVersion"]) == (
        "ConversionReview", "apiextensions.k8s.io/v1", "example.com/v2")
    assert asked["request"]["objects"][0]["spec"] == {"place": "here:80"}
    assert hook.paths[0].startswith("/convert?timeout=30s")
    made = await cluster.post(V2, foo("y", {"host": "there", "port": "81"}, "example.com/v2"))
    assert made.json["spec"] == {"host": "there", "port": "81"}
    assert (await cluster.get(f"{FOOS}/y")).json["spec"] == {"place": "there:81"}
    stored = orjson.loads((await cluster.store.get("/foos.example.com/default/y")).value)
    assert (stored["apiVersion"], stored["spec"]) == ("example.com/v1", {"place": "there:81"})
    patched = await cluster.patch(f"{V2}/x", {"spec": {"port": "82"}})
    assert patched.json["spec"] == {"host": "here", "port": "82"}
    assert (await cluster.get(f"{FOOS}/x")).json["spec"] == {"place": "here:82"}


async def test_a_list_is_converted_in_one_call_and_once(cluster, hook):
    await define(cluster, converted(hook))
    for name in ("x", "y", "z"):
        await cluster.post(FOOS, foo(name, {"place": f"{name}:80"}))
    listed = (await cluster.get(V2)).json
    assert [item["spec"]["host"] for item in listed["items"]] == ["x", "y", "z"]
    assert [len(each["request"]["objects"]) for each in hook.asked] == [3]
    await cluster.get(V2)
    assert len(hook.asked) == 1, "a view that was made is kept"


async def test_a_list_of_objects_stored_in_several_versions(cluster, hook):
    await define(cluster, converted(hook))
    await cluster.post(FOOS, foo("x", {"place": "x:80"}))
    read = (await cluster.get(f"{PATH}/foos.example.com")).json
    for entry in read["spec"]["versions"]:
        entry["storage"] = entry["name"] == "v2"
    assert (await cluster.put(f"{PATH}/foos.example.com", read)).code == 200
    await cluster.settle()
    await cluster.post(FOOS, foo("y", {"place": "y:80"}))
    assert b"example.com/v2" in (await cluster.store.get("/foos.example.com/default/y")).value
    for path, version_of in ((FOOS, "v1"), (V2, "v2")):
        items = (await cluster.get(path)).json["items"]
        assert [(item["metadata"]["name"], item["apiVersion"]) for item in items] == [
            ("x", f"example.com/{version_of}"), ("y", f"example.com/{version_of}")]


async def settled(cluster, taken, count):
    import asyncio

    for _ in range(500):
        if len(taken.events()) >= count:
            return
        await cluster.settle()
        await asyncio.sleep(0.002)


async def test_a_watch_sees_what_is_converted_in_order(cluster, hook):
    await define(cluster, converted(hook))
    await cluster.post(FOOS, foo("x", {"place": "x:80"}))
    watch = await cluster.watch(f"{V2}?watch=true")
    await settled(cluster, watch, 1)
    for name in ("y", "z"):
        await cluster.post(FOOS, foo(name, {"place": f"{name}:80"}))
    await cluster.delete(f"{FOOS}/x")
    await settled(cluster, watch, 4)
    assert [(event["type"], event["object"]["apiVersion"], event["object"]["spec"]["host"])
            for event in watch.events()] == [
        ("ADDED", "example.com/v2", "x"), ("ADDED", "example.com/v2", "y"), ("ADDED", "example.com/v2", "z"),
        ("DELETED", "example.com/v2", "x")]


@pytest.mark.parametrize(("decide", "said"), [
    pytest.param(lambda request: answer(request, [], status="Failed", message="no idea"), "failed: no idea",
                 id="refused"),
    pytest.param(lambda request: answer(request, []), "returned 0 objects, expected 1", id="too-few"),
    pytest.param(lambda request: answer({"uid": "other"}, []), 'failed: expected response.uid="', id="another-uid"),
    pytest.param(lambda request: b"{}", "failed: no response provided", id="nothing"),
    pytest.param(lambda request: answer(request, request["objects"]), "returned invalid converted object at index 0: "
                 "invalid groupVersion (expected example.com/v2, received example.com/v1)", id="unconverted"),
    pytest.param(lambda request: answer(request, [
        turned(obj, "example.com/v2") | {"metadata": {"name": "other"}} for obj in request["objects"]]),
        "returned invalid converted object at index 0: must have the same name: x != other", id="another-name"),
])
async def test_a_bad_answer_is_told(cluster, tmp_path, decide, said):
    async with webhook(tmp_path, decide) as made:
        await define(cluster, converted(made))
        await cluster.post(FOOS, foo(spec={"place": "here:80"}))
        reply = await cluster.get(f"{V2}/x")
        assert reply.code == 500
        assert reply.message.startswith("conversion webhook for example.com/v1, Kind=Foo ")
        assert said in reply.message


async def test_a_webhook_may_change_labels_and_annotations_alone(cluster, tmp_path):
    def meddle(request):
        objects = [turned(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        for obj in objects:
            obj["metadata"] |= {"labels": {"new": "label"}, "finalizers": ["example.com/not"]}
        return answer(request, objects)

    async with webhook(tmp_path, meddle) as made:
        await define(cluster, converted(made))
        await cluster.post(FOOS, foo(spec={"place": "here:80"}))
        metadata = (await cluster.get(f"{V2}/x")).json["metadata"]
        assert metadata["labels"] == {"new": "label"}
        assert "finalizers" not in metadata


async def test_certificates_that_cannot_be_read_keep_a_definition_from_being_established(cluster, hook):
    wanted = converted(hook)
    wanted["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = "bm90IGEgY2VydGlmaWNhdGU="
    await define(cluster, wanted)
    assert (await condition(cluster, "foos.example.com", "Established"))["reason"] == "InvalidCABundle"
    read = (await cluster.get(f"{PATH}/foos.example.com")).json
    read["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = hook.bundle
    assert (await cluster.put(f"{PATH}/foos.example.com", read)).code == 200
    await cluster.settle()
    await cluster.settle()
    assert (await condition(cluster, "foos.example.com", "Established"))["status"] == "True"
