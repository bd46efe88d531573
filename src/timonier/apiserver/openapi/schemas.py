"""Definitions in the forms that OpenAPI v2 and v3 give them, from the project's own schema and its descriptions."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.api.schema import Docs, Schema, definition, definitions
from timonier.api.schema.walk import references

V2, V3 = "#/definitions/", "#/components/schemas/"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
EITHER: dict[str, Schema] = {
    INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]}}
"""Definitions that take two types: v3 says so, v2 calls both strings."""
DEFAULTS = {("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
            ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP"}
"""Defaults of keys of list maps, without which clients cannot merge such lists."""
KEPT = ("type", "format", "required")
NO_DOCS: Docs = ["", {}, None]


def schema(name: str, docs: Docs, root: str) -> Schema:
    """A definition for the document whose references begin with `root` (V2 or V3)."""
    if root == V3 and name in EITHER:
        made = {"description": docs[0]} | EITHER[name]
    else:
        node = definition(name)
        made = convert(node, docs, root)
        if name == QUANTITY:
            made.pop("format", None)
    for (owner, field), value in DEFAULTS.items():
        if owner == name:
            made["properties"][field]["default"] = value
    return made


def convert(node: Schema, docs: Docs | None, root: str) -> Schema:
    """A node with its descriptions, in field order as OpenAPI documents of Kubernetes have them."""
    text, fields, of_items = docs or NO_DOCS
    made: Schema = {"description": text} if text else {}
    if "$ref" in node:
        reference = {"$ref": root + node["$ref"]}
        return made | ({"allOf": [reference]} if root == V3 and made else reference)
    made |= {key: node[key] for key in KEPT if key in node}
    if "properties" in node:
        made["properties"] = {name: field(name, child, fields.get(name), root)
                              for name, child in node["properties"].items()}
    if "items" in node:
        made["items"] = convert(node["items"], of_items, root)
    if "additionalProperties" in node:
        made["additionalProperties"] = convert(node["additionalProperties"], None, root)
    return made | {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}


def field(name: str, node: Schema, docs: Docs | None, root: str) -> Schema:
    made = convert(node, docs, root)
    if "enum" in node and name not in ("apiVersion", "kind"):
        made["enum"] = node["enum"]
    return made


def closure(names: Iterable[str]) -> list[str]:
    """The definitions, and all that they refer to, by name."""
    found: set[str] = set()
    ahead = [name for name in names if name in definitions()]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += references(definition(name))
    return sorted(found)
