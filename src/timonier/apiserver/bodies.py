"""Request bodies: from bytes to the object of a kind, or to the refusal that Kubernetes would give.

Media type, JSON or YAML, the right kind and version, the structure of the schema, unknown and duplicate fields as
`fieldValidation` says. Whether the values make sense is not asked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from timonier.api import check, kinds
from timonier.api.duplicates import duplicates, in_order, may_repeat
from timonier.api.errors import BadRequest, Cause, UnsupportedMediaType, invalid
from timonier.api.kinds import Kind
from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.apiserver.negotiate import JSON, YAML
from timonier.apiserver.request import Object, Request
from timonier.apiserver.templates import NO_DRAFT, Draft, Given, Late

SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
SUMMARY = 30
LONGEST_MANAGER = 128
VALIDATIONS = ("Ignore", "Warn", "Strict")
OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(types: tuple[str, ...]) -> UnsupportedMediaType:
    return UnsupportedMediaType("the body of the request was in an unknown format - accepted media types include: "
                                + ", ".join(types))


Complaints = Callable[[], list[str]]


def parse(request: Request, kind: Kind | str) -> tuple[Any, Complaints]:
    """The body as plain values, and what finds the keys that it gives twice.

    Raises UnsupportedMediaType, and BadRequest where it is not well-formed. `kind` is what it should have been.
    """
    wanted = kind if isinstance(kind, str) else kind.kind
    match media_type(request):
        case "" | "application/json":
            value = parse_json(request.body, wanted)
            return value, repeated(request.body, value)
        case "application/yaml" | "application/x-yaml" | "text/yaml":
            from timonier.apiserver import yamls

            return parse_yaml(request.body, wanted), partial(yamls.complaints, request.body)
        case media if media == PROTOBUF and not custom(kind):
            return parse_protobuf(request.body, kind), nothing
    raise unsupported((JSON, YAML) if custom(kind) else (JSON, YAML, PROTOBUF))


def repeated(text: bytes, value: Any) -> Complaints:
    """What finds the keys that a JSON text gives twice, given what it was read as."""
    return partial(duplicates, text) if may_repeat(text, value) else nothing


def nothing() -> list[str]:
    return []


def custom(kind: Kind | str) -> bool:
    return isinstance(kind, Kind) and kind.custom is not None


def parse_protobuf(body: bytes, kind: Kind | str) -> Any:
    from timonier.api.protobuf import BadProtobuf, envelope

    apiVersion, wanted = ("v1", kind) if isinstance(kind, str) else (kind.apiVersion, kind.kind)
    try:
        return envelope.decode(body, apiVersion, wanted)
    except BadProtobuf as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type {wanted}): {error} "
                         f"({summary(body)})") from None


def parse_json(body: bytes, wanted: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # orjson is stricter than Go about numbers and lone surrogates.
        return json.loads(body, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        why = go_error(body, error)
        raise BadRequest(f"the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; "
                         f"json parse error: {why} ({summary(body)})") from None


def refuse_constant(name: str) -> Any:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")


def go_error(body: bytes, error: Exception) -> str:
    """What Go's decoder would have said."""
    if isinstance(error, RecursionError):
        return "exceeded max depth"
    if not isinstance(error, json.JSONDecodeError):
        return str(error) if "invalid character" in str(error) else "invalid character in string literal"
    text, at = error.doc, error.pos
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    if at >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    shown = repr(text[at]) if text[at] != '"' else "'\"'"
    within = "after object key:value pair" if enclosing(text[:at]) == "{" else "after array element"
    for beginning, place in (("Expecting property name", "looking for beginning of object key string"),
                             ("Expecting ':'", "after object key"), ("Expecting ','", within),
                             ("Extra data", "after top-level value"), ("Invalid control", "in string literal"),
                             ("Invalid \\", "in string escape code"), ("Illegal trailing comma", "looking for "
                              "beginning of " + ("object key string" if within.startswith("after o") else "value"))):
        if error.msg.startswith(beginning):
            return f"invalid character {shown} {place}"
    return f"invalid character {shown} looking for beginning of value"


def enclosing(text: str) -> str:
    """The bracket that is open at the end of a text, strings aside."""
    opened: list[str] = []
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:\\.|[^"\\])*"', "", text)):
        if bracket in "[{":
            opened.append(bracket)
        elif opened:
            opened.pop()
    return opened[-1] if opened else ""


def parse_yaml(body: bytes, wanted: str) -> Any:
    from timonier.apiserver import yamls

    try:
        return yamls.load(body)
    except yamls.BadYaml as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; "
                         f"{error} ({summary(body)})") from None


def summary(body: bytes) -> str:
    """The beginning of a body, as Kubernetes quotes it: JSON as it is, anything else in hexadecimal."""
    if not body:
        return "<empty>"
    more = " ..." if len(body) > SUMMARY else ""
    start = body[:SUMMARY]
    return (start.decode("utf-8", "replace") if body[:1] == b"{" else start.hex()) + more


def identify(value: Any, kind: Kind, body: bytes) -> Object:
    """The value as an object that claims to be of the kind, or says nothing. Raises BadRequest."""
    if not isinstance(value, dict):
        why = f"couldn't get version/kind; json parse error: json: cannot unmarshal {check.go_value(value)} " \
              "into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; " \
              "Kind string \"json:\\\"kind,omitempty\\\"\" }"
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({summary(body)})")
    version, name = value.get("apiVersion") or kind.apiVersion, value.get("kind") or kind.kind
    if not isinstance(version, str) or not isinstance(name, str):
        field = "apiVersion" if not isinstance(version, str) else "kind"
        found = version if field == "apiVersion" else name
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json parse "
            f"error: json: cannot unmarshal {check.go_value(found)} into Go struct field .{field} of type string "
            f"({summary(body)})")
    if (version, name) != (kind.apiVersion, kind.kind):
        refuse_kind(value, version, name, kind)
    value["apiVersion"], value["kind"] = kind.apiVersion, kind.kind
    return value


