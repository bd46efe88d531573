"""Whether a schema may stand in a definition: beyond being structural, what it may say, and whether its defaults hold.

The messages are upstream's, and so is their order: what a node may not say comes before what its children may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from timonier.api.patches.clone import clone
from timonier.api.structural import embedded, fieldpaths, prune, values
from timonier.api.structural.nodes import (
    EMBEDDED,
    LIST_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    META,
    PRESERVE,
    RULES,
    Schema,
    additional,
    at,
    items,
    properties,
)
from timonier.api.structural.structure import UNSUPPORTED
from timonier.api.validation.causes import Causes

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES, MAP_TYPES = ("atomic", "set", "map"), ("atomic", "granular")
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
UNIQUE = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
ATOMIC = f"must be atomic as item of a list with {LIST_TYPE}=set"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a schema one is, and what holds there because of what is around it."""

    path: str
    root: bool = True
    no_defaults: str = ""
    """Why there may be no default."""
    in_metadata: bool = False
    uncorrelated: str = ""
    """The path of the outermost node whose values have no counterparts in an older object."""
    in_junctor: bool = False
    cardinality: int | None = 1
    """How often its value can occur in one object; None where there is no bound."""

    def below(self, step: str, **changes: Any) -> Place:
        return replace(self, path=at(self.path, step), root=False, **changes)


RuleCheck = Callable[[Schema, Place], Causes]
"""What is wrong with the rules of a node that is sound."""


def defects(schema: Schema, path: str, check_rules: RuleCheck | None = None) -> Causes:
    """Everything that a schema says and may not. Rules are looked at where all within their node is sound."""
    said, of_rules = walk(schema, Place(path), check_rules)
    said += of_rules
    return said


def walk(schema: Schema, place: Place, check_rules: RuleCheck | None) -> tuple[Causes, Causes]:
    """What is wrong with a node and all within it, and with their rules."""
    causes, of_rules = Causes(), Causes()
    sayings(schema, place, causes)
    for child, there in children(schema, place):
        found, found_of_rules = walk(child, there, check_rules)
        causes += found
        of_rules += found_of_rules
    if schema.get(PRESERVE) is False:
        causes.invalid(at(place.path, PRESERVE), False, "must be true or undefined")
    maps(schema, place.path, causes)
    lists(schema, place.path, causes)
    rules(schema, place.path, causes)
    if not causes and check_rules and schema.get(RULES) and not place.in_junctor:
        of_rules += check_rules(schema, place)
    return causes, of_rules


def children(schema: Schema, place: Place) -> Iterator[tuple[Schema, Place]]:
    times = multiplied(place.cardinality, schema)
    if (inner := additional(schema)) is not None:
        why = "inside additionalProperties applying to object metadata" if place.in_metadata else place.no_defaults
        yield inner, place.below("additionalProperties", no_defaults=why, cardinality=times)
    for name, child in properties(schema).items():
        meta = (place.root or bool(schema.get(EMBEDDED))) and name in META
        yield child, place.below(
            f"properties[{name}]", cardinality=times, in_metadata=place.in_metadata or meta,
            no_defaults=f"in top-level {name}" if meta and place.root else place.no_defaults)
    if isinstance(schema.get("not"), dict):
        yield schema["not"], place.below("not", in_junctor=True)
    for junctor in ("allOf", "oneOf", "anyOf"):
        for index, child in enumerate(schema.get(junctor) or ()):
            yield child, place.below(f"{junctor}[{index}]", in_junctor=True)
    for name, child in (schema.get("definitions") or {}).items():
        yield child, place.below(f"definitions[{name}]", in_junctor=True)
    uncorrelated = place.uncorrelated or ("" if schema.get(LIST_TYPE) == "map" else place.path)
    if (element := items(schema)) is not None:
        yield element, place.below("items", uncorrelated=uncorrelated, cardinality=times)
    elif isinstance(schema.get("items"), list):
        for index, child in enumerate(schema["items"]):
            yield child, place.below(f"items[{index}]", uncorrelated=uncorrelated)
    for name, dependency in (schema.get("dependencies") or {}).items():
        if isinstance(dependency, dict):
            yield dependency, place.below(f"dependencies[{name}]", in_junctor=True)


