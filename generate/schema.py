"""The compressed schema of Kubernetes v1.37, made from the definitions that `kubernetes-validate` publishes.

Two files: `structure.z` holds what checks, merges and prunes objects need; `docs.z` holds the descriptions, which only
OpenAPI and `kubectl explain` read. Each is zlib-compressed JSON: a map from definition name to schema node.
"""

from __future__ import annotations

import json
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

VERSION = "v1.37.0-local"
KUBERNETES_VALIDATE_FILE = f"kubernetes-json-schema/{VERSION}/_definitions.json"
KEPT = ("format", "required", "enum", "x-kubernetes-group-version-kind", "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-patch-strategy",
        "x-kubernetes-patch-merge-key", "x-kubernetes-unions")
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def load() -> dict[str, Schema]:
    """All definitions by full name (`io.k8s.api.core.v1.Pod`), each in the normal form of `normalise`."""
    raw = json.loads((files("kubernetes_validate") / KUBERNETES_VALIDATE_FILE).read_text())["$defs"]
    definitions = {name: normalise(node) for name, node in raw.items()}
    definitions[INT_OR_STRING] |= {"type": "string", "format": "int-or-string"}
    definitions[QUANTITY] |= {"type": "string", "format": "quantity"}
    return definitions


def normalise(node: Schema) -> Schema:
    """One type a node, references by bare definition name, no JSON Schema dressing for nulls.

    A node that refers carries `$ref` and perhaps `description`; every other node has a `type`, but for those that take
    any JSON value.
    """
    result: Schema = {key: node[key] for key in KEPT if key in node}
    if "description" in node:
        result["description"] = node["description"]
    if "$ref" in node:
        result["$ref"] = node["$ref"].removeprefix("#/$defs/")
    if "type" in node:
        kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
        result["type"] = next(kind for kind in kinds if kind != "null")
    if "properties" in node:
        # A property may itself be named `$ref` or `description` (JSONSchemaProps): only its value is a schema.
        result["properties"] = {name: normalise(child) for name, child in node["properties"].items()}
    if "items" in node:
        result["items"] = normalise(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = normalise(node["additionalProperties"])
    if "enum" in result:
        result["enum"] = [value for value in result["enum"] if value is not None]
    return result


def split_docs(node: Schema) -> tuple[Schema, Any]:
    """The node without its descriptions, and the descriptions alone: `[text, {property: docs}, items docs]`."""
    bare = {key: value for key, value in node.items() if key not in ("description", "properties", "items")}
    properties = {name: split_docs(child) for name, child in node.get("properties", {}).items()}
    if "properties" in node:
        bare["properties"] = {name: child for name, (child, _) in properties.items()}
    items = split_docs(node["items"]) if "items" in node else None
    if items:
        bare["items"] = items[0]
    docs = [node.get("description", ""), {n: d for n, (_, d) in properties.items()}, items[1] if items else None]
    return bare, docs


def write(definitions: dict[str, Schema], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: split_docs(node) for name, node in definitions.items()}
    for file, index in (("structure.z", 0), ("docs.z", 1)):
        text = json.dumps({name: part[index] for name, part in parts.items()}, separators=(",", ":"))
        (folder / file).write_bytes(zlib.compress(text.encode(), 9))
