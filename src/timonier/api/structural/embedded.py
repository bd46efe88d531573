"""The metadata of a custom resource and of the resources within it (x-kubernetes-embedded-resource).

`Coercion` makes them what Go would decode, `compiled` judges them. Both look into a value only where its schema says
that there can be a resource.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api import names
from timonier.api.check import META, Unreadable, check
from timonier.api.kinds import Kind
from timonier.api.structural.nodes import EMBEDDED, Schema, additional, items, properties
from timonier.api.validation.causes import Causes, shown
from timonier.api.validation.metadata import metadata

Visit = Callable[[dict[str, Any], str], None]
"""Takes a resource and the path at which it lies."""
Walk = Callable[[Any, str, Visit], None]


class NoResource(Exception):
    """What should be a resource is none; the message says where and why."""


def walk(schema: Schema) -> Walk | None:
    """What leads a visitor to every resource within a value; None where there can be none."""
    named = {name: below for name, child in properties(schema).items() if (below := walk(child))}
    inner, element = additional(schema), items(schema)
    values = walk(inner) if inner is not None else None
    each = walk(element) if element is not None else None
    here = bool(schema.get(EMBEDDED))
    if not (named or values or each or here):
        return None

    def step(value: Any, path: str, visit: Visit) -> None:
        if isinstance(value, dict):
            if here:
                visit(value, path)
            for key, child in value.items():
                if key in named:
                    named[key](child, f"{path}.{key}" if path else key, visit)
                elif values and key not in properties(schema):
                    values(child, f"{path}[{key}]", visit)
        elif isinstance(value, list) and each:
            for index, child in enumerate(value):
                each(child, f"{path}[{index}]", visit)
    return step


def decode_metadata(obj: dict[str, Any], path: str, unknown: list[str]) -> None:
    """The metadata of an object as Go decodes it, in place. Raises NoResource with Go's words."""
    if "metadata" not in obj:
        return
    if obj["metadata"] is None:
        obj["metadata"] = {}
    try:
        found = check(obj["metadata"], META + "ObjectMeta")
    except Unreadable as error:
        raise NoResource(error.why) from None
    place = f"{path}.metadata" if path else "metadata"
    unknown += [f"{place}.{text.removeprefix('unknown field ').strip(chr(34))}" for text in found.unknown]


def coerce(resource: dict[str, Any], path: str, unknown: list[str]) -> None:
    """A resource within an object as Go decodes it, in place. Raises NoResource."""
    for field in ("apiVersion", "kind"):
        if field in resource and not isinstance(resource[field], str):
            raise NoResource(f"{path}.{field}: Invalid value: {shown(resource[field])}: must be a string")
    try:
        decode_metadata(resource, path, unknown)
    except NoResource as error:
        raise NoResource(f"{path}.metadata: Invalid value: {shown(resource['metadata'])}: {error}") from None


def judge(resource: dict[str, Any], path: str, causes: Causes) -> None:
    """Whether a resource within an object could be one of its own."""
    for field in ("apiVersion", "kind"):
        value, place = resource.get(field), f"{path}.{field}"
        if field not in resource:
            causes.required(place)
        elif not isinstance(value, str):
            causes.invalid(place, value, "must be a string")
        elif not value:
            causes.invalid(place, value, "must not be empty")
        elif field == "apiVersion" and value.count("/") > 1:
            causes.invalid(place, value, f"unexpected GroupVersion string: {value}")
        elif field == "kind" and (wrong := names.dns1035(value.lower())):
            causes.invalid(place, value, "may have mixed case, but should otherwise match: " + ",".join(wrong))
    meta = resource.get("metadata")
    if isinstance(meta, dict):
        found = Causes()
        row = Kind("", "", "", "", namespaced=bool(meta.get("namespace")))
        metadata(row, {"metadata": {"name": "fakename"} | meta}, names.path_segment, found)
        for cause in found:
            causes.append(type(cause)(cause.reason, f"{path}.{cause.field}", cause.message))
