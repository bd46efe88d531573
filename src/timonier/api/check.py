"""Decoding by the schema, as Go would do it: what a dict must be like to be a Pod.

The schema of each definition is compiled once into closures, since every write passes through here. They walk the dict
in the order in which it was written and change it in place: nulls go, unknown fields go and are reported, quantities
and moments become canonical. What cannot be decoded is refused in the words of Go's decoder, which clients know.

Values are not judged here; that is `api.validation`. Zero values are written out by `api.fill`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timonier.api import quantity, times
from timonier.api.errors import BadRequest
from timonier.api.schema import Schema, definition

Where = Any
"""How a value was reached: None, or (the way to its parent, field name | index | (map key,))."""
Step = Callable[[Any, Where, list[str]], Any]
"""Takes a value, how it was reached and the list of what is unknown; returns the value to put in its place, or None."""

INT32, INT64 = 2**31, 2**63
MOMENT = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII)
"""Moments that need no parsing to be known as canonical."""
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
SCALARS = {"string": str, "boolean": bool}
OFF = {
    "batch.v1.JobSpec": {"scheduling"},
    "core.v1.ClusterTrustBundleProjection": {"user"},
    "core.v1.ConfigMapVolumeSource": {"defaultUser"},
    "core.v1.DownwardAPIVolumeFile": {"user"},
    "core.v1.DownwardAPIVolumeSource": {"defaultUser"},
    "core.v1.EmptyDirVolumeSource": {"mode"},
    "core.v1.KeyToPath": {"user"},
    "core.v1.NodeSpec": {"podPreemptionPolicy"},
    "core.v1.PodCertificateProjection": {"user"},
    "core.v1.ProjectedVolumeSource": {"defaultUser"},
    "core.v1.SecretVolumeSource": {"defaultUser"},
    "core.v1.ServiceAccountTokenProjection": {"user"},
    "core.v1.VolumeMount": {"bindMountOptions"},
    "resource.v1.DeviceAttribute": {"ints", "strings", "versions"},
    "resource.v1.DeviceSubRequest": {"derivedAttributes"},
    "resource.v1.ExactDeviceRequest": {"derivedAttributes"},
}
"""Fields of alpha features, which v1.37 has off: they are known, and dropped without a word."""
ZEROS: dict[str, Any] = {"string": "", "boolean": False, "integer": 0, "number": 0}


@dataclass(frozen=True, slots=True)
class Checked:
    """An object that has the structure of its definition, and what Kubernetes's strict decoding says against it."""

    obj: dict[str, Any]
    unknown: list[str]


class Unreadable(BadRequest):
    """An object that is not of the type that it should be. `why` is the decoder's own sentence."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class Mismatch(Exception):
    """A value that its own decoder refuses; the message is that decoder's."""


class WrongType(Exception):
    """A JSON value of another kind than its place asks for. `shown` and `go` are what Go calls it and the place."""

    def __init__(self, shown: str, where: Where, go: str) -> None:
        super().__init__(shown)
        self.shown, self.where, self.go = shown, where, go


def check(obj: Any, name: str) -> Checked:
    """An object, changed in place, by the definition of that name. Raises Unreadable.

    `unknown` holds texts such as `unknown field "spec.foo"`, in the order of the document.
    """
    unknown: list[str] = []
    try:
        compiled(name)(obj, None, unknown)
    except Mismatch as mismatch:
        raise refuse(name, str(mismatch)) from None
    except WrongType as wrong:
        raise refuse(name, explain(wrong, name)) from None
    except RecursionError:
        raise refuse(name, "exceeded max depth") from None
    return Checked(obj, unknown)


def refuse(name: str, why: str) -> Unreadable:
    """The API server's answer to what is not as a definition says."""
    *_, version, kind = name.split(".")
    return unreadable(version, kind, why)


def unreadable(version: str, kind: str, why: str) -> Unreadable:
    """The API server's answer to what cannot be decoded, or, with fieldValidation=Strict, to what is unknown."""
    return Unreadable(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}', why)


def strict(version: str, kind: str, complaints: list[str]) -> Unreadable:
    """The answer where fieldValidation is Strict and there are complaints about unknown or duplicate fields."""
    return unreadable(version, kind, f"strict decoding error: {', '.join(complaints)}")


STEPS: dict[str, Step] = {}
"""Compiled definitions by name; an entry is made before its fields are, so that definitions may contain themselves."""


def compiled(name: str) -> Step:
    if name not in STEPS:
        node = definition(name)
        STEPS[name] = special(name) or (structure(name, node) if "properties" in node else build(node))
    return STEPS[name]


