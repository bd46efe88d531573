"""OpenAPI documents: complete, consistent, and in the forms that clients ask for."""

import json

import orjson
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from timonier.api.kinds import KINDS
from timonier.apiserver.openapi import answer, find, protobuf
from timonier.apiserver.openapi.documents import PROTOBUF, Documents
from timonier.apiserver.request import Request, parse

documents = Documents()
documents.look(KINDS, 0)


def read(path, **headers):
    request = Request("GET", path, {}, headers, parse("GET", path, {}))
    found = answer(documents, request)
    return None if found is None else (found, found.body)


@pytest.fixture(scope="module")
def v2():
    return orjson.loads(documents.v2("application/json").content())


def document(kind):
    path = kind.path().strip("/").rpartition("/")[0]
    return orjson.loads(documents.v3(path).content())


def test_the_index_names_a_document_for_each_group_and_version():
    paths = json.loads(documents.index().content())["paths"]
    assert set(paths) == {kind.path().strip("/").rpartition("/")[0] for kind in KINDS}
    for path, entry in paths.items():
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{path}?hash=")


def references(value):
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "$ref" and isinstance(child, str):
                yield child.rpartition("/")[2]
            else:
                yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@pytest.mark.parametrize("path", sorted(documents.group_versions()))
def test_every_reference_leads_somewhere(path):
    made = orjson.loads(documents.v3(path).content())
    assert set(references(made)) <= set(made["components"]["schemas"])
    identifiers = [action["operationId"] for item in made["paths"].values() for action in item.values()]
    assert len(identifiers) == len(set(identifiers))


