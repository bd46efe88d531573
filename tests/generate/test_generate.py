"""The build hook: what it makes of the published definitions, and that what is in the tree is what it would make."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import zlib
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from timonier.api.schema import read

ROOT = Path(__file__).parents[2]
API = ROOT / "src" / "timonier" / "api"


def part_of_the_hook(name: str) -> ModuleType:
    """The build hook is no part of the package; it is read from its file."""
    spec = importlib.util.spec_from_file_location(f"generate_{name}", ROOT / "generate" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema, types = part_of_the_hook("schema"), part_of_the_hook("types")


@pytest.fixture(scope="module")
def definitions():
    """What the hook wrote, which is the definitions without their descriptions."""
    return read("structure.z")


def test_nodes_lose_what_json_schema_says_of_nulls_and_keep_what_kubernetes_says():
    raw = {"type": ["object", "null"], "description": "d", "x-kubernetes-patch-merge-key": "name", "$schema": "x",
           "properties": {"$ref": {"type": ["string", "null"], "enum": ["a", None]},
                          "spec": {"$ref": "#/$defs/io.x.Spec"}, "any": {}},
           "additionalProperties": {"type": ["integer", "null"], "format": "int32"}}
    assert schema.normalise(raw) == {
        "type": "object", "description": "d", "x-kubernetes-patch-merge-key": "name",
        "properties": {"$ref": {"type": "string", "enum": ["a"]}, "spec": {"$ref": "io.x.Spec"}, "any": {}},
        "additionalProperties": {"type": "integer", "format": "int32"}}


def test_structure_and_descriptions_are_written_apart(tmp_path):
    schema.write({"io.x.A": {"type": "object", "description": "d", "properties": {"b": {"type": "string"}}}}, tmp_path)
    read = {file: json.loads(zlib.decompress((tmp_path / file).read_bytes())) for file in ("structure.z", "docs.z")}
    assert read == {"structure.z": {"io.x.A": {"type": "object", "properties": {"b": {"type": "string"}}}},
                    "docs.z": {"io.x.A": ["d", {"b": ["", {}, None]}, None]}}


def test_every_node_has_one_type_or_refers(definitions):
    def walk(node, path):
        assert "$ref" in node or isinstance(node.get("type", ""), str), path
        assert node.get("type") != "null"
        for name, child in node.get("properties", {}).items():
            walk(child, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if key in node:
                walk(node[key], f"{path}[]")
    for name, node in definitions.items():
        walk(node, name)


def test_every_reference_resolves(definitions):
    text = json.dumps(definitions)
    assert "#/$defs/" not in text
    referred = {node["$ref"] for node in every_node(definitions.values()) if isinstance(node.get("$ref"), str)}
    assert referred <= set(definitions)


def every_node(nodes):
    for node in nodes:
        yield node
        yield from every_node(node.get("properties", {}).values())
        yield from every_node(node[key] for key in ("items", "additionalProperties") if key in node)


def test_a_property_may_be_named_like_a_keyword_of_the_schema(definitions):
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    properties = definitions[name]["properties"]
    assert {"$ref", "description", "properties", "items"} <= set(properties)
    assert properties["$ref"]["type"] == "string"


def test_descriptions_are_split_from_structure_and_nothing_else_is_lost():
    node = {"type": "object", "description": "d", "properties": {
        "a": {"type": "array", "description": "e", "items": {"type": "string", "description": "f"}}}}
    bare, docs = schema.split_docs(node)
    assert bare == {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    assert docs == ["d", {"a": ["e", {}, ["f", {}, None]]}, None]


def test_merge_keys_and_list_types_survive(definitions):
    ports = definitions["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    assert definitions[schema.QUANTITY]["format"] == "quantity"
    assert definitions[schema.INT_OR_STRING]["format"] == "int-or-string"


def test_the_same_definitions_give_the_types_that_are_in_the_tree(definitions, tmp_path):
    types.write(definitions, tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.glob("*.py")}
    assert made == {path.name: path.read_text() for path in (API / "types").glob("*.py")}


def test_stale_modules_of_types_are_removed(tmp_path):
    (tmp_path / "gone_v1.py").write_text("")
    types.write({}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["__init__.py"]


@pytest.mark.parametrize(("name", "attribute"), [
    ("continue", "continue_"), ("$ref", "ref_"), ("x-a", "x_a"), ("int", "int_"), ("name", "name")])
def test_fields_with_awkward_names_get_python_ones(name, attribute):
    assert types.attribute_name(name) == (attribute, attribute != name)


@pytest.mark.parametrize(("definition", "place"), [
    ("io.k8s.api.core.v1.Pod", ("core_v1", "Pod")),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", ("meta_v1", "ObjectMeta")),
    ("io.k8s.apimachinery.pkg.version.Info", ("plain", "Info")),
])
def test_definitions_have_their_places(definition, place):
    assert types.place(definition) == place


@pytest.mark.parametrize("module", sorted(path.stem for path in (API / "types").glob("*_v*.py")))
def test_every_type_can_be_made_decoded_and_encoded(module):
    loaded = importlib.import_module(f"timonier.api.types.{module}")
    tree = ast.parse((API / "types" / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            struct = getattr(loaded, node.name)
            assert msgspec.json.decode(msgspec.json.encode(struct()), type=struct) == struct()
            assert msgspec.json.decode(b'{"unknownField":1}', type=struct) == struct()


def test_objects_read_without_asking_whether_each_step_is_there():
    from timonier.api.types import apps_v1, core_v1
    pod = msgspec.json.decode(b'{"kind":"Pod","metadata":{"name":"a"}}', type=core_v1.Pod)
    assert (pod.metadata.name, pod.spec.containers, pod.status.phase, pod.spec.hostNetwork) == ("a", [], "", None)
    assert apps_v1.Deployment().spec.replicas is None
    assert (core_v1.Pod.apiVersion, core_v1.Pod.kind) == ("v1", "Pod")
