"""OpenAPI v2 documents of other servers: what is taken of them, and under which names it stands beside our own."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.apiserver.openapi.merge import GVK, Part, closure, merge, narrowed, references

ROOT = "/apis/a.example.com/v1"
THING, OTHER = ({GVK: [{"group": f"{letter}.example.com", "version": "v1", "kind": "Thing"}]} for letter in "ba")


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def document(paths: Any, definitions: Any = None, **more: Any) -> dict[str, Any]:
    return {"swagger": "2.0", "paths": paths, "definitions": definitions or {}} | more


def action(name: str) -> dict[str, Any]:
    return {"get": {"responses": {"200": {"description": "OK", "schema": ref(name)}}}}


def both(part: Any, whole: Any) -> Any:
    merge(part, whole)
    return whole


def test_only_what_is_about_the_version_is_taken():
    whole = document({f"{ROOT}/things": action("Thing"), "/apis/b.example.com/v1/things": action("Other")}, {
        "Thing": {"properties": {"more": ref("More")}}, "More": {}, "Other": {}, "Unused": {}})
    taken = narrowed(whole, f"{ROOT}/")
    assert taken["paths"].keys() == {f"{ROOT}/things"}
    assert taken["definitions"].keys() == {"Thing", "More", "Unused"}


def test_shared_parameters_are_put_where_they_are_used():
    pretty = {"name": "pretty", "in": "query", "type": "string"}
    whole = document({f"{ROOT}/things": {"parameters": [{"$ref": "#/parameters/pretty-x"}]}},
                     parameters={"pretty-x": pretty})
    assert narrowed(whole, f"{ROOT}/")["paths"] == {f"{ROOT}/things": {"parameters": [pretty]}}


@pytest.mark.parametrize(("ours", "theirs", "names"), [
    pytest.param({"Meta": {"type": "object"}}, {"Meta": {"type": "object"}}, {"Meta"}, id="same"),
    pytest.param({"Meta": {"type": "object"}}, {"Meta": {"type": "string"}}, {"Meta", "Meta_v2"}, id="different"),
    pytest.param({"Meta": {}, "Meta_v2": {"type": "string"}}, {"Meta": {"type": "string"}}, {"Meta", "Meta_v2"},
                 id="renamed-before"),
    pytest.param({"Meta": {}}, {"Meta": {"type": "string"}, "Meta_v2": {}}, {"Meta", "Meta_v2", "Meta_v3"},
                 id="name-taken-by-its-own"),
])
def test_definitions_of_one_name_stand_once_if_they_are_the_same(ours, theirs, names):
    whole = both(document({"/b": action("Meta")}, theirs), document({"/a": action("Meta")}, ours))
    assert whole["definitions"].keys() == names
    [name] = references(whole["paths"]["/b"])
    assert whole["definitions"][name] == theirs["Meta"]
    assert list(references(whole["paths"]["/a"])) == ["Meta"]


def test_a_definition_that_is_the_same_is_for_the_kinds_of_both():
    whole = both(document({"/b": action("Meta")}, {"Meta": OTHER}), document({}, {"Meta": THING}))
    assert [kind["group"] for kind in whole["definitions"]["Meta"][GVK]] == ["a.example.com", "b.example.com"]


def test_paths_that_are_there_stay_as_they_are():
    theirs = document({"/a": action("X"), "/b": action("Y")}, {"X": {}, "Y": {}})
    whole = both(theirs, document({"/a": action("Ours")}, {"Ours": {}}))
    assert whole["paths"] == {"/a": action("Ours"), "/b": action("Y")}
    assert whole["definitions"].keys() == {"Ours", "Y"}


names = st.sampled_from(["A", "B", "A_v2", "B_v2"])
definitions = st.dictionaries(names, st.fixed_dictionaries({"type": st.sampled_from(["object", "string"])}),
                              min_size=1)


@given(definitions, definitions)
def test_whatever_is_merged_every_reference_leads_to_what_it_led_to(ours, theirs):
    def whole(prefix: str, given: Any) -> Any:
        return document({f"/{prefix}/{name}": action(name) for name in given}, dict(given))

    result = both(whole("b", theirs), whole("a", ours))
    for prefix, given_ in (("a", ours), ("b", theirs)):
        for name, definition in given_.items():
            [found] = references(result["paths"][f"/{prefix}/{name}"])
            assert result["definitions"][found] == definition
    assert closure(result["paths"], result["definitions"]) == set(result["definitions"])


@pytest.mark.parametrize("content", [b"[", b"[]", b'{"paths": {"/apis/a.example.com/v1/x": 1}}',
                                     b'{"paths": {"/apis/a.example.com/v1/x": {"get": {"parameters": [{}]}}}}'])
def test_what_makes_no_sense_is_not_taken(content):
    with pytest.raises(ValueError, match=r".+"):
        Part.of(content, ROOT, "")


def test_a_part_is_what_was_taken():
    whole = document({f"{ROOT}/things": action("Thing"), "/version": {}}, {"Thing": {"maxLength": 3, "minimum": 0.5}})
    assert Part.of(orjson.dumps(whole), ROOT, "x").read() == narrowed(whole, f"{ROOT}/")
