"""What a manifest leaves unsaid: `default(kind, obj)` writes the values that Kubernetes v1.37 would.

Defaults belong to definitions, not to kinds: a container gets its `imagePullPolicy` wherever one occurs. Those that are
plain values stand in `constants`, those that look at the object are functions in `pods`, `workloads` and `others`. An
object's own defaults come before those of what is in it.

What needs more than the object is not here: allocated addresses, names, moments, and what admission adds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from timonier.api.defaults.constants import CONSTANTS
from timonier.api.defaults.others import OTHERS
from timonier.api.defaults.pods import PODS
from timonier.api.defaults.workloads import WORKLOADS
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.api.schema import Schema, definition, definitions

Defaulter = Callable[[dict[str, Any]], None]

FUNCTIONS: dict[str, Defaulter] = PODS | WORKLOADS | OTHERS


def default(kind: Kind, obj: dict[str, Any]) -> None:
    """Write the defaults into an object of that kind, in place. It has been through `api.check`."""
    default_as(kind.definition, obj)


def default_as(name: str, obj: dict[str, Any]) -> None:
    """The same by name of the definition, for what is no kind."""
    defaulter = defaulter_of(name)
    if defaulter:
        defaulter(obj)


@cache
def defaulter_of(name: str) -> Defaulter | None:
    """What writes the defaults of a definition and of all that it holds; None where there are none."""
    if name not in having():
        return None
    own = FUNCTIONS.get(name)
    scalars = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if not isinstance(value, dict | list)]
    objects = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if isinstance(value, dict | list)]
    below = [(field, descend) for field, child in definition(name).get("properties", {}).items()
             if (descend := descender(child))]

    def defaulter(obj: dict[str, Any]) -> None:
        if own:
            own(obj)
        for field, value in scalars:
            if field not in obj:
                obj[field] = value
        for field, value in objects:
            if field not in obj:
                obj[field] = clone(value)
        for field, descend in below:
            if field in obj:
                descend(obj[field])
            elif field == "spec":
                descend(obj.setdefault(field, {}))  # never a pointer in Go: an empty one has defaults too
    return defaulter


def descender(node: Schema) -> Callable[[Any], None] | None:
    """How to reach the defaults within a field: in an object, or in the objects of a list or map."""
    if "$ref" in node:
        name = node["$ref"]
        return (lambda obj: default_as(name, obj)) if name in having() else None
    inner = node.get("items") or node.get("additionalProperties")
    below = descender(inner) if inner else None
    if not below:
        return None

    def descend(values: Any) -> None:
        for value in values if isinstance(values, list) else values.values():
            below(value)
    return descend


@cache
def having() -> frozenset[str]:
    """The definitions in which there is anything to default, directly or below."""
    found = set(FUNCTIONS) | set(CONSTANTS)
    uses = {name: set(references(node)) for name, node in definitions().items()}
    while more := {name for name, used in uses.items() if name not in found and used & found}:
        found |= more
    return frozenset(found)


def references(node: Schema) -> list[str]:
    if "$ref" in node:
        return [node["$ref"]]
    children = [*node.get("properties", {}).values(), *(node[key] for key in ("items", "additionalProperties")
                                                        if key in node)]
    return [name for child in children for name in references(child)]