def refuse_kind(value: Object, version: str, name: str, kind: Kind) -> None:
    """Raise the BadRequest for an object that belongs elsewhere; an Invalid where only a custom kind's name differs."""
    if kind.custom is not None:
        if version == kind.apiVersion:
            meta = value.get("metadata")
            raise invalid(kind.group, name, str(meta.get("name") or "") if isinstance(meta, dict) else "", [
                Cause("FieldValueInvalid", "kind", f'Invalid value: "{name}": must be {kind.kind}')])
        raise BadRequest(f"the API version in the data ({version}) does not match the expected API version "
                         f"({kind.apiVersion})")
    found, short = kinds.find(version, name), version.rpartition("/")[2]
    start = f'{name} in version "{short}" cannot be handled as a {kind.kind}: '
    if found is None:
        raise BadRequest(f'{start}no kind "{name}" is registered for version "{version}" in scheme "{SCHEME}"')
    if name == kind.kind:
        raise BadRequest(f"the API version in the data ({version}) does not match the expected API version "
                         f"({kind.apiVersion})")
    raise BadRequest(f"{start}converting ({package(found)}{found.version}.{name}) to ({package(kind)}{kind.kind}): "
                     "unknown conversion")


def package(kind: Kind) -> str:
    group = kind.group.split(".")[0] or "core"
    return f"{group}." if kind.group else ""


def field_validation(request: Request) -> str:
    """Strict, Warn or Ignore. Raises Invalid for anything else."""
    value = request.parameter("fieldValidation")
    if value and value not in VALIDATIONS:
        raise invalid("meta.k8s.io", OPTIONS.get(request.verb, "CreateOptions"), "", [
            Cause("FieldValueNotSupported", "fieldValidation",
                  f'Unsupported value: "{value}": supported values: "Ignore", "Strict", "Warn"')])
    return value or "Warn"


def dry_run(request: Request) -> bool:
    """Whether nothing is to be written. Raises Invalid for anything but `All`."""
    values = request.query.get("dryRun", [])
    wrong = [value for value in values if value != "All"]
    if wrong:
        raise invalid("meta.k8s.io", OPTIONS.get(request.verb, "DeleteOptions"), "", [
            Cause("FieldValueNotSupported", "dryRun", f'Unsupported value: "{wrong[0]}": supported values: "All"')])
    return bool(values)


def field_manager(request: Request) -> str:
    """The name under which the writer wants to manage fields; empty where it does not say. Raises Invalid."""
    name = request.parameter("fieldManager")
    causes = []
    if len(name.encode()) > LONGEST_MANAGER:
        causes.append(Cause("FieldValueTooLong", "fieldManager",
                            f"Too long: may not be more than {LONGEST_MANAGER} bytes"))
    causes += [Cause("FieldValueInvalid", "fieldManager",
                     f'Invalid value: "{name}": invalid character U+{ord(character):04X} (at position {place})')
               for place, character in enumerate(name) if not character.isprintable()]
    if causes:
        raise invalid("meta.k8s.io", OPTIONS.get(request.verb, "CreateOptions"), "", causes)
    return name


def checked(value: Object, kind: Kind, request: Request, repeated: Complaints = nothing) -> Object:
    """The object with the structure of its kind; complaints are warned of or, where Strict, refused.

    Raises Unreadable.
    """
    return judged(value, kind, request, repeated)[0]


def judged(value: Object, kind: Kind, request: Request, repeated: Complaints) -> tuple[Object, bool]:
    """The same, and whether the structure gave no reason to complain."""
    mode = field_validation(request)
    result = kind.shape.check(value)
    complaints = [*repeated(), *result.unknown] if mode != "Ignore" else []
    if len(complaints) > 1 and kind.custom is None and media_type(request) in ("", JSON):
        complaints = in_order(request.body, complaints)  # the fields of others are looked at once they are all read
    if complaints and mode == "Strict":
        raise check.strict(kind.version, kind.kind, complaints)
    for complaint in complaints:
        request.warn(complaint)
    return result.obj, not result.unknown


def decode(request: Request, kind: Kind) -> Object:
    """The body as an object of a kind. Raises what the module's other functions raise."""
    value, repeated = parse(request, kind)
    return checked(identify(value, kind, request.body), kind, request, repeated)


def decode_new(request: Request, kind: Kind, given: Late[Given]) -> tuple[Object, Draft]:
    """The body as a new object of a kind; a spec that is known is not looked at, and as `given` has it."""
    value, repeated = parse(request, kind)
    draft = Draft.of(kind, identify(value, kind, request.body), given)
    if draft.known is None:
        obj, sound = judged(value, kind, request, repeated)
        return obj, draft if sound else NO_DRAFT
    value["spec"] = {}
    obj = checked(value, kind, request, repeated)
    obj["spec"] = draft.known.spec
    return obj, draft


def decode_as(request: Request, apiVersion: str, name: str, definition: str) -> Object:
    """The body as an object that is not in the table of kinds: Scale, Binding, Eviction, DeleteOptions."""
    value, repeated = parse(request, name)
    plain = Kind(*group_version(apiVersion), name, "", definition=definition)
    return checked(identify(value, plain, request.body), plain, request, repeated)


def group_version(apiVersion: str) -> tuple[str, str]:
    group, _, version = apiVersion.rpartition("/")
    return group, version
