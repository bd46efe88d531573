"""OpenAPI documents: v3, one for each group and version, and v2, one for all.

A document is made of dictionaries when first asked for, and kept as compressed bytes for as long as the kinds that it
tells of are the same: what is built in is made once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import orjson

from timonier.api.kinds import Kind
from timonier.api.schema import Docs, Schema, read_docs
from timonier.apiserver.documents import Document
from timonier.apiserver.openapi import custom, protobuf
from timonier.apiserver.openapi.merge import Part, merged
from timonier.apiserver.openapi.operations import Operation, Parameter, operations
from timonier.apiserver.openapi.schemas import NO_DOCS, V2, V3, closure, schema

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""The name by which kubectl asks for it, which is no valid media type and so never answered with."""
INFO = {"title": "Kubernetes", "version": "v1.37.0"}
UNAUTHORIZED = {"description": "Unauthorized"}
REASONS = {200: "OK", 201: "Created", 202: "Accepted"}
Json = dict[str, Any]
Made = TypeVar("Made")


class Documents:
    """The documents of the kinds that are served. `look` is for the event loop; all else may run beside it."""

    def __init__(self) -> None:
        self.kinds: tuple[Kind, ...] = ()
        self._changes = -1
        self._kept: dict[str, tuple[Sequence[Any], Any]] = {}

    def look(self, kinds: Iterable[Kind], changes: int) -> None:
        """See which kinds there are, where the number of changes is another than the last time."""
        if changes != self._changes:
            self.kinds, self._changes = tuple(kinds), changes

    def kept(self, name: str, made_of: Sequence[Any], make: Callable[[], Made]) -> Made:
        """What was made under a name of the same, or is made now."""
        found = self._kept.get(name)
        if found is None or found[0] != made_of:
            found = self._kept[name] = made_of, make()
        made: Made = found[1]
        return made

    def group_versions(self) -> dict[str, list[Kind]]:
        """The kinds by the path of their group and version: `api/v1`, `apis/apps/v1`."""
        found: dict[str, list[Kind]] = {}
        for kind in self.kinds:
            found.setdefault(kind.path().strip("/").rpartition("/")[0], []).append(kind)
        return found

    def index(self) -> Document:
        """Where the v3 documents are. The hash in a URL stands for the content, so clients may keep it for ever."""
        def make() -> Document:
            return Document.of_json({"paths": {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.fingerprint(path, kinds)}"}
                for path, kinds in sorted(self.group_versions().items())}})
        return self.kept("index", self.kinds, make)

    def fingerprint(self, path: str, kinds: list[Kind]) -> str:
        """A hash over everything that a document is made of: schemas, kinds, and this package's code."""
        def make() -> str:
            digest = hashlib.sha512(built_in_digest() + path.encode())
            for kind in kinds:
                digest.update(repr(replace(kind, custom=None)).encode())
                if kind.custom is not None:
                    digest.update(orjson.dumps(kind.custom.version))
            return digest.hexdigest().upper()
        return self.kept(f"hash of {path}", kinds, make)

    def v3(self, path: str) -> Document | None:
        """The document of a group and version; None where there is no such."""
        kinds = self.group_versions().get(path)
        return None if kinds is None else self.kept(f"v3 {path}", kinds, lambda: v3_of(kinds))

    def v2(self, media_type: str, parts: Sequence[Part] = ()) -> Document:
        """The one document of everything, with the parts of other servers, as JSON or as protobuf."""
        kinds = self.kinds
        return self.kept(f"v2 {media_type}", (kinds, parts), lambda: v2_of(kinds, media_type, parts))


