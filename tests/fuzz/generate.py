"""Random requests from OpenAPI v3 documents. Pure: a seeded generator is an argument.

Names, namespaces and values come from small pools, so that requests meet the objects of earlier ones. Most of a value
follows its schema; now and then a part of it is something else.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

Json = dict[str, Any]

NAMES = ("a", "b", "web", "x.example.com", "widgets.fuzz.example.com", "system:x", "default", "kubernetes",
         "cluster-admin", "10.96.0.77", "v1.apps", "node-1")
COMMON = NAMES[:3]
WEIGHTS = {"delete": 1, "get": 2}
"""How often a method is chosen, beside 3 for the others: objects are to stay for a while."""
BAD_NAMES = ("", ".", "..", "a b", "é", "A", "x" * 300, "a/b", "%00", "-", "a\nb", "'\"", "{}", "../../etc")
NAMESPACES = ("default", "fuzz", "fuzz", "kube-system", "gone")
TEXTS = ("", "a", "web", "x-1", "Bad_Name", "a.b", "..", "/x", "kubernetes.io/a", "é", "1", "true", "None", "Always",
         "Never", "In", "Exists", "NotIn", "RollingUpdate", "TCP", "50%", "http", "80", "10.0.0.1", "fd00::1", "*",
         "apps", "v1", "pods", "default", "self.x > 0", "object.spec.replicas < 5", "metadata.name=a", "app in (a,b)",
         "\u0000",
         "😀", "a" * 254, "https://127.0.0.1:1/x", "CREATE", "Fail", "Ignore", "Exact", "Equivalent",
         "SideEffects", "Namespaced", "Cluster", "string", "object", "integer", "array", "date-time", "[", "(a+)+$")
QUANTITIES = ("0", "1", "100m", "1Gi", "1.5", "-1", "12e3", "1e99", "0.0000000001", "x", "1Qi", "")
MOMENTS = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+01:00", "yesterday", "9999-12-31T23:59:59Z", "")
NUMBERS = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 80, 420, 65536, 2**31, 2**53 + 1, 2**63 - 1, 2**64, 0.5, 1e308)
ODD = (None, True, 7, 1.5, 2**70, "text", [], {}, [1], ["a"], [[]], {"a": "b"}, {"unknownField": 1}, {"": None})
ACCEPTS = ("application/json", "*/*", "application/yaml", "application/vnd.kubernetes.protobuf", "text/html", "",
           "application/json;as=Table;g=meta.k8s.io;v=v1", "application/vnd.kubernetes.protobuf,application/json",
           "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "application/json;as=Table;g=x;v=v9",
           "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", ";;q=", "application/cbor")
CONTENT_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", "",
                 "application/json; charset=utf-8", "application/cbor")
QUERIES = {
    "labelSelector": ("a=b", "a in (b,c)", "!a", "a,b", "=", "a in (", "x" * 300),
    "fieldSelector": ("metadata.name=a", "spec.nodeName=", "status.phase!=Running", "nothing=x", ",", "type=a"),
    "limit": ("0", "1", "2", "500", "-1", "x", "99999999999999999999"),
    "continue": ("", "x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0", "%%%"),
    "resourceVersion": ("0", "1", "", "x", "5", "-1", "1.0", "0x1", "1 "),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""),
    "dryRun": ("All", "Some", ""), "fieldManager": ("me", "", "é", "x" * 200), "force": ("true", "false", "x"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"), "pretty": ("true",), "propagationPolicy": (
        "Foreground", "Background", "Orphan", "x"), "gracePeriodSeconds": ("0", "-1", "x", "5"),
    "orphanDependents": ("true", "x"), "timeoutSeconds": ("1", "0", "x"), "timeout": ("1s", "x", "-1s"),
    "sendInitialEvents": ("true", "false"), "allowWatchBookmarks": ("true",), "includeObject": ("None", "Object", "x"),
}
ENDLESS = ("exec", "attach", "portforward", "proxy", "log")
"""Subresources whose requests may last; they are asked for without what would make them do so."""
DEEP = 7
BODIES = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"k8s\0\x0a\x01", b"[" * 5000, b'"x"', b"a: &a [*a]", b"{}" * 2)
POINTERS = ("/metadata/labels", "/spec", "/metadata/labels/a", "/x/-", "", "~2", "/status", "/metadata/name")
LEARNT = 20
"""Objects of one kind that are remembered."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `body` is the schema of what it takes, None where it takes nothing."""

    method: str
    path: str
    parameters: tuple[str, ...]
    content_types: tuple[str, ...] = ()
    body: Json | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A request, ready to be sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Generator:
    """Makes requests; `schemas` are the documents' components by name."""

    def __init__(self, documents: Iterable[Json], chance: Random) -> None:
        self.chance = chance
        self.schemas: dict[str, Json] = {}
        self.operations: list[Operation] = []
        self.learnt: dict[str, list[Json]] = {}
        for document in documents:
            self.schemas |= document.get("components", {}).get("schemas", {})
            self.operations += operations(document)
        self.weights = [*itertools.accumulate(WEIGHTS.get(each.method, 3) for each in self.operations)]
        self.name = NAMES[0]
        """What the request that is being made is about."""

    def learn(self, obj: Any) -> None:
        """Take an object that the server has shown as a model for others."""
        if not isinstance(obj, dict):
            return
        for each in obj.get("items") or (obj,):
            if isinstance(each, dict) and isinstance(obj.get("kind"), str) and isinstance(each.get("metadata"), dict):
                name = each.get("kind") or obj["kind"].removesuffix("List")
                known = self.learnt.setdefault(str(name), [])
                known.append(each)
                del known[:-LEARNT]

    def request(self) -> Made:
        operation = self.chance.choices(self.operations, cum_weights=self.weights)[0]
        self.name = self.chance.choice(COMMON if self.chance.random() < 0.8 else NAMES)
        headers = {"accept": self.pick(ACCEPTS, 0.85)}
        body = b""
        if operation.content_types:
            kind = self.chance.choice(operation.content_types if self.chance.random() < 0.95 else CONTENT_TYPES)
            headers["content-type"] = kind
            body = self.body(operation, kind)
        return Made(operation.method.upper(), self.target(operation), headers, body)

    def pick(self, pool: tuple[str, ...], first: float) -> str:
        """The first of a pool mostly, else any of it."""
        return pool[0] if self.chance.random() < first else self.chance.choice(pool)

    def target(self, operation: Operation) -> str:
        path = operation.path
        for name, pool in (("{namespace}", NAMESPACES), ("{name}", (self.name,)), ("{path}", ("", "x", "healthz"))):
            if name in path:
                value = self.chance.choice(pool if self.chance.random() < 0.97 else BAD_NAMES)
                path = path.replace(name, quote(value, safe=""))
        query = {name: self.chance.choice(QUERIES[name]) for name in operation.parameters
                 if name in QUERIES and self.chance.random() < 0.03}
        if self.chance.random() < 0.02:
            query[self.chance.choice((*QUERIES, "unknown"))] = self.chance.choice(TEXTS)
        if operation.method == "get" and "watch" in operation.parameters and self.chance.random() < 0.03:
            query |= {"watch": "1", "timeoutSeconds": "1"}
        return path + (f"?{urlencode(query)}" if query else "")

    def body(self, operation: Operation, content_type: str) -> bytes:
        if self.chance.random() < 0.02:
            return self.chance.choice(BODIES)
        value: Any = self.patch(operation) if "patch" in content_type else self.whole(operation.body or {})
        text = json.dumps(value).encode()
        if self.chance.random() < 0.02 and text:
            at = self.chance.randrange(len(text))
            text = text[:at] + bytes([self.chance.randrange(256)]) + text[at + 1:]
        return text

    def whole(self, schema: Json) -> Any:
        """An object for a schema: one that the server has shown, somewhat changed, or one of the generator's own."""
        schema = self.resolve(schema)
        models = [model for gvk in schema.get("x-kubernetes-group-version-kind", ())
                  for model in self.learnt.get(gvk["kind"], ())]
        if not models or self.chance.random() < 0.25:
            return self.value(schema, 0)
        model = json.loads(json.dumps(self.chance.choice(models)))
        if self.chance.random() < 0.8:
            model["metadata"] = {"name": self.name} | (
                {"labels": model["metadata"]["labels"]} if "labels" in model["metadata"] else {})
        for _ in range(self.chance.choice((0, 0, 1, 1, 2, 5))):
            self.spoil(schema, model)
        return model

    def spoil(self, schema: Json, value: Any) -> None:
        """Change one thing somewhere in a value."""
        while isinstance(value, dict) and value:
            name = self.chance.choice([*value, *schema.get("properties", ())])
            below = self.resolve(schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {})
            inner = value.get(name)
            if isinstance(inner, list) and inner and self.chance.random() < 0.8:
                schema, value = self.resolve(below.get("items", {})), self.chance.choice(inner)
                continue
            if isinstance(inner, dict) and self.chance.random() < 0.8:
                schema, value = below, inner
                continue
            if self.chance.random() < 0.2:
                value.pop(name, None)
            else:
                value[name] = self.value(below, 1)
            return

    def patch(self, operation: Operation) -> Any:
        if self.chance.random() < 0.3:
            return [{"op": self.chance.choice(("add", "replace", "remove", "test", "move", "copy", "x")),
                     "path": self.chance.choice(POINTERS),
                     "value": self.chance.choice(ODD), "from": "/metadata"} for _ in range(self.chance.randrange(3))]
        value = self.value(self.resource_of(operation), 0)
        if isinstance(value, dict) and self.chance.random() < 0.2:
            value[self.chance.choice(("$patch", "$retainKeys", "$setElementOrder/x"))] = self.chance.choice(
                ("delete", "replace", "merge", "x", ["a"], 1))
        return value

    def resource_of(self, operation: Operation) -> Json:
        """What a patch is about: the body of the PUT beside it."""
        return next((each.body for each in self.operations
                     if each.path == operation.path and each.method == "put" and each.body), {})

    def value(self, schema: Json, depth: int) -> Any:
        """A value of a schema, or now and then something else."""
        if depth and self.chance.random() < 0.02:
            return self.chance.choice(ODD)
        schema = self.resolve(schema)
        if "default" in schema and self.chance.random() < 0.3:
            return schema["default"]
        if schema.get("enum") and self.chance.random() < 0.9:
            return self.chance.choice(schema["enum"])
        match schema.get("type"), schema.get("format"):
            case "string", "date-time":
                return self.pick(MOMENTS, 0.6)
            case "string", "byte":
                return self.chance.choice(("", "YQ==", "x", "YWJj"))
            case "string", _:
                return self.chance.choice(QUANTITIES if self.chance.random() < 0.2 else TEXTS)
            case "boolean", _:
                return self.chance.random() < 0.5
            case ("integer" | "number"), _:
                return self.chance.choice(NUMBERS)
            case "array", _:
                size = self.chance.choice((0, 1, 1, 2)) if depth < DEEP else 0
                return [self.value(schema.get("items", {}), depth + 1) for _ in range(size)]
        return self.object(schema, depth)

    def resolve(self, schema: Json) -> Json:
        for one in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
            if "$ref" in one:
                schema = one
                break
        while "$ref" in schema:
            schema = self.schemas.get(schema["$ref"].rpartition("/")[2], {})
        return schema

    def object(self, schema: Json, depth: int) -> Any:
        properties = schema.get("properties")
        if properties is None:
            if schema.get("type") != "object":
                return self.chance.choice((*TEXTS, *QUANTITIES, 1, 80))
            below = schema.get("additionalProperties") or {}
            return {self.chance.choice(TEXTS): self.value(below, depth + 1) for _ in range(self.chance.randrange(2))}
        names = [*schema.get("required", ())] if self.chance.random() < 0.95 else []
        names += [name for name in ("metadata", "spec", "template") if name in properties]
        if depth < DEEP:
            names += self.chance.sample(sorted(properties), min(len(properties), self.chance.choice((0, 1, 2, 3, 5))))
        made = {name: self.value(properties.get(name, {}), depth + 1) for name in dict.fromkeys(names)}
        if depth == 0:
            self.identify(schema, made)
        return made

    def identify(self, schema: Json, made: Json) -> None:
        """Have the object be of its kind and bear a name from the pool, mostly."""
        for gvk in schema.get("x-kubernetes-group-version-kind", ())[:1]:
            if self.chance.random() < 0.95:
                made["kind"], made["apiVersion"] = gvk["kind"], "/".join(filter(None, (gvk["group"], gvk["version"])))
        if isinstance(made.get("metadata"), dict) and self.chance.random() < 0.95:
            kept = made["metadata"] if self.chance.random() < 0.3 else {}
            made["metadata"] = {key: kept[key] for key in kept if key in ("labels", "annotations", "finalizers")} | {
                "name": self.name}


def operations(document: Json) -> Iterable[Operation]:
    for path, item in document.get("paths", {}).items():
        shared = [each["name"] for each in item.get("parameters", ())]
        for method, about in item.items():
            if method not in ("get", "put", "post", "patch", "delete", "head", "options"):
                continue
            if path.rstrip("/").rpartition("/")[2] in ENDLESS and method == "get":
                continue
            content = about.get("requestBody", {}).get("content", {})
            body = next((each.get("schema") for each in content.values()), None)
            names = (*shared, *(each["name"] for each in about.get("parameters", ())))
            types = tuple(content) or (("application/json",) if method in ("put", "post", "delete") else ())
            yield Operation(method, path, names, tuple("application/json" if each == "*/*" else each for each in types),
                            body)
