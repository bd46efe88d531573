"""CustomResourceDefinitions: what is refused, in upstream's words and with upstream's paths."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from timonier.api.defaults import default
from timonier.api.kinds import BY_ID
from timonier.api.validation import validate

KIND = BY_ID["apiextensions.k8s.io/v1/CustomResourceDefinition"]
STRING = {"type": "string"}
OBJECT = {"type": "object"}


def version(name: str = "v1", schema: Any = OBJECT, **rest: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}} | rest


def definition(*versions: Any, stored: Any = ("v1",), annotations: Any = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": f"foos.{spec.get('group', 'example.com')}", "annotations": annotations or {}}
    obj = {"metadata": metadata, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
        "versions": list(versions or [version()])} | spec, "status": {"storedVersions": list(stored)}}
    default(KIND, obj)
    return obj


def said(obj: Any, old: Any = None) -> list[str]:
    return [str(cause) for cause in validate(KIND, obj, old)]


def test_a_plain_definition_is_valid():
    assert said(definition()) == []


@pytest.mark.parametrize(("obj", "message"), [
    pytest.param(definition(group="example"), 'spec.group: Invalid value: "example": should be a domain with at least '
                                              'one '
                 "dot", id="group"),
    pytest.param(definition(scope="Galactic"),
                 'spec.scope: Unsupported value: "Galactic": supported values: "Cluster", "Namespaced"', id="scope"),
    pytest.param(definition({"name": "v1", "served": True, "storage": True}),
                 "spec.versions[0].schema.openAPIV3Schema: Required value", id="no-schema"),
    pytest.param(definition(names={"plural": "foos", "kind": "Foo Bar"}),
                 'spec.names.kind: Invalid value: "Foo Bar": may have mixed case, but should otherwise match: a '
                 'DNS-1035 '
                 "label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                 "character, and "
                 "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                 "'[a-z]([-a-z0-9]*[a-z0-9])?')", id="kind"),
    pytest.param(definition(names={"plural": "foos", "kind": "Foo", "listKind": "Foo"}),
                 'spec.names.listKind: Invalid value: "Foo": kind and listKind may not be the same', id="list-kind"),
    pytest.param(definition(version(schema={"type": "object", "properties": {"spec": {}}})),
                 "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for "
                 "specified "
                 "object fields", id="the-only-schema"),
    pytest.param(definition(version(), version("v2", {"type": "object", "properties": {"spec": {}}})),
                 "spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for "
                 "specified object fields", id="one-schema-of-several"),
    pytest.param(definition(version(deprecationWarning="old")),
                 'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions',
                 id="deprecation"),
    pytest.param(definition(version(subresources={"scale": {"specReplicasPath": ".status.x",
                                                            "statusReplicasPath": ".status.x"}})),
                 'spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under '
                 '.spec',
                 id="scale"),
    pytest.param(definition(version(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": ".a"}])),
                 'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of '
                 "boolean,date,integer,number,string", id="column"),
    pytest.param(definition(version(selectableFields=[{"jsonPath": ".spec.nothing"}])),
                 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.nothing": is an invalid path: does not '
                 'refer to '
                 "a valid field", id="selectable"),
    pytest.param(definition(conversion={"strategy": "Webhook"}),
                 "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
                 id="webhook"),
    pytest.param(definition(preserveUnknownFields=True),
                 "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
                 "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead", id="preserved"),
    pytest.param(definition(stored=("v0", "v1")),
                 'status.storedVersions[0]: Invalid value: "v0": missing from spec.versions; v0 was previously a '
                 'storage '
                 "version, and must remain in spec.versions until a storage migration ensures no data remains "
                 "persisted in "
                 "v0 and removes v0 from status.storedVersions", id="stored"),
    pytest.param(definition(group="x.k8s.io"),
                 'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have '
                 'approval '
                 'annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
                 id="unapproved"),
])
def test_what_is_wrong_is_said(obj, message):
    assert message in said(obj)


@pytest.mark.parametrize(("schema", "message"), [
    pytest.param({"uniqueItems": True}, "uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime "
                 "complexity becomes quadratic", id="unique"),
    pytest.param({"type": "array", "items": OBJECT, "x-kubernetes-list-type": "set"},
                 "items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with "
                 "x-kubernetes-list-type=set", id="set-of-objects"),
    pytest.param({"type": "array", "items": OBJECT, "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["a"]},
                 'x-kubernetes-list-map-keys: Invalid value: ["a"]: entries must all be names of item properties',
                 id="keys"),
    pytest.param({"type": "array", "items": {"type": "object", "properties": {"a": STRING}},
                  "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]},
                 "items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it "
                 "must "
                 "have a default or be a required property", id="key-that-may-be-absent"),
    pytest.param(OBJECT | {"properties": {"a": STRING}, "additionalProperties": STRING},
                 "additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
                 id="both"),
    pytest.param(STRING | {"$ref": "#/x"}, "$ref: Forbidden: $ref is not supported", id="ref"),
    pytest.param({"type": "integer", "minimum": 2, "default": 1},
                 "default: Invalid value: 1:  in body should be greater than or equal to 2", id="default"),
    pytest.param(OBJECT | {"properties": {"a": STRING}, "default": {"b": 1}},
                 'default: Invalid value: {"b":1}: must not have unknown fields', id="unknown-default"),
    pytest.param({"type": "text"}, 'type: Unsupported value: "text": supported values: "array", "boolean", "integer", '
                 '"number", "object", "string"', id="type"),
    pytest.param(STRING | {"x-kubernetes-validations": [{"rule": " "}]},
                 "x-kubernetes-validations[0].rule: Required value: rule is not specified", id="rule"),
    pytest.param(OBJECT | {"x-kubernetes-validations": [{"rule": "true", "fieldPath": ".b"}]},
                 'x-kubernetes-validations[0].fieldPath: Invalid value: ".b": must be a valid path', id="field-path"),
])
def test_what_a_schema_may_not_say(schema, message):
    root = {"type": "object", "properties": {"a": schema}}
    assert f"spec.validation.openAPIV3Schema.properties[a].{message}" in said(definition(version(schema=root)))


def test_a_root_with_a_status_of_its_own_says_little():
    found = said(definition(version(schema={"type": "object", "anyOf": [{}]}, subresources={"status": {}})))
    assert found[0].startswith("spec.validation.openAPIV3Schema: Invalid value: ")
    assert found[0].endswith("fields are allowed at the root of the schema if the status subresource is enabled")


def test_what_is_established_keeps_its_kind_and_scope():
    old = definition()
    changed = copy.deepcopy(old)
    changed["spec"]["names"]["kind"], changed["spec"]["scope"] = "Bar", "Cluster"
    assert said(changed, old) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert said(changed, old) == ['spec.scope: Invalid value: "Cluster": field is immutable',
                                  'spec.names.kind: Invalid value: "Bar": field is immutable']


def test_the_group_and_the_plural_never_change():
    old, new = definition(), definition()
    new["spec"]["names"]["plural"] = "bars"
    assert 'spec.names.plural: Invalid value: "bars": field is immutable' in said(new, old)


def test_what_was_not_structural_may_stay_so():
    unstructural = {"type": "object", "properties": {"spec": {}}}
    old = definition(version(schema=unstructural))
    new = copy.deepcopy(old)
    new["spec"]["versions"][0]["served"] = False
    assert said(new, old) == []


@pytest.mark.parametrize("text", ["unapproved, testing", "https://github.com/kubernetes/kubernetes/pull/78458"])
def test_community_groups_take_what_was_approved_or_says_that_it_was_not(text):
    assert said(definition(group="x.k8s.io", annotations={"api-approved.kubernetes.io": text})) == []


def ruled(schema: Any, *rules: Any) -> Any:
    return schema | {"x-kubernetes-validations": [{"rule": each} if isinstance(each, str) else each for each in rules]}


def of_rules(schema: Any, old: Any = None) -> list[str]:
    def made(inner: Any) -> Any:
        return definition(version(schema={"type": "object", "properties": {"a": inner}}))
    prefix = "spec.validation.openAPIV3Schema.properties[a]."
    return [text.removeprefix(prefix) for text in said(made(schema), old and made(old))]


RULE = "x-kubernetes-validations[0].rule: "
INTEGER = {"type": "integer"}


@pytest.mark.parametrize(("schema", "message"), [
    pytest.param(ruled(INTEGER, "self +"), f'{RULE}Invalid value: {{"Rule":"self '
                                           f'+","Message":"","MessageExpression":"",'
                 '"Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: ERROR: <input>:1:7: Syntax '
                 "error: mismatched input '<EOF>'", id="syntax"),
    pytest.param(ruled(INTEGER, "self + 1"), "cel expression must evaluate to a bool", id="no-bool"),
    pytest.param(ruled(INTEGER, "self.size() == 1"), "found no matching overload for 'size'", id="type"),
    pytest.param(ruled(INTEGER, {"rule": "self < 3", "messageExpression": "self"}),
                 "messageExpression must evaluate to a string", id="message"),
    pytest.param({"type": "array", "items": ruled(INTEGER, "self > oldSelf")},
                 'items.x-kubernetes-validations[0].rule: Invalid value: "self > oldSelf": oldSelf cannot be used on '
                 'the '
                 "uncorrelatable portion of the schema within spec.validation.openAPIV3Schema.properties[a]",
                 id="uncorrelated"),
    pytest.param(ruled(INTEGER, {"rule": "self < 3", "optionalOldSelf": True}),
                 "x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not "
                 "used "
                 "in rule", id="needless-option"),
    pytest.param(ruled({"type": "array", "items": STRING}, "self.all(x, self.all(y, x == y))"),
                 f"{RULE}Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying "
                 f"the "
                 "rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
                 id="too-dear"),
    pytest.param(ruled(INTEGER | {"default": 5}, "self < 3"), "default: Invalid value: 5: failed rule: self < 3",
                 id="default"),
])
def test_what_rules_may_not_be(schema, message):
    assert any(message in text for text in of_rules(schema)), of_rules(schema)


def test_rules_with_bounds_are_cheap_enough():
    assert of_rules(ruled({"type": "array", "maxItems": 10, "items": STRING | {"maxLength": 10}},
                          "self.all(x, self.all(y, x == y))")) == []


def test_all_rules_together_may_not_be_too_dear():
    dear = {"type": "array", "maxItems": 400, "items": STRING | {"maxLength": 20}}
    many = {"type": "object", "properties": {f"f{index}": ruled(dear, "self.all(x, self.all(y, x == y))")
                                             for index in range(80)}}
    found = of_rules(many)
    assert sum(text.endswith("contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 "
                             "schema")
               for text in found) == 4
    assert "rule cost total for entire OpenAPIv3 schema exceeds budget by factor of" in found[-1]


def test_rules_that_were_let_in_once_stay():
    dear = ruled({"type": "array", "items": STRING}, "self.all(x, self.all(y, x == y))")
    assert of_rules(dear) != []
    old = definition(version(schema={"type": "object", "properties": {"a": dear}}))
    new = copy.deepcopy(old)
    new["spec"]["versions"][0]["deprecated"] = True
    assert [text for text in said(new, old) if "estimated rule cost exceeds" in text] == []
