"""Fields and indices of values whose types only show at run time; what is not there, in cel-go's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timonier.api.cel.values import NONE, Failure, Optional

Read = Callable[[Any], Any] | None


def shown(key: Any) -> str:
    return {True: "true", False: "false"}[key] if key.__class__ is bool else str(key)


def member(value: Any, key: str) -> Any:
    """`value.key`."""
    try:
        found = value[key]
    except (KeyError, TypeError, IndexError):
        if value.__class__ is Optional:
            return optional_field(value, key, None)
        raise Failure(f"no such key: {key}") from None
    return found


def has_field(value: Any, key: str) -> bool:
    """`has(value.key)`."""
    if value.__class__ is Optional:
        return bool(value.present and has_field(value.value, key))
    return isinstance(value, dict) and value.get(key) is not None


def optional_field(value: Any, key: str, read: Read) -> Optional:
    """`value.?key`, or `value.key` of a value that may be missing itself."""
    if value.__class__ is Optional:
        return optional_field(value.value, key, read) if value.present else NONE
    found = value.get(key) if isinstance(value, dict) else None
    return NONE if found is None else Optional(found if read is None else read(found))


def at_index(value: Any, key: Any) -> Any:
    """`value[key]`."""
    if isinstance(value, dict):
        try:
            return value[key]
        except (KeyError, TypeError):
            raise Failure(f"no such key: {shown(key)}") from None
    if isinstance(value, list):
        place = position(key)
        if 0 <= place < len(value):
            return value[place]
        raise Failure(f"index out of bounds: {place}")
    if value.__class__ is Optional:
        return index_if_there(value, key, None)
    raise Failure(f"no such key: {shown(key)}")


def position(key: Any) -> int:
    """A list's index, which may be any number that is whole."""
    if isinstance(key, int) and key.__class__ is not bool:
        return int(key)
    if key.__class__ is float and key.is_integer():
        return int(key)
    raise Failure(f"unsupported index value {shown(key)} in list")


def index_if_there(value: Any, key: Any, read: Read) -> Optional:
    """`value[?key]`, or `value[key]` of a value that may be missing itself."""
    if value.__class__ is Optional:
        return index_if_there(value.value, key, read) if value.present else NONE
    if isinstance(value, dict):
        if key not in value:
            return NONE
        found = value[key]
    elif isinstance(value, list):
        place = position(key)
        if not 0 <= place < len(value):
            return NONE
        found = value[place]
    else:
        return NONE
    return Optional(found if read is None else read(found))