def test_v2_refers_to_what_it_defines(v2):
    assert set(references(v2)) <= set(v2["definitions"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_verb_has_an_operation(kind):
    paths = document(kind)["paths"]
    wanted = {"list": ("{namespace}", ""), "get": ("{namespace}", "{name}"), "patch": ("{namespace}", "{name}"),
              "create": ("{namespace}", "")}
    methods = {"list": "get", "get": "get", "patch": "patch", "create": "post"}
    for verb in kind.verbs:
        if verb in wanted:
            action = paths[kind.path(*wanted[verb])][methods[verb]]
            assert action["x-kubernetes-group-version-kind"] == {
                "group": kind.group, "version": kind.version, "kind": kind.kind}


def test_clients_see_that_patches_are_checked():
    for path, item in document(KINDS[0])["paths"].items():
        if "patch" in item and "/proxy" not in path:
            names = {parameter["name"] for parameter in item["patch"]["parameters"]}
            assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= names, path


def test_quantities_take_what_each_version_can_say(v2):
    core = document(KINDS[0])["components"]["schemas"]
    quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    either = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert core[quantity]["oneOf"] == [{"type": "string"}, {"type": "number"}]
    assert core[either]["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    assert v2["definitions"][quantity]["type"] == v2["definitions"][either]["type"] == "string"
    assert v2["definitions"][either]["format"] == "int-or-string"


def test_definitions_are_described_and_know_how_lists_merge():
    pod = document(KINDS[0])["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    containers = pod["properties"]["containers"]
    assert "containers belonging to the pod" in containers["description"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert pod["required"] == ["containers"]


def test_v2_is_json_or_protobuf_as_the_client_likes():
    plain = find(documents, "/openapi/v2", "application/json")
    binary = find(documents, "/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert plain.media_type == "application/json"
    assert binary.media_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert find(documents, "/openapi/v2", "text/csv").status == 406


def test_a_client_that_has_the_document_gets_304():
    found, _ = read("/openapi/v3/apis/apps/v1")
    etag = dict(found.headers)["etag"]
    assert read("/openapi/v3/apis/apps/v1", **{"if-none-match": etag})[0].status == 304


@pytest.mark.parametrize("path", ["/openapi", "/openapi/v4", "/openapi/v3/apis/nowhere/v1", "/openapi/v2/x"])
def test_what_there_is_not_is_not_found(path):
    assert read(path) is None


FIELDS = {
    "Document": {1: "swagger", 2: "info:Info", 8: "paths:Paths", 9: "definitions:Definitions"},
    "Info": {1: "title", 2: "version"}, "Paths": {2: "*path:NamedPathItem"},
    "NamedPathItem": {1: "name", 2: "value:PathItem"},
    "PathItem": {2: "get:Operation", 3: "put:Operation", 4: "post:Operation", 5: "delete:Operation",
                 8: "patch:Operation", 9: "*parameters:ParametersItem"},
    "Operation": {1: "*tags", 3: "description", 5: "operation_id", 8: "*parameters:ParametersItem",
                  13: "*vendor_extension:NamedAny"},
    "ParametersItem": {1: "parameter:Parameter"}, "Parameter": {1: "body:Body", 2: "other:NonBody"},
    "Body": {2: "name", 3: "in", 5: "schema:Schema"}, "NonBody": {3: "query:Query", 4: "path:PathParameter"},
    "Query": {2: "in", 4: "name", 6: "type"}, "PathParameter": {2: "in", 4: "name", 5: "type"},
    "Definitions": {1: "*additional_properties:NamedSchema"}, "Properties": {1: "*additional_properties:NamedSchema"},
    "NamedSchema": {1: "name", 2: "value:Schema"}, "NamedAny": {1: "name", 2: "value:Any"}, "Any": {2: "yaml"},
    "Schema": {1: "_ref", 2: "format", 4: "description", 7: "maximum#1", 11: "max_length#3", 16: "unique#8",
               13: "pattern", 24: "*all_of:Schema", 19: "*required", 21: "additional_properties:Additional",
               22: "type:TypeItem", 23: "items:ItemsItem", 25: "properties:Properties",
               31: "*vendor_extension:NamedAny"},
    "Additional": {1: "schema:Schema"}, "TypeItem": {1: "*value"}, "ItemsItem": {1: "*schema:Schema"}}
"""Some of gnostic's messages; `*` is repeated, what follows a colon is a message's type, a number one of protobuf's."""


def gnostic():
    """The Document message, by a protobuf runtime that shares no code with the encoder."""
    file = descriptor_pb2.FileDescriptorProto(name="openapi.proto", package="openapi", syntax="proto3")
    for name, fields in FIELDS.items():
        made = file.message_type.add(name=name)
        for number, text in fields.items():
            title, _, kind = text.partition(":")
            title, _, plain = title.partition("#")
            made.field.add(name=title.lstrip("*"), number=number, label=3 if title[0] == "*" else 1,
                           type=11 if kind else int(plain or 9), type_name=f".openapi.{kind}" if kind else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("openapi.Document"))


def test_protobuf_says_what_json_says(v2):
    read_back = gnostic()()
    read_back.ParseFromString(documents.v2(PROTOBUF).content())
    assert {entry.name for entry in read_back.definitions.additional_properties} == set(v2["definitions"])
    assert {entry.name for entry in read_back.paths.path} == set(v2["paths"])
    for entry in read_back.definitions.additional_properties:
        same_schema(entry.value, v2["definitions"][entry.name])
    patch = next(entry.value for entry in read_back.paths.path if entry.name.endswith("/pods/{name}")).patch
    names = {item.parameter.other.query.name or item.parameter.other.path.name or item.parameter.body.name
             for item in patch.parameters}
    assert {"fieldValidation", "name", "namespace", "body"} <= names
    extensions = {entry.name: entry.value.yaml for entry in patch.vendor_extension}
    assert json.loads(extensions["x-kubernetes-group-version-kind"]) == {"group": "", "kind": "Pod", "version": "v1"}


def test_protobuf_says_what_only_other_servers_say():
    value = {"type": ["string", "null"], "maxLength": 300, "maximum": 1.5, "uniqueItems": True, "pattern": "^a",
             "allOf": [{"type": "string"}]}
    read_back = gnostic()()
    read_back.ParseFromString(protobuf.document({
        "swagger": "2.0", "info": {"title": "", "version": ""}, "definitions": {"A": value}, "paths": {"/a": {
            "parameters": [{"name": "p", "in": "query", "type": "string"}], "get": {}}}}))
    [entry] = read_back.definitions.additional_properties
    found = entry.value
    assert list(found.type.value) == ["string", "null"]
    assert (found.max_length, found.maximum, found.unique, found.pattern) == (300, 1.5, True, "^a")
    assert list(found.all_of[0].type.value) == ["string"]
    assert read_back.paths.path[0].value.parameters[0].parameter.other.query.name == "p"


def same_schema(found, wanted):
    assert found.description == wanted.get("description", "")
    assert found._ref == wanted.get("$ref", "")
    assert list(found.type.value) == ([wanted["type"]] if "type" in wanted else [])
    assert list(found.required) == wanted.get("required", [])
    properties = {entry.name: entry.value for entry in found.properties.additional_properties}
    assert set(properties) == set(wanted.get("properties", {}))
    for name, child in properties.items():
        same_schema(child, wanted["properties"][name])
    if "items" in wanted:
        same_schema(found.items.schema[0], wanted["items"])
    extensions = {entry.name: json.loads(entry.value.yaml) for entry in found.vendor_extension}
    assert extensions == {name: value for name, value in wanted.items() if name.startswith("x-")}