def special(name: str) -> Step | None:
    """Definitions with a decoder of their own, of which the schema cannot tell."""
    match name.removeprefix(META).removeprefix(EXTENSIONS):
        case "Time":
            return lambda value, where, unknown: moment(value, times.rfc3339)
        case "MicroTime":
            return lambda value, where, unknown: moment(value, times.micro)
        case "JSONSchemaPropsOrBool":
            return lambda value, where, unknown: \
                value if value.__class__ is bool else schema_props(value, where, unknown)
        case "JSONSchemaPropsOrArray":
            return lambda value, where, unknown: each(schema_props, value, where, unknown) \
                if value.__class__ is list else schema_props(value, where, unknown)
    return None


def schema_props(value: Any, where: Where, unknown: list[str]) -> Any:
    return compiled(EXTENSIONS + "JSONSchemaProps")(value, where, unknown)


def structure(name: str, node: Schema) -> Step:
    """An object with known fields. Strings and booleans, the most of all fields, are settled without a call."""
    go = go_type({"$ref": name})
    plain: dict[str, type | None] = {}
    fields: dict[str, Step] = {}
    plain_type, field_step = plain.get, fields.get

    def step(value: Any, where: Where, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise WrongType(go_value(value), where, go)
        gone: list[str] = []
        for key, child in value.items():
            if plain_type(key) is child.__class__:
                continue
            below = field_step(key)
            if below is None:
                unknown.append(f'unknown field "{field_path((where, key))}"')
                gone.append(key)
            elif child is None or (new := below(child, (where, key), unknown)) is None:
                gone.append(key)
            elif new is not child:
                value[key] = new
        for key in gone:
            del value[key]
        return value

    STEPS[name] = step
    off = OFF.get(name.removeprefix("io.k8s.api."), ())
    for field, child in node["properties"].items():
        if field in off:
            fields[field] = dropped(build(child))
            continue
        plain[field] = SCALARS.get(child.get("type", "")) if child.get("format") != "byte" else None
        fields[field] = build(child)
    return step


def dropped(step: Step) -> Step:
    """What must be of its type, and goes nevertheless."""
    def drop(value: Any, where: Where, unknown: list[str]) -> None:
        step(value, where, unknown)
    return drop


def build(node: Schema) -> Step:
    if "$ref" in node:
        return compiled(node["$ref"])
    match node.get("type"), node.get("format"):
        case "string", "quantity":
            return canonical_quantity
        case "string", "int-or-string":
            return int_or_string
        case "string", "byte":
            return encoded
        case "array", _:
            return array(node)
        case "object", _:
            return mapping(node) if "additionalProperties" in node else any_object
        case "integer", size:
            return integer(INT32 if size == "int32" else INT64, size or "int64")
        case "number", _:
            return scalar((int, float), "float64")
        case ("string" | "boolean") as kind, _:
            return scalar((SCALARS[kind],), "bool" if kind == "boolean" else kind)
    return lambda value, where, unknown: value


def scalar(classes: tuple[type, ...], go: str) -> Step:
    def step(value: Any, where: Where, unknown: list[str]) -> Any:
        if value.__class__ not in classes:
            raise WrongType(go_value(value), where, go)
        return value
    return step


def integer(limit: int, go: str) -> Step:
    def step(value: Any, where: Where, unknown: list[str]) -> Any:
        if value.__class__ is not int or not -limit <= value < limit:
            raise WrongType(go_value(value, number=True), where, go)
        return value
    return step


def array(node: Schema) -> Step:
    items, go = node["items"], go_type(node)
    below, kind = build(items), SCALARS.get(items.get("type", ""))
    zero = zero_of(items)

    def step(value: Any, where: Where, unknown: list[str]) -> Any:
        if value.__class__ is not list:
            raise WrongType(go_value(value), where, go)
        for index, child in enumerate(value):
            if child.__class__ is kind:
                continue
            if child is None:
                value[index] = zero()
            elif (new := below(child, (where, index), unknown)) is not child:
                value[index] = new
        return value
    return step


def mapping(node: Schema) -> Step:
    values, go = node["additionalProperties"], go_type(node)
    below = build(values)
    kind = SCALARS.get(values.get("type", "")) if values.get("format") != "byte" else None
    zero = zero_of(values)

    def step(value: Any, where: Where, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise WrongType(go_value(value), where, go)
        for key, child in value.items():
            if child.__class__ is kind:
                continue
            if child is None:
                value[key] = zero()
            elif (new := below(child, (where, (key,)), unknown)) is not child:
                value[key] = new
        return value
    return step


def any_object(value: Any, where: Where, unknown: list[str]) -> Any:
    if value.__class__ is not dict:
        raise WrongType(go_value(value), where, "map[string]interface {}")
    return value


def each(step: Step, values: list[Any], where: Where, unknown: list[str]) -> list[Any]:
    for index, value in enumerate(values):
        step(value, (where, index), unknown)
    return values


def zero_of(node: Schema) -> Callable[[], Any]:
    """What a null among the elements of a list or the values of a map decodes to."""
    target = definition(node["$ref"]) if "$ref" in node else node
    match target.get("type"), target.get("format"):
        case _, "quantity":
            return lambda: "0"
        case _, "int-or-string":
            return lambda: 0
        case "array", _:
            return list
        case "object", _:
            return dict
        case kind, _:
            return lambda: ZEROS.get(kind or "")


def canonical_quantity(value: Any, where: Where, unknown: list[str]) -> str:
    if value.__class__ not in (str, int, float):
        raise Mismatch(quantity.WRONG_FORM)
    try:
        return quantity.canonical(value.strip() if value.__class__ is str else repr(value))
    except quantity.BadQuantity as error:
        raise Mismatch(str(error)) from None


def int_or_string(value: Any, where: Where, unknown: list[str]) -> int | str:
    if value.__class__ is str or (value.__class__ is int and -INT32 <= value < INT32):
        return value
    raise Mismatch(f"json: cannot unmarshal {go_value(value, number=True)} into Go value of type int32")


def encoded(value: Any, where: Where, unknown: list[str]) -> str:
    """Bytes in base64: checked, and freed of the line breaks that Go ignores."""
    if value.__class__ is not str:
        raise Mismatch(f"json: cannot unmarshal {go_value(value)} into Go value of type []uint8")
    clean: str = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        base64.b64decode(clean, validate=True)
    except (binascii.Error, ValueError):
        found = re.search(r"[^A-Za-z0-9+/]", clean)
        raise Mismatch(f"illegal base64 data at input byte {found.start() if found else len(clean)}") from None
    return clean


def moment(value: Any, write: Callable[[float], str]) -> str:
    if value.__class__ is not str:
        raise Mismatch(f"json: cannot unmarshal {go_value(value)} into Go value of type string")
    if write is times.rfc3339 and MOMENT.fullmatch(value):
        return value
    try:
        return write(times.parse(value))
    except (ValueError, OverflowError) as error:
        raise Mismatch(str(error)) from None


def explain(wrong: WrongType, name: str) -> str:
    """Go's sentence: the JSON value, the field by names alone behind the struct that it is in, and its type."""
    names: list[str] = []
    where = wrong.where
    while where is not None:
        where, key = where
        if isinstance(key, str):
            names.insert(0, key)
    if not names:
        return f"json: cannot unmarshal {wrong.shown} into Go value of type {wrong.go}"
    owner = struct_of(names, name)
    return f"json: cannot unmarshal {wrong.shown} into Go struct field {owner}.{'.'.join(names)} of type {wrong.go}"


def struct_of(names: list[str], name: str) -> str:
    """The struct that holds the last of these fields, beginning at a definition."""
    for field in names[:-1]:
        node = definition(name)["properties"][field]
        while "$ref" not in node:
            node = node["items"] if "items" in node else node["additionalProperties"]
        name = node["$ref"]
    return name.rpartition(".")[2]


def field_path(where: Where) -> str:
    """`spec.containers[0].image`, as strict decoding writes it."""
    parts: list[str] = []
    while where is not None:
        where, key = where
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key if isinstance(key, str) else key[0]}")
    return "".join(reversed(parts)).removeprefix(".")


def go_value(value: Any, *, number: bool = False) -> str:
    """What Go's decoder calls a JSON value; a number of the wrong kind is shown."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return f"number {value}" if number else "number"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
    return "null"


def go_type(node: Schema) -> str:
    """The Go type of a node, near enough: named strings are `string`."""
    if "$ref" in node:
        *_, version, kind = node["$ref"].split(".")
        return f"{version}.{kind}"
    match node.get("type"):
        case "array":
            return f"[]{go_type(node['items'])}"
        case "object":
            return f"map[string]{go_type(node['additionalProperties'])}" if "additionalProperties" in node \
                else "map[string]interface {}"
        case "boolean":
            return "bool"
        case "integer" | "number":
            return str(node.get("format", "int64")).replace("double", "float64")
        case "string" if node.get("format") == "byte":
            return "[]uint8"
    return str(node.get("type", "interface {}"))
