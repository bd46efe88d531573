"""Strategic merge patch: maps merge, and lists merge by key where the schema says so.

Directives: `$patch` (replace, delete, merge), `$retainKeys`, `$setElementOrder/<list>` and
`$deleteFromPrimitiveList/<list>`. An element that a patch adds comes to stand before those that were there, as in
Kubernetes, unless the patch says otherwise.
Source: Kubernetes community, "Strategic Merge Patch", "Bug fix for strategic merge patch ordering".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from timonier.api.errors import BadRequest, Cause, Invalid
from timonier.api.patches.clone import clone, shallow
from timonier.api.patches.json_patch import REJECTED
from timonier.api.schema import Schema, definition, resolve

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"
ANY: Schema = {}
"""A place of which the schema says nothing: maps merge, all else is replaced."""

Map = dict[str, Any]
List = list[Any]


@shallow
def strategic_merge(original: Map, patch: Any, name: str) -> Map:
    """The document with the patch merged in, by the definition of that name. Raises BadRequest or Invalid."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document")
    return merge_maps(clone(original), clone(patch), definition(name))


def merge_maps(original: Map, patch: Map, schema: Schema) -> Map:
    """`original` with `patch` merged into it, in place; both belong to the caller no longer."""
    match patch.pop(PATCH, "merge"):
        case "replace":
            replacement: Map = bare(patch)
            return replacement
        case "delete":
            return {}
        case "merge":
            pass
        case other:
            raise rejected(f'unknown patch type "{other}" in map: {patch}')
    retain_keys(original, patch)
    order_lists(original, patch, schema)
    for key, value in patch.items():
        if key.startswith(DELETE):
            delete_primitives(original, key.removeprefix(DELETE), value)
        elif value is None:
            original.pop(key, None)
        else:
            original[key] = merge_values(original.get(key), value, field(schema, key))
    return original


def merge_values(original: Any, patch: Any, schema: Schema) -> Any:
    strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
    if isinstance(patch, dict):
        below = original if isinstance(original, dict) and "replace" not in strategies else {}
        return merge_maps(below, patch, resolve(schema))
    if not isinstance(patch, list):
        return patch
    if "merge" not in strategies:
        return [bare(element) for element in patch]
    return merge_lists(original if isinstance(original, list) else [], patch, schema)


def merge_lists(original: List, patch: List, schema: Schema) -> List:
    key = schema.get("x-kubernetes-patch-merge-key", "")
    homogeneous(original, patch)
    if not any(isinstance(element, dict) for element in (*original, *patch)):
        merged = list(dict.fromkeys((*original, *patch)))
        return arrange(merged, patch, original, lambda element: element)
    if not key:
        return [bare(element) for element in patch]
    original, patch, replaced = apply_directives(original, patch, key)
    if replaced:
        return patch
    merged = list(original)
    for element in patch:
        value = merge_key(element, key)
        place = next((at for at, there in enumerate(merged) if there.get(key) == value), None)
        if place is None:
            merged.append(merge_maps({}, element, resolve(schema["items"])))
        else:
            merged[place] = merge_maps(merged[place], dict(element), resolve(schema["items"]))
    return arrange(merged, patch, original, lambda element: element.get(key))


def apply_directives(original: List, patch: List, key: str) -> tuple[List, List, bool]:
    """What is left of both lists once elements with `$patch` were obeyed, and whether the patch replaces the list."""
    plain, replaced = [], False
    for element in patch:
        match element.get(PATCH):
            case None:
                plain.append(element)
            case "delete":
                value = merge_key(element, key)
                original = [there for there in original if there.get(key) != value]
            case "replace":
                replaced = True
                plain += [rest] if (rest := bare({k: v for k, v in element.items() if k != PATCH})) else []
            case "merge":
                plain += [rest] if (rest := {k: v for k, v in element.items() if k != PATCH}) else []
            case other:
                raise rejected(f'unknown patch type "{other}" in map: {element}')
    return original, [bare(element) for element in plain] if replaced else plain, replaced


