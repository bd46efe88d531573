"""Patches: RFC 7386 word by word, JSON patch, and strategic merge by its properties and by example."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.api.errors import ApiError, BadRequest, Invalid, RequestEntityTooLarge
from timonier.api.patches import json_patch, merge_patch, strategic_merge

POD, DEPLOYMENT, SERVICE = "io.k8s.api.core.v1.Pod", "io.k8s.api.apps.v1.Deployment", "io.k8s.api.core.v1.Service"
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"]))
VALUES = st.recursive(LEAVES, lambda below: st.one_of(st.lists(below, max_size=3),
                                                      st.dictionaries(st.sampled_from("abc"), below, max_size=3)))
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def rfc_7386(target: Any, patch: Any) -> Any:
    """The pseudo-code of section 2."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = rfc_7386(target.get(name), value)
    return target


@given(DOCUMENTS, DOCUMENTS)
def test_merge_patch_is_that_of_the_rfc(document, patch):
    before = copy.deepcopy((document, patch))
    assert merge_patch(document, patch) == rfc_7386(copy.deepcopy(document), copy.deepcopy(patch))
    assert (document, patch) == before


@pytest.mark.parametrize("patch", [[], "x", None, 3])
def test_a_merge_patch_is_an_object(patch):
    with pytest.raises(BadRequest, match="Invalid JSON Patch"):
        merge_patch({}, patch)


def test_json_patch_applies_its_operations_in_turn():
    document = {"metadata": {"labels": {"a/b": "x"}}, "list": [1, 2]}
    patched = json_patch(document, [
        {"op": "test", "path": "/metadata/labels/a~1b", "value": "x"},
        {"op": "replace", "path": "/metadata/labels/a~1b", "value": "y"},
        {"op": "add", "path": "/list/-", "value": 3}, {"op": "remove", "path": "/list/0"},
        {"op": "copy", "from": "/list/0", "path": "/first"}, {"op": "move", "from": "/list", "path": "/moved"},
        {"op": "test", "path": "/absent", "value": None},
    ])
    assert patched == {"metadata": {"labels": {"a/b": "y"}}, "moved": [2, 3], "first": 2}
    assert document == {"metadata": {"labels": {"a/b": "x"}}, "list": [1, 2]}


@pytest.mark.parametrize(("operation", "why"), [
    ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
    ({"op": "remove", "path": "/x"}, 'remove operation does not apply: doc is missing path: "/x": missing value'),
    ({"op": "add", "path": "/a/b", "value": 1},
     'add operation does not apply: doc is missing path: "/a/b": missing value'),
    ({"op": "fold", "path": "/a"}, "Unexpected kind: fold"),
    ({"op": ["x"], "path": "/a"}, "Unexpected kind: unknown"),
    ({"op": "add", "path": "", "value": 1}, "the patched document is no object"),
    ({"op": "add", "path": "/q"}, "add operation does not apply: value is missing"),
])
def test_an_operation_that_fails_is_invalid_and_says_why(operation, why):
    with pytest.raises(Invalid) as caught:
        json_patch({"a": 1}, [operation])
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.causes[0].message == why


def test_a_json_patch_is_a_list_of_bounded_length():
    with pytest.raises(BadRequest, match="cannot unmarshal object into Go value"):
        json_patch({}, {})
    with pytest.raises(RequestEntityTooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch({}, [{"op": "test", "path": "/a", "value": None}] * 10_001)


OPERATIONS = st.fixed_dictionaries({}, optional={
    "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
    "path": st.sampled_from(["", "/", "/a", "/a/0", "/a/-", "/b/c", "/a/x", "/~", "a", 3]),
    "from": st.sampled_from(["", "/a", "/b", "x", None]), "value": VALUES})


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=3))
def test_no_json_patch_gives_anything_but_a_document_or_a_refusal(document, patch):
    try:
        result = json_patch(document, patch)
    except (BadRequest, Invalid):
        return
    assert isinstance(result, dict)


def containers(*names: str, **fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name} | fields for name in names]}}


def names_in(pod: dict[str, Any]) -> list[str]:
    return [container["name"] for container in pod["spec"]["containers"]]


def test_list_elements_merge_by_their_key():
    pod = {"spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}]}, {"name": "b"}]}}
    patch = {"spec": {"containers": [{"name": "a", "image": "y", "env": [{"name": "F", "value": "2"}]}]}}
    assert strategic_merge(pod, patch, POD) == {"spec": {"containers": [
        {"name": "a", "image": "y", "env": [{"name": "F", "value": "2"}, {"name": "E", "value": "1"}]}, {"name": "b"}]}}


def test_an_added_element_comes_before_those_that_were_there():
    assert names_in(strategic_merge(containers("a", "b"), containers("c"), POD)) == ["c", "a", "b"]


def test_set_element_order_arranges_what_it_names():
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                      "containers": [{"name": "c", "image": "x"}]}}
    assert names_in(strategic_merge(containers("a", "b"), patch, POD)) == ["b", "c", "a"]


