"""CEL rules on objects: what they say, when they are asked, and what they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from timonier.api.structural.rules import compiled
from timonier.api.structural.shape import Custom
from timonier.api.structural.values import NEW

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def ruled(schema: Any, *rules: Any) -> Any:
    return schema | {"x-kubernetes-validations": [{"rule": each} if isinstance(each, str) else each for each in rules]}


def fields(**properties: Any) -> Any:
    return {"type": "object", "properties": properties}


def said(schema: Any, value: Any, old: Any = NEW) -> list[str]:
    node = compiled(schema, root=False)
    assert node is not None
    return [str(cause) for cause in node.judge(value, old)]


@pytest.mark.parametrize(("schema", "value", "message"), [
    pytest.param(fields(spec=ruled(fields(a=INTEGER, b=INTEGER), "self.a < self.b")), {"spec": {"a": 2, "b": 1}},
                 "spec: Invalid value: failed rule: self.a < self.b", id="object"),
    pytest.param(fields(a=ruled(STRING, {"rule": "self.startsWith('x')", "message": "begins with x"})), {"a": "y"},
                 'a: Invalid value: "y": begins with x', id="scalar-and-message"),
    pytest.param(fields(a=ruled(INTEGER, {"rule": "self < 3", "messageExpression": "'is ' + string(self)"})), {"a": 5},
                 "a: Invalid value: 5: is 5", id="message-expression"),
    pytest.param(ruled(fields(a=INTEGER), {"rule": "self.a < 3", "reason": "FieldValueForbidden", "fieldPath": ".a"}),
                 {"a": 5}, "a: Forbidden: failed rule: self.a < 3", id="reason-and-path"),
    pytest.param(fields(l={"type": "array", "items": ruled(INTEGER, "self < 3")}), {"l": [1, 5]},
                 "l[1]: Invalid value: 5: failed rule: self < 3", id="elements"),
    pytest.param(fields(m={"type": "object", "additionalProperties": ruled(INTEGER, "self < 3")}), {"m": {"k": 5}},
                 "m[k]: Invalid value: 5: failed rule: self < 3", id="values"),
    pytest.param(ruled(fields(a=INTEGER), "self.a > 0"), {},
                 '<nil>: Invalid value: "object": no such key: a evaluating rule: self.a > 0', id="failure"),
    pytest.param(fields(p=ruled({"x-kubernetes-int-or-string": True}, "self > 3")), {"p": "x"},
                 "p: Invalid value: \"\": 'no such overload': call arguments did not match a supported operator, "
                 "function or macro signature for rule: self > 3", id="overload"),
])
def test_rules_that_do_not_hold_say_so(schema, value, message):
    assert said(schema, value) == [message]


def test_transition_rules_are_asked_where_there_is_a_counterpart():
    schema = fields(a=ruled(INTEGER, "self >= oldSelf"))
    assert said(schema, {"a": 1}) == []
    assert said(schema, {"a": 1}, {}) == []
    assert said(schema, {"a": 1}, {"a": 2}) == ["a: Invalid value: 1: failed rule: self >= oldSelf"]


def test_optional_old_values_are_asked_always():
    schema = fields(a=ruled(INTEGER, {"rule": "oldSelf.hasValue() || self == 0", "optionalOldSelf": True}))
    assert said(schema, {"a": 1}) == ["a: Invalid value: 1: failed rule: oldSelf.hasValue() || self == 0"]
    assert said(schema, {"a": 1}, {"a": 2}) == []


def test_elements_belong_together_by_their_keys():
    element = fields(name=STRING, size=ruled(INTEGER, "self >= oldSelf"))
    schema = fields(l={"type": "array", "items": element, "x-kubernetes-list-type": "map",
                       "x-kubernetes-list-map-keys": ["name"]})
    old = {"l": [{"name": "a", "size": 5}, {"name": "b", "size": 1}]}
    assert said(schema, {"l": [{"name": "b", "size": 2}, {"name": "a", "size": 3}]}, old) == [
        "l[1].size: Invalid value: 3: failed rule: self >= oldSelf"]


def test_what_is_unchanged_is_not_judged_again():
    schema = fields(a=ruled(INTEGER, "self < 3"), b=ruled(STRING, "self == oldSelf"))
    assert said(schema, {"a": 5, "b": "x"}, {"a": 5, "b": "x"}) == []
    assert said(schema, {"a": 6, "b": "y"}, {"a": 5, "b": "x"}) == [
        "a: Invalid value: 6: failed rule: self < 3", 'b: Invalid value: "y": failed rule: self == oldSelf']


def test_all_rules_of_an_object_share_a_budget():
    rule = "self.all(x, self.all(y, x + y >= 0))"
    schema = fields(**{name: ruled({"type": "array", "items": INTEGER}, rule) for name in "abcdefghijklmnopqrstuvwxyz"})
    found = said(schema, {name: list(range(300)) for name in "abcdefghijklmnopqrstuvwxyz"})
    assert len(found) == 1
    assert found[0].endswith("validation failed due to running out of cost budget, no further validation rules will be "
                             "run")


def test_rules_are_not_asked_about_what_is_not_even_of_the_right_type():
    root = ruled(fields(spec=fields(a=INTEGER)), "self.spec.a < 3")
    custom = Custom("Foo", {"name": "v1", "schema": {"openAPIV3Schema": root}})
    obj = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "x", "namespace": "y"},
           "spec": {"a": "many"}}
    assert [str(cause) for cause in custom.validate(obj, None)][1:] == [
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct "
        "the "
        "existing errors to complete validation"]
    obj["spec"]["a"] = 5
    assert [str(cause) for cause in custom.validate(obj, None)] == [
        "<nil>: Invalid value: failed rule: self.spec.a < 3"]


def test_the_root_knows_its_name():
    root = ruled(fields(spec={"type": "object"}), "self.metadata.name.startsWith('a')")
    node = compiled(root)
    assert node is not None
    assert [str(each) for each in node.judge({"metadata": {"name": "b"}})] == [
        "<nil>: Invalid value: failed rule: self.metadata.name.startsWith('a')"]