def arrange(merged: List, patched: Sequence[Any], original: Sequence[Any], identity: Callable[[Any], Any]) -> List:
    """Elements of the patch in its order, all others in theirs, interleaved as they stood; new ones come first."""
    order = [identity(element) for element in patched]
    server = [identity(element) for element in original]
    mine = sorted((e for e in merged if identity(e) in order), key=lambda e: order.index(identity(e)))
    others = sorted((e for e in merged if identity(e) not in order), key=lambda e: position(server, identity(e)))
    result: List = []
    while mine and others:
        first, second = identity(others[0]), identity(mine[0])
        before = first in server and second in server and server.index(first) < server.index(second)
        result.append((others if before else mine).pop(0))
    return result + mine + others


def position(order: Sequence[Any], value: Any) -> int:
    return order.index(value) if value in order else len(order)


def order_lists(original: Map, patch: Map, schema: Schema) -> None:
    """Obey every `$setElementOrder/<list>`, merging the list that it is about on the way."""
    for directive in [key for key in patch if key.startswith(ORDER)]:
        name, order = directive.removeprefix(ORDER), patch.pop(directive)
        if not isinstance(order, list):
            raise BadRequest("Invalid patch format of setElementOrder list")
        node = field(schema, name)
        key = node.get("x-kubernetes-patch-merge-key", "")
        server, mine = listed(original.get(name)), listed(patch.pop(name, None))
        if not server and not mine:
            continue

        def identity(element: Any, key: str = key) -> Any:
            return element.get(key) if isinstance(element, dict) else element

        check_order(mine, order, identity)
        merged = merge_lists(server, mine, node) if mine else server
        original[name] = arrange(merged, order, server, identity)


def check_order(mine: List, order: List, identity: Callable[[Any], Any]) -> None:
    """The elements of a patch are named in the order that it gives, and in that order."""
    named = [identity(element) for element in order]
    places = [position(named, identity(element)) for element in mine
              if not (isinstance(element, dict) and element.get(PATCH))]
    if len(named) in places or places != sorted(places):
        raise BadRequest(f"The order in patch list:\n{mine}\n doesn't match {ORDER[:-1]} list:\n{order}\n")


def retain_keys(original: Map, patch: Map) -> None:
    """Obey `$retainKeys`: what it does not name goes."""
    if RETAIN not in patch:
        return
    kept = patch.pop(RETAIN)
    if not isinstance(kept, list) or any(key not in kept for key in patch if not key.startswith("$")):
        raise BadRequest("Invalid patch format of retainKeys")
    for key in [key for key in original if key not in kept]:
        del original[key]


def delete_primitives(original: Map, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequest("Invalid patch format of primitive list")
    if name in original:
        original[name] = [element for element in listed(original[name]) if element not in values]


def bare(value: Any) -> Any:
    """A value of a patch where nothing was before: without nulls and directives."""
    if isinstance(value, list):
        return [bare(element) for element in value
                if not (isinstance(element, dict) and element.get(PATCH) == "delete")]
    if not isinstance(value, dict):
        return value
    return {key: bare(child) for key, child in value.items() if child is not None and not directive(key)}


def directive(key: str) -> bool:
    return key in (PATCH, RETAIN) or key.startswith((ORDER, DELETE))


def homogeneous(*lists: List) -> None:
    elements = [element for each in lists for element in each]
    if any(isinstance(element, list) for element in elements):
        raise rejected("lists of lists are not supported")
    if len({isinstance(element, dict) for element in elements}) > 1:
        raise rejected("list element types are not identical: map and primitive")


def merge_key(element: Map, key: str) -> Any:
    if key not in element:
        raise rejected(f"map: {json.dumps(element)} does not contain declared merge key: {key}")
    return element[key]


def listed(value: Any) -> List:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest("Invalid patch format of setElementOrder list")
    return value


def field(schema: Schema, name: str) -> Schema:
    """The schema of a field: a property, or the values of a map."""
    found: Schema = schema.get("properties", {}).get(name) or schema.get("additionalProperties", ANY)
    return found


def rejected(why: str) -> Invalid:
    return Invalid(REJECTED, causes=[Cause("UnexpectedServerResponse", "", why)])
