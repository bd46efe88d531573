"""What a schema says about merging: which parts of an object are owned one by one, and which only as a whole.

A schema node becomes a `Type` once. Published definitions and the structural schemas of custom resources are written in
the same words (`x-kubernetes-list-type`, `x-kubernetes-map-type`, …); what no schema describes is `DEDUCED`: maps field
by field, lists as a whole. Source: KEP-555, "Schema"; Kubernetes documentation, "Server-Side Apply", "Merge strategy".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from timonier.api.managed.elements import FIELD, keyed, valued
from timonier.api.managed.fields import FieldSet
from timonier.api.schema import Schema, definition

CORE, META, RUNTIME = "io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1.", "io.k8s.apimachinery.pkg.runtime."

KEY_DEFAULTS: dict[str, dict[str, Any]] = {
    CORE + "ContainerPort": {"protocol": "TCP"},
    CORE + "ServicePort": {"protocol": "TCP"},
    CORE + "LocalObjectReference": {"name": ""},
}
"""What keys of list items are when not given, of which the published schema does not tell. Required ones are zero."""
ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}
SCALARS = {"integer": "numeric", "number": "numeric", "boolean": "boolean"}


Whole = Callable[[Any], FieldSet]
"""Makes the node of a value, with everything in it."""


class NoKey(Exception):
    """An item of a list that cannot be told from the others; the message says why."""


@dataclass(slots=True, eq=False)
class ListOf:
    """A list. One that is not atomic is a set where it has no keys, else a map by the keys of its items."""

    items: Type
    atomic: bool = True
    keys: tuple[str, ...] = ()
    """Sorted."""
    defaults: dict[str, Any] = field(default_factory=dict)

    def element(self, item: Any) -> str:
        """The step that leads to an item. Raises NoKey."""
        names = self.keys
        if not names:
            return self.set_element(item)
        if item.__class__ is not dict:
            raise NoKey("associative list with keys may not have a null element" if item is None else
                        "associative list with keys may not have non-map elements")
        try:
            if len(names) == 1:
                return keyed(names, item[names[0]])
            return keyed(names, *[item[name] for name in names])
        except KeyError:
            return self.element_by_defaults(item)
        except TypeError:
            raise NoKey(f"keys {list(names)} must be scalars") from None

    def element_by_defaults(self, item: dict[str, Any]) -> str:
        """The step to an item that does not say all of its keys. One that has no default either is not among them."""
        names = tuple(name for name in self.keys if name in item or name in self.defaults)
        if not names:
            raise NoKey(f"associative list with keys has an element that omits all key fields {quoted(self.keys)} "
                        "(and doesn't have default values for any key fields)")
        try:
            return keyed(names, *[item[name] if name in item else self.defaults[name] for name in names])
        except TypeError:
            raise NoKey(f"keys {list(names)} must be scalars") from None

    def set_element(self, item: Any) -> str:
        if item is None:
            raise NoKey("associative list without keys has an element that's an explicit null")
        if item.__class__ is dict:
            raise NoKey("associative list without keys has an element that's a map type")
        if item.__class__ is list:
            raise NoKey("not supported: associative list with lists as elements")
        return valued(item)


def quoted(names: tuple[str, ...]) -> str:
    """Texts as Go's %q shows a list of them."""
    return "[" + " ".join(f'"{name}"' for name in names) + "]"


@dataclass(slots=True, eq=False)
class MapOf:
    """A struct (`fields`), a map (`values`), or both: the fields that are known by name and all others."""

    fields: dict[str, Type] = field(default_factory=dict)
    values: Type | None = None
    """None where there are no fields but those that are known."""
    atomic: bool = False
    steps: dict[str, tuple[str, Type]] = field(default_factory=dict)
    """The step and type of each field that is known: what walkers look up."""

    def put(self, name: str, child: Type) -> None:
        self.fields[name] = child
        self.steps[name] = (FIELD + name, child)

    def below(self, name: str) -> Type | None:
        """The type of a field."""
        return self.fields.get(name, self.values)


@dataclass(slots=True, eq=False)
class Type:
    """What a value may be: any of the three that is not None. A null takes the form of what it is held against."""

    map: MapOf | None = None
    scalar: str = ""
    """`numeric`, `string`, `boolean`, or `untyped`: any of these."""
    list: ListOf | None = None
    loose: bool = False
    """Whether truth may stand beside numbers, which Python takes for equal."""
    settled: dict[bytes, bytes] = field(default_factory=dict)
    """Sets of fields, and what they are for values of the type (`reconcile`)."""
    whole: Whole | None = None
    """What makes the node of a value that is all new, once that was asked (`whole`)."""

    @property
    def divisible(self) -> bool:
        """Whether a value can be made of parts that are owned one by one."""
        return bool((self.map and not self.map.atomic) or (self.list and not self.list.atomic))


def untyped(values: Type | None = None) -> Type:
    """Anything: lists as a whole; maps as a whole too, or field by field where `values` says what their fields are."""
    made = Type(scalar="untyped", loose=True)
    made.map = MapOf(values=made, atomic=True) if values is None else MapOf(values=values)
    made.list = ListOf(ATOMIC if values is not None else made)
    return made


