"""Whether a schema is structural: every field is named, with its type, outside of what only judges values.

`violations` says in upstream's words what is wrong; a definition with any is refused, and one that was stored before
has the condition NonStructuralSchema. Source: Kubernetes documentation, "Specifying a structural schema".
"""

from __future__ import annotations

from collections.abc import Iterator

from timonier.api import patterns
from timonier.api.errors import Cause
from timonier.api.structural.nodes import (
    EMBEDDED,
    INT_OR_STRING,
    JUNCTORS,
    LIST_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    PRESERVE,
    RULES,
    Schema,
    additional,
    at,
    every,
    items,
    properties,
)
from timonier.api.validation.causes import Causes

ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING_JUNCTION = [{"type": "integer"}, {"type": "string"}]
"""The one junctor that may name types: it says again what x-kubernetes-int-or-string says."""
UNSUPPORTED = ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")
NOT_IN_JUNCTORS = (
    ("type", "must be empty to be structural"), ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"), ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"), (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"), (INT_OR_STRING, "must be false to be structural"),
    (LIST_KEYS, "must be empty to be structural"), (LIST_TYPE, "must be undefined to be structural"),
    (MAP_TYPE, "must be undefined to be structural"), (RULES, "must be empty to be structural"))
"""What a schema within a junctor may not say, since it only judges values."""


SUSPECT = frozenset({*UNSUPPORTED, "items", PRESERVE})


def unsupported(schema: Schema) -> str:
    """Why a schema cannot even be asked whether it is structural; empty where it can."""
    for node in every(schema):
        if SUSPECT.isdisjoint(node):
            continue
        for field in UNSUPPORTED:
            if node.get(field):
                return f"OpenAPIV3Schema '{field.removeprefix('$') if field == '$schema' else field}' is not supported"
        if isinstance(node.get("items"), list):
            return "OpenAPIV3Schema 'items' must be a schema, but is an array"
        if node.get(PRESERVE) is False:
            return f"internal error: '{PRESERVE}' must be true or undefined"
    return ""


def violations(schema: Schema, path: str = "") -> list[Cause]:
    """Everything that keeps a schema from being structural, in alphabetical order. Only for what is supported."""
    causes = Causes()
    invariants(schema, ROOT, path, causes)
    for child, place in junctors(schema, path):
        complete(child, schema, path, place, causes)
    return sorted(causes, key=str)


def invariants(schema: Schema, level: str, path: str, causes: Causes) -> None:
    """What holds of every node outside of junctors."""
    kind, inner = schema.get("type", ""), additional(schema)
    if kind == "array" and items(schema) is None:
        causes.required(at(path, "items"), "must be specified")
    if (element := items(schema)) is not None:
        invariants(element, ITEM, at(path, "items"), causes)
    for name, child in properties(schema).items():
        invariants(child, FIELD, at(path, f"properties[{name}]"), causes)
    if "additionalProperties" in schema:
        if level == ROOT:
            causes.forbidden(at(path, "additionalProperties"), "must not be used at the root")
        if inner is not None:
            invariants(inner, FIELD, at(path, "additionalProperties"), causes)
    extensions(schema, path, causes)
    values(schema, path, causes, may_name_types=True)
    types(schema, level, path, causes)
    metadata(schema, level, path, causes)
    if schema.get(EMBEDDED) and not schema.get(PRESERVE) and not properties(schema):
        causes.required(at(path, "properties"), f"must not be empty if {EMBEDDED} is true without {PRESERVE}")


def extensions(schema: Schema, path: str, causes: Causes) -> None:
    if schema.get(INT_OR_STRING):
        for other in (PRESERVE, EMBEDDED):
            if schema.get(other):
                causes.invalid(at(path, other), True, f"must be false if {INT_OR_STRING} is true")


def types(schema: Schema, level: str, path: str, causes: Causes) -> None:
    """Every node has a type, but for int-or-string and for what is not looked into."""
    kind, place = schema.get("type", ""), at(path, "type")
    if schema.get(EMBEDDED) and kind != "object":
        detail = f"must be object if {EMBEDDED} is true"
        if kind:
            causes.invalid(place, kind, detail)
        else:
            causes.required(place, detail)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        causes.required(place, f"must not be empty {level}")
    if schema.get(EMBEDDED) and "additionalProperties" in schema:
        causes.forbidden(at(path, "additionalProperties"), f"must not be used if {EMBEDDED} is set")
    if level == ROOT and kind not in ("", "object"):
        causes.invalid(place, kind, "must be object at the root")