def multiplied(times: int | None, schema: Schema) -> int | None:
    """How often what is within a value can occur, where the value itself can so often."""
    if times is None:
        return None
    match schema.get("type"):
        case "object" if "additionalProperties" in schema:
            most = schema.get("maxProperties")
        case "array":
            most = schema.get("maxItems")
        case _:
            most = 1
    return None if most is None else times * max(most, 0)


def sayings(schema: Schema, place: Place, causes: Causes) -> None:
    """What no node, or no node in this place, may say."""
    path, kind = place.path, schema.get("type", "")
    if kind and kind not in TYPES:
        causes.unsupported(at(path, "type"), kind, TYPES)
    if schema.get("default") is not None and place.no_defaults:
        causes.forbidden(at(path, "default"), f"must not be set {place.no_defaults}")
    for field in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        assert field in UNSUPPORTED
        if schema.get(field) is not None and (schema[field] or field in ("additionalItems", "dependencies", "$ref")):
            causes.forbidden(at(path, field), f"{field} is not supported")
    if kind == "null":
        causes.forbidden(at(path, "type"), "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        causes.forbidden(at(path, "items"), "items must be a schema object and not an array")
    if place.in_metadata and schema.get(EMBEDDED):
        causes.forbidden(at(path, EMBEDDED), "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        causes.forbidden(at(path, "uniqueItems"), UNIQUE)
    if properties(schema) and schema.get("additionalProperties") not in (None, True):
        causes.forbidden(at(path, "additionalProperties"), "additionalProperties and properties are mutual exclusive")


def demanded_type(schema: Schema, path: str, wanted: str, because: str, causes: Causes) -> None:
    kind, detail = schema.get("type", ""), f"must be {wanted} if {because} is specified"
    if not kind:
        causes.required(at(path, "type"), detail)
    elif kind != wanted:
        causes.invalid(at(path, "type"), kind, detail)


def maps(schema: Schema, path: str, causes: Causes) -> None:
    if MAP_TYPE in schema:
        demanded_type(schema, path, "object", MAP_TYPE, causes)
        if schema[MAP_TYPE] not in MAP_TYPES:
            causes.unsupported(at(path, MAP_TYPE), schema[MAP_TYPE], MAP_TYPES)


def lists(schema: Schema, path: str, causes: Causes) -> None:
    kind, keys = schema.get(LIST_TYPE), schema.get(LIST_KEYS) or []
    if kind is not None:
        if schema.get("type") != "array":
            demanded_type(schema, path, "array", LIST_TYPE, causes)
        elif kind == "set":
            atomic_elements(items(schema) or {}, at(path, "items"), causes)
        if kind not in LIST_TYPES:
            causes.unsupported(at(path, LIST_TYPE), kind, LIST_TYPES)
    if keys and kind is None:
        causes.required(at(path, LIST_TYPE), f"must be map if {LIST_KEYS} is non-empty")
    elif keys and kind != "map":
        causes.invalid(at(path, LIST_TYPE), kind, f"must be map if {LIST_KEYS} is non-empty")
    if kind == "map":
        map_elements(schema, keys, path, causes)
    if kind in ("set", "map") and (element := items(schema)) is not None:
        never_null(element, kind, keys, at(path, "items"), causes)


def atomic_elements(element: Schema, path: str, causes: Causes) -> None:
    """The elements of a set are compared as a whole."""
    match element.get("type"):
        case "array" if element.get(LIST_TYPE, "atomic") != "atomic":
            causes.invalid(at(path, LIST_TYPE), element[LIST_TYPE], ATOMIC)
        case "object" if element.get(MAP_TYPE) != "atomic":
            causes.invalid(at(path, MAP_TYPE), element.get(LIST_TYPE), ATOMIC)


def map_elements(schema: Schema, keys: list[str], path: str, causes: Causes) -> None:
    """The elements of a map are objects that are known by some of their fields."""
    element, place = items(schema), at(path, "items")
    if not keys:
        causes.required(at(path, LIST_KEYS), f"must not be empty if {LIST_TYPE} is map")
    if "items" not in schema:
        causes.required(place, f"must have a schema if {LIST_TYPE} is map")
    elif element is None:
        causes.invalid(place, schema["items"], f"must only have a single schema if {LIST_TYPE} is map")
    elif element.get("type") != "object":
        causes.invalid(at(place, "type"), element.get("type", ""),
                       f"must be object if parent array's {LIST_TYPE} is map")
    else:
        for index, key in enumerate(keys):
            field = properties(element).get(key)
            if field is None:
                causes.invalid(at(path, LIST_KEYS), keys, "entries must all be names of item properties")
            elif field.get("type") in ("array", "object"):
                causes.invalid(at(place, f"properties[{key}].type"), "object",
                               f"must be a scalar type if parent array's {LIST_TYPE} is map")
            if key in keys[:index]:
                causes.invalid(at(path, LIST_KEYS), keys, "must not contain duplicate entries")


def never_null(element: Schema, kind: str, keys: list[str], path: str, causes: Causes) -> None:
    if element.get("nullable"):
        causes.forbidden(at(path, "nullable"), f"cannot be nullable when {LIST_TYPE} is {kind}")
    for key in keys if kind == "map" else ():
        field = properties(element).get(key)
        if field is None:
            continue
        if key not in (element.get("required") or ()) and field.get("default") is None:
            causes.required(at(path, f"properties[{key}].default"), f"this property is in {LIST_KEYS}, so it must have "
                                                                    "a default or be a required property")
        if field.get("nullable"):
            causes.forbidden(at(path, f"properties[{key}].nullable"),
                             f"this property is in {LIST_KEYS}, so it cannot be nullable")


def rules(schema: Schema, path: str, causes: Causes) -> None:
    """The form of rules; what their expressions say is another matter."""
    for index, rule in enumerate(schema.get(RULES) or ()):
        place = at(path, f"{RULES}[{index}]")
        text, message = rule.get("rule", "").strip(), rule.get("message", "").strip()
        if not text:
            causes.required(f"{place}.rule", "rule is not specified")
        elif rule.get("message") and not message:
            causes.invalid(f"{place}.message", rule["message"], "must be non-empty if specified")
        elif broken(message):
            causes.invalid(f"{place}.message", rule["message"], "must not contain line breaks")
        elif broken(text) and not message:
            causes.required(f"{place}.message", "message must be specified if rule contains line breaks")
        if rule.get("messageExpression") and not rule["messageExpression"].strip():
            causes.required(f"{place}.messageExpression", "messageExpression must be non-empty if specified")
        if "reason" in rule and rule["reason"] not in REASONS:
            causes.unsupported(f"{place}.reason", rule["reason"], REASONS)
        if field := rule.get("fieldPath"):
            field_path(field, schema, f"{place}.fieldPath", causes)


def broken(text: str) -> bool:
    return "\n" in text or "\r" in text


def field_path(path: str, schema: Schema, place: str, causes: Causes) -> None:
    if not path.strip():
        causes.invalid(place, path, "must be non-empty if specified")
    if broken(path):
        causes.invalid(place, path, "must not contain line breaks")
    try:
        fieldpaths.resolve(path, schema)
    except fieldpaths.BadPath:
        causes.invalid(place, path, "must be a valid path")


DefaultCheck = Callable[[Schema, Any, str], Causes]
"""What the rules of a schema say against a default value at a path."""


def bad_defaults(schema: Schema, path: str, check_rules: DefaultCheck | None = None) -> Causes:
    """Defaults that could not stand in an object."""
    causes = Causes()
    if schema.get("default") is not None:
        judge_default(schema, f"{path}.default", causes, check_rules)
    if (element := items(schema)) is not None:
        causes += bad_defaults(element, f"{path}.items", check_rules)
    for name, child in properties(schema).items():
        causes += bad_defaults(child, f"{path}.properties[{name}]", check_rules)
    return causes


def judge_default(schema: Schema, path: str, causes: Causes, check_rules: DefaultCheck | None) -> None:
    value, unknown = clone(schema["default"]), list[str]()
    prune.compiled(schema | {"nullable": True}, root=bool(schema.get(EMBEDDED)))(value, None, unknown)
    if unknown:
        causes.invalid(path, schema["default"], "must not have unknown fields")
    found = Causes()
    if leads := embedded.walk(schema):
        try:
            leads(value, path, lambda resource, place: embedded.coerce(resource, place, []))
        except embedded.NoResource as error:
            causes.invalid(path, schema["default"], str(error))
            return
        leads(value, path, lambda resource, place: embedded.judge(resource, place, found))
    found = found or Causes(values.judge(values.compiled(schema), schema["default"], path=path))
    if not found and check_rules:
        found = check_rules(schema, schema["default"], path)
    causes += found