@cache
def built_in_digest() -> bytes:
    """A hash over the schema and the code of this package."""
    digest = hashlib.sha512()
    for file in ("structure.z", "docs.z"):
        digest.update((files("timonier.api.schema") / file).read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.digest()


def v3_of(kinds: Sequence[Kind]) -> Document:
    described = descriptions()
    actions = list(operations(kinds))
    schemas = {name: schema(name, described.get(name, NO_DOCS), V3) for name in needed(actions, kinds)}
    return Document.of_json({"openapi": "3.0.0", "info": INFO, "paths": grouped(actions, operation_v3),
                             "components": {"schemas": schemas | custom_schemas(kinds, V3)}})


def v2_of(kinds: Sequence[Kind], media_type: str, parts: Sequence[Part] = ()) -> Document:
    described = descriptions()
    actions = list(operations(kinds))
    document: Json = {"swagger": "2.0", "info": INFO, "paths": grouped(actions, operation_v2), "definitions": {
        name: schema(name, described.get(name, NO_DOCS), V2) for name in needed(actions, kinds)}
        | custom_schemas(kinds, V2)}
    document = merged(document, parts)
    content = protobuf.document(document) if media_type == PROTOBUF else orjson.dumps(document)
    return Document.of(content, media_type)


def custom_schemas(kinds: Sequence[Kind], root: str) -> Json:
    """The definitions of the custom kinds among some."""
    found: Json = {}
    for kind in kinds:
        if kind.custom is not None:
            found |= custom.schemas(kind, root, v2=root == V2)
    return found


def descriptions() -> dict[str, Docs]:
    """All descriptions, read for one document and let go."""
    return read_docs()


def needed(actions: Iterable[Operation], kinds: Sequence[Kind]) -> list[str]:
    names = {name for action in actions for name in (action.body, action.result) if name}
    meta = (custom.OBJECT_META, custom.LIST_META, "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")
    return closure({*names, *(kind.definition for kind in kinds), *meta})


def grouped(actions: Iterable[Operation], render: Any) -> Json:
    paths: Json = {}
    for action in actions:
        paths.setdefault(action.path, {})[action.method] = render(action)
    return dict(sorted(paths.items()))


def common(action: Operation) -> Json:
    return {"tags": [action.tag], "description": action.description, "operationId": action.id}


def extensions(action: Operation) -> Json:
    group, kind, version = action.gvk
    return {"x-kubernetes-action": action.action,
            "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": version}}


def operation_v3(action: Operation) -> Json:
    def content(types: Sequence[str], name: str) -> Json:
        body: Schema = {"$ref": V3 + name} if name else {"type": "string"}
        return {media_type: {"schema": body} for media_type in types}

    answers: Json = {str(code): {"description": REASONS[code], "content": content(action.produces, action.result)}
                     for code in action.codes}
    body = {"requestBody": {"content": content(action.consumes, action.body)}} if action.body else {}
    return common(action) | {"parameters": [parameter_v3(parameter) for parameter in action.parameters]} | body | {
        "responses": answers | {"401": UNAUTHORIZED}} | extensions(action)


def parameter_v3(parameter: Parameter) -> Json:
    made: Json = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    return made | ({"required": True} if parameter.required else {}) | {
        "schema": {"type": parameter.type, "uniqueItems": True}}


def operation_v2(action: Operation) -> Json:
    parameters: list[Json] = [parameter_v2(parameter) for parameter in action.parameters]
    if action.body:
        parameters.append({"name": "body", "in": "body", "required": action.method in ("post", "put", "patch"),
                           "schema": {"$ref": V2 + action.body}})
    body: Schema = {"$ref": V2 + action.result} if action.result else {"type": "string"}
    answers: Json = {str(code): {"description": REASONS[code], "schema": body} for code in action.codes}
    return common(action) | {
        "consumes": list(action.consumes), "produces": list(action.produces), "schemes": ["https"],
        "parameters": parameters, "responses": answers | {"401": UNAUTHORIZED}} | extensions(action)


def parameter_v2(parameter: Parameter) -> Json:
    made: Json = {"name": parameter.name, "in": parameter.place, "description": parameter.description,
                  "type": parameter.type, "uniqueItems": True}
    return made | ({"required": True} if parameter.required else {})
