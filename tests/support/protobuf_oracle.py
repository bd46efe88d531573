"""Google's protobuf, told the table of messages, as a slow and obvious oracle for our own reading and writing."""

from __future__ import annotations

import base64
import datetime
import json
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from timonier.api.protobuf.fields import Field, fields, is_list, lines
from timonier.api.times import micro, parse, rfc3339

D = descriptor_pb2.FieldDescriptorProto
TYPES = {"string": D.TYPE_BYTES, "bytes": D.TYPE_BYTES, "bool": D.TYPE_BOOL, "int": D.TYPE_INT64,
         "double": D.TYPE_DOUBLE}
"""Text is bytes here, since our table has text whose encoding Go does not check either."""
ZEROS = {"string": "", "bytes": "", "bool": False, "int": 0, "double": 0}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
JSON = (f"{META}FieldsV1", "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON")
EITHER = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOr"


def flat(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


@cache
def pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="kubernetes.proto", package="k", syntax="proto2")
    for name in lines():
        made = file.message_type.add(name=flat(name))
        for field in fields(name):
            entry = made.field.add(name=f"f{field.number}", number=field.number,
                                   label=D.LABEL_REPEATED if field.shape in ("[]", "{}") else D.LABEL_OPTIONAL)
            if field.shape == "{}":
                pair = made.nested_type.add(name=f"F{field.number}Entry")
                pair.options.map_entry = True
                typed(pair.field.add(name="key", number=1, label=D.LABEL_OPTIONAL), "string")
                pair.field[0].type = D.TYPE_STRING
                typed(pair.field.add(name="value", number=2, label=D.LABEL_OPTIONAL), field.type)
                entry.type, entry.type_name = D.TYPE_MESSAGE, f".k.{flat(name)}.F{field.number}Entry"
            else:
                typed(entry, field.type)
    found = descriptor_pool.DescriptorPool()
    found.Add(file)
    return found


def typed(entry: Any, kind: str) -> None:
    if kind in TYPES:
        entry.type = TYPES[kind]
    else:
        entry.type, entry.type_name = D.TYPE_MESSAGE, f".k.{flat(kind)}"


@cache
def message_class(name: str) -> Any:
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"k.{flat(name)}"))


def encode(value: Any, name: str) -> bytes:
    """A JSON value as the message of that name."""
    made = message_class(name)()
    fill(made, value, name)
    return bytes(made.SerializeToString())


def decode(content: bytes, name: str) -> Any:
    """The JSON value of a message."""
    return value_of(message_class(name).FromString(content), name)


def fill(made: Any, value: Any, name: str) -> None:
    made.SetInParent()
    if name.endswith(".Quantity"):
        made.f1 = value.encode()
    elif name.endswith(".IntOrString"):
        made.f1, made.f2, made.f3 = (1, 0, value.encode()) if isinstance(value, str) else (0, value, b"")
    elif name == f"{META}Time":
        made.f1, made.f2 = int(parse(value) // 1), 0
    elif name == f"{META}MicroTime":
        microseconds = round(parse(value) * 1e6)
        made.f1, made.f2 = microseconds // 10**6, microseconds % 10**6 * 1000
    elif name in JSON:
        made.f1 = json.dumps(value).encode()
    elif name.startswith(EITHER):
        fill(made.f2 if name.endswith("Bool") else made.f1, value, EITHER.removesuffix("Or"))
        if name.endswith("Bool"):
            made.f1 = True
    elif is_list(name):
        made.f1.extend(text.encode() for text in value)
    else:
        for field in fields(name):
            if not field.name:
                fill(getattr(made, f"f{field.number}"), value, field.type)
            elif value.get(field.name) is not None:
                fill_field(made, field, value[field.name])


def fill_field(made: Any, field: Field, value: Any) -> None:
    name, scalar = f"f{field.number}", field.type in TYPES
    target = getattr(made, name)
    if field.shape == "{}":
        for key, each in value.items():
            if scalar:
                target[key] = raw(field.type, each)
            else:
                fill(target[key], each, field.type)
    elif field.shape == "[]":
        for each in value:
            if scalar:
                target.append(raw(field.type, each))
            else:
                fill(target.add(), each, field.type)
    elif scalar:
        setattr(made, name, raw(field.type, value))
    else:
        fill(target, value, field.type)


def raw(kind: str, value: Any) -> Any:
    return value.encode() if kind == "string" else base64.b64decode(value) if kind == "bytes" else value


def cooked(kind: str, value: Any) -> Any:
    return value.decode() if kind == "string" else base64.b64encode(value).decode() if kind == "bytes" else value


def value_of(made: Any, name: str) -> Any:
    if name.endswith(".Quantity"):
        return made.f1.decode()
    if name.endswith(".IntOrString"):
        return made.f3.decode() if made.f1 == 1 else made.f2
    if name == f"{META}Time":
        return rfc3339(made.f1) if made.ListFields() else None
    if name == f"{META}MicroTime":
        return micro(made.f1 + datetime.timedelta(microseconds=made.f2 // 1000).total_seconds())
    if name in JSON:
        return json.loads(made.f1) if made.f1 else None
    if name.startswith(EITHER):
        return value_of(made.f2 if name.endswith("Bool") else made.f1, EITHER.removesuffix("Or"))
    if is_list(name):
        return [text.decode() for text in made.f1]
    found: dict[str, Any] = {}
    for field in fields(name):
        if field.name:
            read_field(found, made, field)
        else:
            found |= value_of(getattr(made, f"f{field.number}"), field.type)
    return found


def read_field(found: dict[str, Any], made: Any, field: Field) -> None:
    name, scalar = f"f{field.number}", field.type in TYPES
    value = getattr(made, name)

    def one(each: Any) -> Any:
        return cooked(field.type, each) if scalar else value_of(each, field.type)

    if field.shape == "{}":
        if value:
            found[field.name] = {key: one(each) for key, each in value.items()}
    elif field.shape == "[]":
        if len(value):
            found[field.name] = [one(each) for each in value]
    elif made.HasField(name):
        plain = one(value)
        if plain is not None and (field.shape == "*" or not scalar or plain != ZEROS[field.type]):
            found[field.name] = plain
