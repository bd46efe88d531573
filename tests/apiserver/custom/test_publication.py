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


async def schema_of(cluster, path, name):
    return (await cluster.get(path)).json["components"]["schemas"][name]


PORT = {"x-kubernetes-int-or-string": True}


async def test_openapi_v3_has_the_schema_as_it_is(cluster):
    spec = {"type": "object", "properties": {"port": PORT, "colour": {"type": "string", "nullable": True},
                                             "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            "anyOf": [{"required": ["port"]}]}
    await define(cluster, definition(version(schema=spec)))
    index = (await cluster.get("/openapi/v3")).json["paths"]
    url = index["apis/example.com/v1"]["serverRelativeURL"]
    document = (await cluster.get(url)).json
    made = document["components"]["schemas"]["com.example.v1.Foo"]
    assert made["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Foo", "version": "v1"}]
    assert made["properties"]["spec"]["properties"]["port"] == PORT | {
        "anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert made["properties"]["spec"]["anyOf"] == [{"required": ["port"]}]
    assert made["properties"]["metadata"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    assert document["components"]["schemas"]["com.example.v1.FooList"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/com.example.v1.Foo"}
    patch = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/foos/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert {"fieldValidation"} <= {parameter["name"] for parameter in patch["parameters"]}


async def test_openapi_v2_leaves_out_what_kubectl_would_misread(cluster):
    spec = {"type": "object", "properties": {
        "port": PORT, "colour": {"type": "string", "nullable": True, "default": "red"},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "string"}}}},
        "required": ["port", "colour"], "anyOf": [{"required": ["port"]}]}
    await define(cluster, definition(version(schema=spec)))
    made = (await cluster.get("/openapi/v2", accept="application/json")).json["definitions"]["com.example.v1.Foo"]
    assert made["properties"]["spec"] == {"type": "object", "required": ["port"], "properties": {
        "port": PORT, "colour": {}, "any": {"x-kubernetes-preserve-unknown-fields": True}}}
    binary = await cluster.get("/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert b"com.example.v1.FooList" in binary.content


async def test_a_kind_of_which_anything_goes_forbids_nothing_in_v2(cluster):
    await define(cluster, definition(version(schema={
        "type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"spec": {"type": "object"}}})))
    made = (await cluster.get("/openapi/v2", accept="application/json")).json["definitions"]["com.example.v1.Foo"]
    assert made == {"type": "object", "x-kubernetes-group-version-kind": [
        {"group": "example.com", "kind": "Foo", "version": "v1"}]}


async def test_documents_of_other_groups_stay_as_they_were(cluster):
    before = (await cluster.get("/openapi/v3")).json["paths"]
    apps = (await cluster.get("/openapi/v3/apis/apps/v1")).headers["etag"]
    await define(cluster)
    after = (await cluster.get("/openapi/v3")).json["paths"]
    assert after == before | {"apis/example.com/v1": after["apis/example.com/v1"]}
    assert (await cluster.get("/openapi/v3/apis/apps/v1")).headers["etag"] == apps
    await cluster.delete(f"{PATH}/foos.example.com")
    await cluster.settle()
    await cluster.settle()
    assert (await cluster.get("/openapi/v3")).json["paths"] == before
    assert (await cluster.get("/openapi/v3/apis/example.com/v1")).code == 404
