"""OpenAPI v2 documents of other servers, merged into this one's: paths, and the definitions that they need.

Of each is taken what is about its own group and version. Shared parameters are put where they are used. Definitions
that are the same in both stand once, for the kinds of both; others of the same name get another one (`…_v2`).
Source: kube-aggregator's rules for v2.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from timonier.apiserver.openapi import protobuf
from timonier.apiserver.openapi.schemas import V2

PARAMETERS = "#/parameters/"
GVK = "x-kubernetes-group-version-kind"
Json = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What is taken of another server's document: as compressed JSON, under the ETag of the whole."""

    etag: str
    packed: bytes

    @classmethod
    def of(cls, content: bytes, root: str, etag: str) -> Part:
        """The part that is about the paths below `root`. Raises ValueError where the document makes no sense."""
        document = orjson.loads(content)
        try:
            taken = narrowed(document, f"{root}/")
            protobuf.document({"swagger": "2.0", "info": {"title": "", "version": ""}} | taken)
        except (AttributeError, KeyError, TypeError, struct.error) as error:
            raise ValueError(f"not an OpenAPI v2 document: {error!r}") from error
        return cls(etag, gzip.compress(orjson.dumps(taken), 6, mtime=0))

    def read(self) -> Json:
        found: Json = orjson.loads(gzip.decompress(self.packed))
        return found


def narrowed(document: Json, prefix: str) -> Json:
    """Paths with a prefix, and the definitions that they need. Those that nothing needed before are kept too."""
    definitions: Json = document.get("definitions") or {}
    paths = {path: with_parameters(item, document.get("parameters") or {})
             for path, item in (document.get("paths") or {}).items() if path.startswith(prefix)}
    before, now = (closure(tree, definitions) for tree in (document.get("paths") or {}, paths))
    return {"paths": paths, "definitions": {name: definition for name, definition in definitions.items()
                                            if name in now or name not in before}}


def with_parameters(tree: Any, parameters: Json) -> Any:
    """A path with shared parameters written out."""
    if isinstance(tree, list):
        return [with_parameters(each, parameters) for each in tree]
    if not isinstance(tree, dict):
        return tree
    target = tree.get("$ref")
    if isinstance(target, str) and target.startswith(PARAMETERS):
        return parameters[target.removeprefix(PARAMETERS)]
    return {key: with_parameters(value, parameters) for key, value in tree.items()}


def references(tree: Any) -> Iterator[str]:
    """The names of the definitions that something refers to."""
    if isinstance(tree, dict):
        target = tree.get("$ref")
        if isinstance(target, str) and target.startswith(V2):
            yield target.removeprefix(V2)
        tree = tree.values()
    elif not isinstance(tree, list):
        return
    for each in tree:
        yield from references(each)


def closure(tree: Any, definitions: Json) -> set[str]:
    """The names of all definitions that something needs."""
    found, rest = set[str](), [*references(tree)]
    while rest:
        name = rest.pop()
        if name not in found and name in definitions:
            found.add(name)
            rest += references(definitions[name])
    return found


def merged(whole: Json, parts: Iterable[Part]) -> Json:
    """A document with the parts of others, one after the other. What is there already stays as it is."""
    parts = list(parts)
    if not parts:
        return whole
    result = whole | {"paths": dict(whole["paths"]), "definitions": dict(whole["definitions"])}
    for part in parts:
        merge(part.read(), result)
    return result | {"paths": dict(sorted(result["paths"].items()))}


def merge(part: Json, whole: Json) -> None:
    """Add a part to a whole, of which only the tables of paths and definitions change."""
    paths = {path: item for path, item in part["paths"].items() if path not in whole["paths"]}
    if not paths:
        return
    if len(paths) < len(part["paths"]):
        needed = closure(paths, part["definitions"])
        part = part | {"definitions": {name: part["definitions"][name] for name in needed}}
    known: Json = whole["definitions"]
    names = {name: free_name(name, definition, known, part["definitions"])
             for name, definition in part["definitions"].items()}
    for name, definition in part["definitions"].items():
        there = known.get(names[name])
        known[names[name]] = renamed(definition, names) if there is None else for_both(there, definition)
    whole["paths"] |= {path: renamed(item, names) for path, item in paths.items()}


def free_name(name: str, definition: Json, known: Json, own: Json) -> str:
    """The name under which a definition stands, or can: its own, or one with a number."""
    number, candidate = 1, name
    while candidate in known and bare(known[candidate]) != bare(definition):
        number += 1
        candidate = f"{name}_v{number}"
        while candidate in own:
            number += 1
            candidate = f"{name}_v{number}"
    return candidate


def bare(definition: Mapping[str, Any]) -> Json:
    """A definition without the kinds that it is for."""
    return {key: value for key, value in definition.items() if key != GVK}


def for_both(there: Json, definition: Json) -> Json:
    """A definition for the kinds of two that are otherwise the same."""
    first, second = there.get(GVK) or [], definition.get(GVK) or []
    more = [kind for kind in second if kind not in first]
    if not more:
        return there
    kinds = sorted([*first, *more], key=lambda each: f"{each['group']}/{each['version']}.{each['kind']}")
    return there | {GVK: kinds}


def renamed(tree: Any, names: Mapping[str, str]) -> Any:
    """The same with other names of definitions in its references."""
    if isinstance(tree, list):
        return [renamed(each, names) for each in tree]
    if not isinstance(tree, dict):
        return tree
    made = {key: renamed(value, names) for key, value in tree.items()}
    target = tree.get("$ref")
    if isinstance(target, str) and target.startswith(V2):
        name = target.removeprefix(V2)
        made["$ref"] = V2 + names.get(name, name)
    return made
