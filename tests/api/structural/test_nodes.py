"""Reading schemas."""

from __future__ import annotations

from timonier.api.structural.nodes import Lazily, every, mentions

SCHEMA = {"type": "object", "properties": {
    "a": {"type": "array", "items": {"type": "string", "enum": ["x-kubernetes-list-type"]}},
    "b": {"anyOf": [{"type": "integer"}, {"not": {"type": "string"}}]}},
    "additionalProperties": {"type": "boolean"}}


def test_every_schema_is_seen_in_the_order_of_the_document():
    assert [node.get("type") for node in every(SCHEMA)] == [
        "object", "array", "string", None, "integer", None, "string", "boolean"]


def test_words_are_keys():
    assert mentions(SCHEMA, "anyOf")
    assert not mentions(SCHEMA, "x-kubernetes-list-type")


def test_what_is_not_asked_for_is_not_made():
    made = Lazily(SCHEMA["properties"], lambda schema: [*schema])
    assert not made
    assert made["a"] == ["type", "items"]
    assert made["a"] is made["a"]
    assert made["c"] is None
    assert [*made] == ["a"]
