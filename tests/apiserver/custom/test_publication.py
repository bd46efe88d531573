"""Where clients learn of custom kinds: discovery and OpenAPI."""

from __future__ import annotations

from support.definitions import PATH, define, definition, version

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_discovery_follows_definitions(cluster):
    before = await cluster.get("/apis", accept=AGGREGATED)
    await define(cluster, definition(version(), version("v2beta1"), version("v2", served=False), version("v10"),
                                     names={"shortNames": ["fo"], "categories": ["all"]}))
    after = await cluster.get("/apis", accept=AGGREGATED)
    assert before.headers["etag"] != after.headers["etag"]
    found = next(each for each in after.json["items"] if each["metadata"]["name"] == "example.com")
    assert [each["version"] for each in found["versions"]] == ["v10", "v1", "v2beta1"]
    assert found["versions"][0]["resources"] == [{
        "resource": "foos", "singularResource": "foo", "scope": "Namespaced", "shortNames": ["fo"],
        "categories": ["all"],
        "responseKind": {"group": "example.com", "version": "v10", "kind": "Foo"},
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]}]
    group = (await cluster.get("/apis/example.com")).json
    assert group["preferredVersion"] == {"groupVersion": "example.com/v10", "version": "v10"}
    plain = (await cluster.get("/apis/example.com/v1")).json
    assert [(each["name"], each["singularName"], each["kind"]) for each in plain["resources"]] == [
        ("foos", "foo", "Foo")]
    await cluster.delete(f"{PATH}/foos.example.com")
    await cluster.settle()
    await cluster.settle()
    assert (await cluster.get("/apis/example.com")).code == 404
    assert (await cluster.get("/apis", accept=AGGREGATED)).headers["etag"] == before.headers["etag"]


async def test_subresources_are_discovered(cluster):
    await define(cluster, definition(version(subresources={"status": {}, "scale": {
        "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}})))
    plain = (await cluster.get("/apis/example.com/v1")).json
    assert [(each["name"], each["kind"], each["verbs"]) for each in plain["resources"][1:]] == [
        ("foos/scale", "Scale", ["get", "patch", "update"]), ("foos/status", "Foo", ["get", "patch", "update"])]
    assert plain["resources"][1]["group"] == "autoscaling"
