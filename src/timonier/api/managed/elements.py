"""Steps of a path into an object, as managedFields spells them.

`f:replicas` is a field, `k:{"name":"app"}` the item of a list with these keys, `v:"x"` the item of a set that is this
value, `i:0` an item by its place. A step is a text in its one canonical spelling, so that equal steps are equal texts.
Source: Kubernetes API reference, "FieldsV1".
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import orjson

FIELD, KEY, VALUE, INDEX = "f:", "k:", "v:", "i:"
KINDS = {kind: place for place, kind in enumerate((FIELD, KEY, VALUE, INDEX))}
"""In the order in which Kubernetes lists them."""


class BadElement(Exception):
    """A text that is no step of a path; the message says why."""


@lru_cache(maxsize=8192, typed=True)
def keyed(names: tuple[str, ...], *values: Any) -> str:
    """The step to the item whose fields `names`, which are sorted, have these scalar values."""
    return KEY + text(dict(zip(names, values, strict=True)))


@lru_cache(maxsize=8192, typed=True)
def valued(value: Any) -> str:
    """The step to the item of a set."""
    return VALUE + text(value)


def text(value: Any) -> str:
    written = whole(value)
    try:
        return orjson.dumps(written, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # numbers beyond 64 bits, and halves of characters
        return json.dumps(written, sort_keys=True, separators=(",", ":"))


def parsed(written: str) -> Any:
    """What the text of a step says. Raises ValueError."""
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        return json.loads(written)


def whole(value: Any) -> Any:
    """A scalar, or keys, with numbers as Go writes them: `1`, not `1.0`."""
    if value.__class__ is dict:
        return {name: whole(child) for name, child in value.items()}
    return int(value) if value.__class__ is float and value.is_integer() else value


def canonical(element: str) -> str | None:
    """The canonical spelling of a step that somebody else wrote; None for kinds of steps that are still to come.

    Raises BadElement.
    """
    if len(element) < 2:
        raise BadElement("key must be 2 characters long:")
    if element[1] != ":":
        raise BadElement(f"missing colon: {element}")
    kind, rest = element[:2], element[2:]
    if kind == FIELD:
        return element
    if kind not in KINDS:
        return None
    try:
        value = parsed(rest)
    except ValueError as error:
        raise BadElement(str(error)) from None
    if kind == VALUE and value.__class__ not in (dict, list):
        return VALUE + text(value)
    if kind == KEY and value.__class__ is dict and not any(child.__class__ in (dict, list) for child in value.values()):
        return KEY + text(value)
    if kind == INDEX and value.__class__ is int:
        return f"{INDEX}{value}"
    raise BadElement(f"unexpected value: {element}")


def order(element: str) -> tuple[int, Any]:
    """What to sort steps by: fields by name, items by their keys, values and places by size."""
    kind, rest = element[:2], element[2:]
    if kind == FIELD:
        return KINDS[kind], rest
    value = parsed(rest)
    if kind == KEY:
        return KINDS[kind], [(name, rank(child)) for name, child in sorted(value.items())]
    return KINDS[kind], rank(value)


def rank(value: Any) -> tuple[int, Any]:
    """Scalars of any kind, in an order: numbers, texts, truth, null."""
    if value.__class__ in (int, float):
        return 0, value
    if value.__class__ is str:
        return 1, value
    return (2, value) if value.__class__ is bool else (3, 0)


def shown(path: tuple[str, ...]) -> str:
    """A path as people read it: `.spec.ports[port=80,protocol="TCP"].targetPort`."""
    return "".join(map(shown_step, path))


def shown_step(element: str) -> str:
    kind, rest = element[:2], element[2:]
    match kind:
        case "f:":
            return f".{rest}"
        case "k:":
            return f"[{','.join(f'{name}={scalar(value)}' for name, value in parsed(rest).items())}]"
        case "v:":
            return f"[={scalar(parsed(rest))}]"
    return f"[{rest}]"


def scalar(value: Any) -> str:
    """A scalar as Go shows it."""
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False)
