"""What an expression made, put into an object: an apply configuration merged, or the operations of a JSON patch done.
Pure.

An apply configuration sets what it names and leaves everything else alone; it may not name lists, maps and objects that
are owned as a whole, since it would take away what it does not repeat. Nobody comes to own fields by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timonier.api.cel.construct import as_json, misnamed
from timonier.api.cel.values import Failure
from timonier.api.errors import ApiError
from timonier.api.kinds import Kind
from timonier.api.managed.conform import faults, sentence
from timonier.api.managed.merge import Unmergeable, merge
from timonier.api.managed.types import Type, of_object
from timonier.api.patches.json_patch import json_patch
from timonier.apiserver.request import Object


class Unpatchable(Exception):
    """A patch that cannot be put into the object; the message says why."""


def patched(patch_type: str, made: Any, row: Kind, obj: Object) -> Object:
    """An object, which is the caller's no longer, with a patch of a type. Raises Unpatchable, and ApiError."""
    if patch_type == "JSONPatch":
        return operated(made, obj)
    return applied(made, row, obj)


def operated(made: list[Any], obj: Object) -> Object:
    operations = []
    for each in made:
        check_names(each.get("value"))
        operations.append(strict(each))
    try:
        found: Object = json_patch(obj, operations)
    except ApiError as error:
        why = error.causes[0].message if error.causes else error.message
        if why.endswith("test failed"):
            return obj
        raise Unpatchable(f"JSON Patch: {why}") from None
    return found


def applied(made: Any, row: Kind, obj: Object) -> Object:
    check_names(made)
    config, kind = strict(made), of_object(row.shape.schema)
    if wrong := faults(kind, config):
        raise Unpatchable(f"error applying patch: failed to convert patch object to typed object: {sentence(wrong)}")
    if whole := list(atomics(kind, config, "")):
        raise Unpatchable("error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or "
                          f"structs: {', '.join(whole)}")
    try:
        merged: Object = merge(kind, obj, config)
    except Unmergeable as error:
        raise Unpatchable(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def check_names(made: Any) -> None:
    if wrong := list(misnamed(made)):
        raise Unpatchable("type mismatch: " + "\n".join(wrong))


def strict(made: Any) -> Any:
    try:
        return as_json(made)
    except Failure as error:
        raise Unpatchable(str(error)) from None


def atomics(kind: Type, value: Any, where: str) -> Iterator[str]:
    """The paths of what a configuration names although it is owned as a whole."""
    if isinstance(value, dict) and kind.map:
        if kind.map.atomic:
            yield where
        for key, field in value.items():
            if (below := kind.map.below(key)) is not None:
                yield from atomics(below, field, f"{where}.{key}")
    elif isinstance(value, list) and kind.list:
        if kind.list.atomic:
            yield where
        for index, element in enumerate(value):
            yield from atomics(kind.list.items, element, f"{where}[{index}]")