ATOMIC = untyped()
"""What is owned as a whole, whatever it is."""
DEDUCED = untyped(ATOMIC)
"""What no schema describes."""
assert DEDUCED.map is not None
DEDUCED.map.values = DEDUCED

COMPILED: dict[str, Type] = {}
"""Types of published definitions; each is entered before its fields are, since definitions may contain themselves."""


def named(name: str) -> Type:
    """The type of a published definition."""
    found = COMPILED.get(name)
    if found is None:
        found = COMPILED[name] = Type()
        if name == RUNTIME + "RawExtension":
            found.map, found.scalar, found.list, found.loose = ATOMIC.map, ATOMIC.scalar, ATOMIC.list, True
        elif name == META + "FieldsV1":
            found.map = MapOf(atomic=True)  # nobody manages who manages what
        else:
            build(definition(name), found, preserving=False)
    return found


def type_of(node: Schema, *, preserving: bool = False) -> Type:
    """The type of a schema node. `preserving` holds below a node that keeps fields which it does not know."""
    if "$ref" in node:
        return overridden(named(node["$ref"]), node)
    made = Type()
    build(node, made, preserving=preserving)
    return made


def overridden(target: Type, node: Schema) -> Type:
    """The type that a reference leads to, where the field says otherwise how it is merged."""
    how = node.get("x-kubernetes-map-type")
    if how is None or target.map is None:
        return target
    return Type(MapOf(target.map.fields, target.map.values, how == "atomic", target.map.steps), target.scalar,
                target.list, target.loose)


def build(node: Schema, made: Type, *, preserving: bool) -> None:
    preserving = preserving or node.get("x-kubernetes-preserve-unknown-fields") is True
    match node.get("type"), node.get("format"):
        case "object", _:
            made.map = map_of(node, preserving=preserving)
        case "array", _:
            made.list = list_of(node, preserving=preserving)
        case "string", None | "byte":
            made.scalar = "string"
        case ("integer" | "number" | "boolean") as name, _:
            made.scalar = SCALARS[name]
        case "string", _:
            made.scalar = "untyped"
        case _:
            made.scalar, made.loose = "untyped", True
            made.map, made.list = map_of(node, preserving=preserving), list_of(node, preserving=preserving)
    made.loose = made.loose or any(child.loose for child in inner(made))


def inner(made: Type) -> list[Type]:
    below = [*made.map.fields.values(), *([made.map.values] if made.map.values else [])] if made.map else []
    return [*below, *([made.list.items] if made.list else [])]


def map_of(node: Schema, *, preserving: bool) -> MapOf:
    made = MapOf(atomic=node.get("x-kubernetes-map-type") == "atomic")
    properties = node.get("properties") or {}
    for name, child in properties.items():
        made.put(name, type_of(child, preserving=preserving))
    if node.get("x-kubernetes-embedded-resource"):
        as_object(made)
    rest = node.get("additionalProperties")
    if isinstance(rest, dict):
        made.values = type_of(rest, preserving=preserving)
    elif rest is True or (rest is None and (preserving or not properties)):
        made.values = DEDUCED
    return made


def as_object(made: MapOf) -> None:
    """Give a map the fields that every object has, whatever its schema says of them."""
    for name in ("apiVersion", "kind"):
        made.put(name, Type(scalar="string"))
    made.put("metadata", named(META + "ObjectMeta"))


def list_of(node: Schema, *, preserving: bool) -> ListOf:
    items = node.get("items")
    made = ListOf(ATOMIC if items is None else type_of(items, preserving=preserving))
    match node.get("x-kubernetes-list-type"), node.get("x-kubernetes-patch-strategy"):
        case "set", _:
            made.atomic = False
        case "map", _:
            made.atomic, made.keys = False, tuple(sorted(node.get("x-kubernetes-list-map-keys") or ()))
        case None, "merge" | "merge,retainKeys":
            key = node.get("x-kubernetes-patch-merge-key")
            made.atomic, made.keys = False, (key,) if key else ()
    if made.keys and items is not None:
        made.defaults = key_defaults(items, made.keys)
    return made


def key_defaults(items: Schema, keys: tuple[str, ...]) -> dict[str, Any]:
    """What the keys of an item are where it does not say them. Go has no absent texts and numbers."""
    name = items.get("$ref", "")
    node = definition(name) if name else items
    known, required = KEY_DEFAULTS.get(name, {}), node.get("required") or () if name else ()
    found: dict[str, Any] = {}
    for key in keys:
        child = (node.get("properties") or {}).get(key) or {}
        if key in known:
            found[key] = known[key]
        elif "default" in child:
            found[key] = child["default"]
        elif key in required:
            found[key] = ZEROS[child["type"]]
    return found


ROOTS: dict[int, tuple[Schema, Type]] = {}
"""Types of whole objects by the identity of their schema node, which is kept beside so that it stays unique."""
MOST_ROOTS = 1024


def of_object(node: Schema) -> Type:
    """The type of the objects that a schema node describes; made once for a node."""
    found = ROOTS.get(id(node))
    if found is None:
        made = type_of(node)
        if made.map is None or made.map.atomic:
            made.map = MapOf(values=DEDUCED)
        as_object(made.map)
        if len(ROOTS) >= MOST_ROOTS:
            ROOTS.clear()
        found = ROOTS[id(node)] = node, made
    return found[1]
