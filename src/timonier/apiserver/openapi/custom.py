"""Definitions of custom kinds, in the forms that OpenAPI v2 and v3 give them.

v3 says what the schema says. v2 knows less, and kubectl less still: what it would take for a prohibition is left out.
Source: Kubernetes documentation, "Publish Validation Schema in OpenAPI".
"""

from __future__ import annotations

from collections.abc import Callable

from timonier.api.kinds import Kind
from timonier.api.structural.nodes import (
    EMBEDDED,
    INT_OR_STRING,
    PRESERVE,
    Schema,
    additional,
    items,
    properties,
)
from timonier.api.structural.structure import INT_OR_STRING_JUNCTION, unsupported, violations

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META, LIST_META = META + "ObjectMeta", META + "ListMeta"
API_VERSION = ("APIVersion defines the versioned schema of this representation of an object. Servers should convert "
               "recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
               "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources")
KIND = ("Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
        "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds")
METADATA = ("Standard object's metadata. More info: "
            "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata")
LIST_METADATA = ("Standard list metadata. More info: "
                 "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds")
JUNCTORS = ("allOf", "anyOf", "oneOf", "not")


def schemas(kind: Kind, root: str, *, v2: bool) -> dict[str, Schema]:
    """The definitions of a kind and of its lists, by name; references begin with `root`."""
    assert kind.custom is not None
    own = published(kind.custom.own, root, v2=v2, preserves=kind.custom.preserves)
    own |= identity(kind, kind.kind) | selectable(kind)
    element = reference(root + kind.definition, "", v2=v2)
    listed: Schema = {"description": f"{kind.list_kind} is a list of {kind.kind}", "type": "object",
                      "required": ["items"], "properties": {
        "apiVersion": {"description": API_VERSION, "type": "string"},
        "items": {"description": f"List of {kind.plural}. More info: https://git.k8s.io/community/contributors/devel/"
                                 "sig-architecture/api-conventions.md", "type": "array", "items": element},
        "kind": {"description": KIND, "type": "string"},
        "metadata": reference(root + LIST_META, LIST_METADATA, v2=v2)}}
    return {kind.definition: own, kind.list_definition: listed | identity(kind, kind.list_kind) | selectable(kind)}


def identity(kind: Kind, name: str) -> Schema:
    return {"x-kubernetes-group-version-kind": [{"group": kind.group, "kind": name, "version": kind.version}]}


def selectable(kind: Kind) -> Schema:
    fields = kind.custom.selectable if kind.custom is not None else ()
    return {"x-kubernetes-selectable-fields": [{"fieldPath": field} for field in fields]} if fields else {}


def reference(target: str, text: str, *, v2: bool) -> Schema:
    found: Schema = {"$ref": target}
    if not text:
        return found
    return {"description": text} | (found if v2 else {"allOf": [found]})


def published(own: Schema, root: str, *, v2: bool, preserves: bool) -> Schema:
    """A kind's schema with the fields that every resource has; an object of which nothing is known, where nothing
    more can be said without forbidding too much.
    """
    if (v2 and (preserves or own.get(PRESERVE))) or unsupported(own) or violations(own):
        return {"type": "object"}
    made = embedded(for_v2(own) if v2 else unfolded(own), root, v2=v2)
    return made | {"properties": properties(made) | of_every(root, v2=v2)}


def of_every(root: str, *, v2: bool) -> dict[str, Schema]:
    return {"apiVersion": {"description": API_VERSION, "type": "string"},
            "kind": {"description": KIND, "type": "string"},
            "metadata": reference(root + OBJECT_META, METADATA, v2=v2)}


def each(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with every schema within it, junctors aside, put through a change."""
    made = dict(schema)
    if "properties" in schema:
        made["properties"] = {name: change(child) for name, child in properties(schema).items()}
    for field, inner in (("items", items(schema)), ("additionalProperties", additional(schema))):
        if inner is not None:
            made[field] = change(inner)
    return made


def unfolded(schema: Schema) -> Schema:
    """The schema with the types that int-or-string stands for."""
    made = each(schema, unfolded)
    all_of = schema.get("allOf") or [{}]
    if schema.get(INT_OR_STRING) and INT_OR_STRING_JUNCTION not in (schema.get("anyOf"), all_of[0].get("anyOf")):
        if "anyOf" in schema:
            made["allOf"] = [{"anyOf": INT_OR_STRING_JUNCTION}, *(schema.get("allOf") or ())]
        else:
            made["anyOf"] = INT_OR_STRING_JUNCTION
    return made


def for_v2(schema: Schema) -> Schema:
    """The part of a schema that v2 can say and kubectl does not misread."""
    made = each(schema, for_v2)
    for field in (*JUNCTORS, "nullable", "default"):
        made.pop(field, None)
    if schema.get("nullable"):
        drop(made, "type", "items", "properties")
    if schema.get(PRESERVE):
        drop(made, "items", "properties")
        if made.get("type") == "object":
            drop(made, "type")
    if made.get("type") == "array" and "items" not in made:
        drop(made, "type")
    nullable = {name for name, child in properties(schema).items() if child.get("nullable")}
    values = additional(schema)
    if "required" in made:
        kept = [] if values is not None and values.get("nullable") else [
            name for name in made["required"] if name not in nullable]
        made["required"] = kept
        if not kept:
            drop(made, "required")
    return made


def drop(schema: Schema, *fields: str) -> None:
    for field in fields:
        schema.pop(field, None)


def embedded(schema: Schema, root: str, *, v2: bool) -> Schema:
    """The schema with the fields of every resource in the resources that it embeds."""
    made = each(schema, lambda child: embedded(child, root, v2=v2))
    if schema.get(EMBEDDED) and not (v2 and schema.get(PRESERVE)):
        made["properties"] = properties(made) | of_every(root, v2=v2)
        made["required"] = list(dict.fromkeys([*(schema.get("required") or ()), "kind", "apiVersion"]))
    return made