def metadata(schema: Schema, level: str, path: str, causes: Causes) -> None:
    """What every resource has may be narrowed only a little."""
    named = properties(schema)
    if level != ROOT and not schema.get(EMBEDDED):
        return
    for name in ("kind", "apiVersion"):
        if name in named and named[name].get("type", "") != "string":
            causes.invalid(at(path, f"properties[{name}].type"), named[name].get("type", ""), "must be string")
    if "metadata" not in named:
        return
    meta, place = named["metadata"], at(path, "properties[metadata]")
    if meta.get("type", "") != "object":
        causes.invalid(f"{place}.type", meta.get("type", ""), "must be object")
    if level == ROOT:
        rest = {key for key, value in meta.items() if value not in (None, "", [], {}, False)} - {"type", "default"}
        if rest - {"properties"} or set(properties(meta)) - {"name", "generateName"}:
            causes.forbidden(place, "must not specify anything other than name and generateName, but metadata is "
                                    "implicitly specified")


def values(schema: Schema, path: str, causes: Causes, *, may_name_types: bool) -> None:
    """The junctors of a node, and its pattern."""
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if not (may_name_types and any_of == INT_OR_STRING_JUNCTION):
        for index, child in enumerate(any_of):
            nested(child, at(path, f"anyOf[{index}]"), causes)
    for index, child in enumerate(all_of):
        excused = may_name_types and index == 0 and child.get("anyOf") == INT_OR_STRING_JUNCTION
        nested(child, at(path, f"allOf[{index}]"), causes, may_name_types=excused)
    for index, child in enumerate(schema.get("oneOf") or ()):
        nested(child, at(path, f"oneOf[{index}]"), causes)
    if "not" in schema:
        nested(schema["not"], at(path, "not"), causes)
    if pattern := schema.get("pattern"):
        try:
            patterns.compiled(pattern)
        except patterns.BadPattern as error:
            causes.invalid(at(path, "pattern"), pattern, f"must be a valid regular expression, but isn't: {error}")


def nested(schema: Schema, path: str, causes: Causes, *, may_name_types: bool = False) -> None:
    """A node within a junctor."""
    values(schema, path, causes, may_name_types=may_name_types)
    if (element := items(schema)) is not None:
        nested(element, at(path, "items"), causes)
    for name, child in properties(schema).items():
        nested(child, at(path, f"properties[{name}]"), causes)
    if schema.get("additionalProperties") not in (None, False):
        causes.forbidden(at(path, "additionalProperties"), "must be undefined to be structural")
    for field, detail in NOT_IN_JUNCTORS:
        if schema.get(field) or (field == "default" and field in schema):
            causes.forbidden(at(path, field), detail)
    if "metadata" in properties(schema):
        causes.forbidden(at(path, "properties[metadata]"), "must not be specified in a nested context")


def junctors(schema: Schema, path: str) -> Iterator[tuple[Schema, str]]:
    """The schemas that a node joins, with their paths."""
    if "not" in schema:
        yield schema["not"], at(path, "not")
    for name in JUNCTORS:
        yield from ((child, at(path, f"{name}[{index}]")) for index, child in enumerate(schema.get(name) or ()))


def complete(value: Schema, schema: Schema, path: str, place: str, causes: Causes) -> None:
    """Whether all that a junctor at `place` names is named at `path`, outside of it, too."""
    for child, where in junctors(value, place):
        complete(child, schema, path, where, causes)
    if (inner := items(value)) is not None:
        within(inner, items(schema), at(path, "items"), at(place, "items"), causes)
    for name, child in properties(value).items():
        step = f"properties[{name}]"
        within(child, properties(schema).get(name), at(path, step), at(place, step), causes)


def within(value: Schema, schema: Schema | None, path: str, place: str, causes: Causes) -> None:
    if schema is None:
        causes.required(path, f"because it is defined in {place}")
    else:
        complete(value, schema, path, place, causes)
