"""The schema of Kubernetes v1.37 that the build hook left beside this file.

`structure.z` says what fields there are, `docs.z` what they are for; see `generate/schema.py` for the form of a node.
Definitions of versions of former days are made of these (`former`).
Both are read when first asked for, and the descriptions only by who asks for them.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

from timonier.api.schema.former import former, former_docs

Schema = dict[str, Any]
"""A node: `type`, `format`, `properties`, `items`, `additionalProperties`, `required`, `enum`, `x-kubernetes-…`, or
`$ref` with the bare name of a definition."""
Docs = list[Any]
"""Descriptions of a node: `[text, {property: docs}, docs of the items or None]`."""


@cache
def definitions() -> dict[str, Schema]:
    """Every definition by its full name (`io.k8s.api.core.v1.Pod`)."""
    present = read("structure.z")
    return present | former(present)


def definition(name: str) -> Schema:
    """The node of a definition. Raises KeyError where there is none of that name."""
    return definitions()[name]


def resolve(node: Schema) -> Schema:
    """The node itself, or the definition that it refers to."""
    return definitions()[node["$ref"]] if "$ref" in node else node


def read_docs() -> dict[str, Docs]:
    """The descriptions of every definition: a megabyte, for OpenAPI and `explain` alone. Read anew with each call."""
    present = read("docs.z")
    return present | former_docs(present)


all_docs = cache(read_docs)


def docs(name: str) -> Docs:
    """The descriptions of a definition. Raises KeyError where there is none of that name."""
    return all_docs()[name]


def read(file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(zlib.decompress((files(__package__) / file).read_bytes()))
    return loaded
