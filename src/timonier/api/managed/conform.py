"""Whether a configuration can be applied at all: its fields are known and of the right form, its items distinct.

The sentences are Kubernetes's, which clients of server-side apply know. Whether values make sense is not asked here.
"""

from __future__ import annotations

from typing import Any

from timonier.api.managed.elements import shown_step
from timonier.api.managed.types import ListOf, MapOf, NoKey, Type

GO_NAMES = {bool: "bool", int: "int64", float: "float64", str: "string", dict: "map[string]interface {}",
            list: "[]interface {}"}
FORMS: dict[str, tuple[tuple[type, ...], str]] = {
    "numeric": ((int, float), "numeric (int or float)"), "string": ((str,), "string"), "boolean": ((bool,), "boolean"),
    "untyped": ((int, float, str, bool), "any scalar"),
}


def faults(kind: Type, value: Any, *, repeated: bool = False) -> list[str]:
    """Everything that keeps a value from being of a type, each with its path. `repeated` lets items be there twice."""
    found: list[str] = []
    look(kind, value, "", found, repeated)
    return found


def sentence(found: list[str]) -> str:
    """The faults as one message."""
    return found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {fault}" for fault in found)])


def look(kind: Type, value: Any, where: str, found: list[str], repeated: bool) -> None:
    if value is None:
        return
    if value.__class__ is dict and kind.map:
        look_in_map(kind.map, value, where, found, repeated)
    elif value.__class__ is list and kind.list:
        look_in_list(kind.list, value, where, found, repeated)
    elif fault := misfit(kind, value):
        found.append(at(where, fault))


def misfit(kind: Type, value: Any) -> str | None:
    """What is wrong with a scalar, or with what should be one thing and is another."""
    if kind.map:
        if kind.scalar and value.__class__ not in (dict, list):
            return None
        return f"expected map, got &{{{go(value)}}}"
    if kind.list and not kind.scalar:
        return f"expected list, got &{{{go(value)}}}"
    classes, name = FORMS[kind.scalar]
    if value.__class__ in classes:
        return None
    match kind.scalar:
        case "numeric":
            return f"expected {name}, got {GO_NAMES[value.__class__]}"
        case "string":
            return f"expected string, got &value.valueUnstructured{{Value:{literal(value)}}}"
    return f"expected {name}, got &{{{go(value)}}}"


def look_in_map(kind: MapOf, value: dict[str, Any], where: str, found: list[str], repeated: bool) -> None:
    for name, child in value.items():
        below = kind.below(name)
        if below is None:
            found.append(at(f"{where}.{name}", "field not declared in schema"))
        else:
            look(below, child, f"{where}.{name}", found, repeated)


def look_in_list(kind: ListOf, value: list[Any], where: str, found: list[str], repeated: bool) -> None:
    seen: set[str] = set()
    for place, item in enumerate(value):
        step = f"[{place}]"
        if not kind.atomic:
            try:
                element = kind.element(item)
            except NoKey as error:
                found.append(at(where, f"element {place}: {error}"))
                return
            step = shown_step(element)
            if element in seen and not repeated:
                found.append(at(where, f"duplicate entries for key {step}"))
            seen.add(element)
        look(kind.items, item, where + step, found, repeated)


def at(where: str, fault: str) -> str:
    return f"{where}: {fault}" if where else fault


def go(value: Any) -> str:
    """A value as Go's %v shows it."""
    match value:
        case dict():
            return f"map[{' '.join(f'{name}:{go(value[name])}' for name in sorted(value))}]"
        case list():
            return f"[{' '.join(map(go, value))}]"
        case bool():
            return str(value).lower()
        case None:
            return "<nil>"
    return str(value)


def literal(value: Any) -> str:
    """A value as Go's %#v shows it."""
    match value:
        case dict():
            inner = ", ".join(f'"{name}":{literal(child)}' for name, child in value.items())
            return f"map[string]interface {{}}{{{inner}}}"
        case list():
            return f"[]interface {{}}{{{', '.join(map(literal, value))}}}"
        case str():
            return f'"{value}"'
    return go(value)