def test_set_element_order_must_name_what_the_patch_holds_in_its_order():
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "c"}]}}
    with pytest.raises(BadRequest, match="doesn't match"):
        strategic_merge(containers("a"), patch, POD)


def test_an_element_can_be_deleted():
    patch = {"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}
    assert names_in(strategic_merge(containers("a", "b"), patch, POD)) == ["b"]


def test_a_list_can_be_replaced():
    patch = {"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}
    assert names_in(strategic_merge(containers("a", "b"), patch, POD)) == ["c"]


def test_a_map_can_be_replaced_and_emptied():
    labels = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert strategic_merge(labels, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}, POD) == \
        {"metadata": {"labels": {"c": "3"}}}
    assert strategic_merge(labels, {"metadata": {"labels": {"$patch": "delete"}}}, POD) == {"metadata": {"labels": {}}}
    assert strategic_merge(labels, {"metadata": {"labels": {"$patch": "merge", "a": None}}}, POD) == \
        {"metadata": {"labels": {"b": "2"}}}


def test_retain_keys_drops_what_it_does_not_name():
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(document, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    with pytest.raises(BadRequest, match="Invalid patch format of retainKeys"):
        strategic_merge(document, {"spec": {"strategy": {"$retainKeys": ["x"], "type": "y"}}}, DEPLOYMENT)


def test_primitives_merge_as_a_set_and_can_be_deleted():
    document = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge(document, {"metadata": {"finalizers": ["b", "c"]}}, POD)["metadata"]["finalizers"] == \
        ["a", "b", "c"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}
    assert sorted(strategic_merge(document, patch, POD)["metadata"]["finalizers"]) == ["b", "c"]


def test_atomic_lists_and_unknown_fields_are_replaced():
    document = {"spec": {"externalIPs": ["1.1.1.1"], "unknown": [1]}}
    patch = {"spec": {"externalIPs": ["2.2.2.2"], "unknown": [2]}}
    assert strategic_merge(document, patch, SERVICE) == patch


@pytest.mark.parametrize(("patch", "why"), [
    ({"spec": {"containers": [{"image": "x"}]}}, 'map: {"image": "x"} does not contain declared merge key: name'),
    ({"spec": {"$patch": "explode"}}, 'unknown patch type "explode" in map'),
    ({"spec": {"containers": [["x"]]}}, "lists of lists are not supported"),
    ({"spec": {"containers": ["x"]}}, "list element types are not identical"),
    ({"spec": {"containers": [{"$patch": ["x"], "name": "a"}]}}, "unknown patch type"),
])
def test_a_patch_that_makes_no_sense_is_invalid_and_says_why(patch, why):
    with pytest.raises(Invalid) as caught:
        strategic_merge(containers("a"), patch, POD)
    assert why in caught.value.causes[0].message


ENV = st.lists(st.fixed_dictionaries({"name": st.sampled_from("ABCDE")}, optional={"value": st.sampled_from("12")}),
               max_size=5, unique_by=lambda each: each["name"])


def env(variables: list[dict[str, str]]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "a", "env": variables}]}}


def env_in(pod: dict[str, Any]) -> list[dict[str, str]]:
    return pod["spec"]["containers"][0]["env"]


@given(ENV, ENV)
def test_merging_lists_by_key_is_merging_maps(server, patch):
    merged = env_in(strategic_merge(env(server), env(patch), POD))
    expected = {each["name"]: dict(each) for each in server}
    for each in patch:
        expected[each["name"]] = expected.get(each["name"], {}) | each
    assert {each["name"]: each for each in merged} == expected
    assert len(merged) == len(expected)


@given(ENV, ENV)
def test_neither_side_loses_its_order(server, patch):
    merged = [each["name"] for each in env_in(strategic_merge(env(server), env(patch), POD))]
    ours = [each["name"] for each in patch]
    theirs = [each["name"] for each in server if each["name"] not in ours]
    assert [name for name in merged if name in ours] == ours
    assert [name for name in merged if name in theirs] == theirs


@given(ENV, ENV)
def test_applying_a_patch_twice_changes_nothing_more(server, patch):
    once = strategic_merge(env(server), env(patch), POD)
    assert strategic_merge(once, env(patch), POD) == once


@given(DOCUMENTS, DOCUMENTS)
def test_neither_document_nor_patch_is_changed(document, patch):
    before = copy.deepcopy((document, patch))
    try:
        result = strategic_merge(document, patch, POD)
    except ApiError:
        result = {}
    result.clear()
    assert (document, patch) == before


@pytest.mark.parametrize("apply", [
    lambda deep: merge_patch({}, deep), lambda deep: strategic_merge({}, deep, POD),
    lambda deep: json_patch(deep, [{"op": "add", "path": "/x", "value": 1}])], ids=["merge", "strategic", "json"])
def test_nesting_without_end_is_refused(apply):
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(BadRequest, match="exceeded max depth"):
        apply(deep)
