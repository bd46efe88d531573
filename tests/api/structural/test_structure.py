"""Which schemas are structural, and what is said of those that are not."""

from __future__ import annotations

import pytest

from timonier.api.structural.structure import unsupported, violations

STRING = {"type": "string"}


def wrong(schema):
    return [str(cause) for cause in violations(schema, "s")]


@pytest.mark.parametrize("schema", [
    pytest.param({"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": STRING}}}},
                 id="plain"),
    pytest.param({"type": "object", "properties": {"port": {
        "x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}}}, id="int-or-string"),
    pytest.param({"type": "object", "properties": {"port": {
        "x-kubernetes-int-or-string": True,
        "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "^a"}]}}},
        id="int-or-string-and-more"),
    pytest.param({"type": "object", "properties": {"any": {"x-kubernetes-preserve-unknown-fields": True}}},
                 id="anything"),
    pytest.param({"type": "object", "properties": {"metadata": {
        "type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}}}, id="narrower-names"),
    pytest.param({"type": "object", "properties": {"pod": {
        "type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}}},
        id="embedded"),
    pytest.param({"type": "object", "properties": {"a": STRING, "b": STRING},
                  "oneOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"b": {"minLength": 1}}}]},
                  id="junctors"),
])
def test_structural_schemas_have_no_violations(schema):
    assert wrong(schema) == []
    assert unsupported(schema) == ""


@pytest.mark.parametrize(("schema", "said"), [
    pytest.param({"properties": {}}, ["s.type: Required value: must not be empty at the root"],
                 id="no-type-at-the-root"),
    pytest.param({"type": "array", "items": STRING}, ['s.type: Invalid value: "array": must be object at the root'],
                 id="another-root"),
    pytest.param({"type": "object", "properties": {"a": {}, "b": {"type": "array"},
                                                 "c": {"type": "array", "items": {}}}}, [
        "s.properties[a].type: Required value: must not be empty for specified object fields",
        "s.properties[b].items: Required value: must be specified",
        "s.properties[c].items.type: Required value: must not be empty for specified array items"], id="missing-types"),
    pytest.param({"type": "object", "additionalProperties": STRING},
                 ["s.additionalProperties: Forbidden: must not be used at the root"], id="map-at-the-root"),
    pytest.param({"type": "object", "anyOf": [{"properties": {"a": {"type": "string", "default": "x"}}}]}, [
        "s.anyOf[0].properties[a].default: Forbidden: must be undefined to be structural",
        "s.anyOf[0].properties[a].type: Forbidden: must be empty to be structural",
        "s.properties[a]: Required value: because it is defined in s.anyOf[0].properties[a]"], id="types-in-junctors"),
    pytest.param({"type": "object", "not": {"items": {"minLength": 1}}},
                 ["s.items: Required value: because it is defined in s.not.items"], id="items-in-not"),
    pytest.param({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {
        "type": "object"}}}}}, ["s.properties[metadata]: Forbidden: must not specify anything other than name and "
                                "generateName, but metadata is implicitly specified"], id="labels-restricted"),
    pytest.param({"type": "object", "properties": {"kind": {"type": "integer"}}},
                 ['s.properties[kind].type: Invalid value: "integer": must be string'], id="kind-is-no-string"),
    pytest.param({"type": "object", "properties": {"a": {"type": "string", "pattern": "a("}}}, [
        's.properties[a].pattern: Invalid value: "a(": must be a valid regular expression, but isn\'t: error parsing '
        "regexp: missing closing ): `a(`"], id="bad-pattern"),
    pytest.param({"type": "object", "properties": {"a": {"type": "string", "pattern": "a(?=b)"}}}, [
        's.properties[a].pattern: Invalid value: "a(?=b)": must be a valid regular expression, but isn\'t: error '
        "parsing regexp: invalid or unsupported Perl syntax: `(?=`"], id="pattern-that-only-perl-knows"),
    pytest.param({"type": "object", "properties": {"a": {"x-kubernetes-embedded-resource": True}}}, [
        "s.properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true "
        "without x-kubernetes-preserve-unknown-fields",
        "s.properties[a].type: Required value: must be object if x-kubernetes-embedded-resource is true"],
        id="embedded"),
    pytest.param({"type": "object", "properties": {"a": {
        "x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}}}, [
        "s.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
        "x-kubernetes-int-or-string is true"], id="int-or-string-preserved"),
])
def test_violations_are_named_in_upstreams_words(schema, said):
    assert wrong(schema) == said


@pytest.mark.parametrize(("schema", "said"), [
    pytest.param({"$ref": "#/x"}, "OpenAPIV3Schema '$ref' is not supported", id="ref"),
    pytest.param({"properties": {"a": {"definitions": {"x": {}}}}}, "OpenAPIV3Schema 'definitions' is not supported",
                 id="definitions"),
    pytest.param({"items": [STRING]}, "OpenAPIV3Schema 'items' must be a schema, but is an array", id="tuple"),
])
def test_some_schemas_cannot_be_asked_at_all(schema, said):
    assert unsupported(schema) == said
