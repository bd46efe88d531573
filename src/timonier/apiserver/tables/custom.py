"""The columns of custom kinds: name, and what their definition lists, by JSONPath.

Source: Kubernetes documentation, "Additional printer columns".
"""

from __future__ import annotations

from typing import Any

import orjson

from timonier.api import jsonpath
from timonier.api.structural.shape import Custom
from timonier.api.structural.words import go_number
from timonier.apiserver.request import Object
from timonier.apiserver.tables.columns import AGE, NAME, Column
from timonier.apiserver.tables.durations import since
from timonier.kit.clock import Time

DESCRIBED = "Custom resource definition column (in JSONPath format): {}"


def columns_of(custom: Custom) -> tuple[Column, ...]:
    """The columns of a version. Where one cannot be read, none but the name is shown, as upstream has it."""
    given = custom.version.get("additionalPrinterColumns")
    if not given:
        return (NAME, Column("Age", AGE.cell, "date", description=AGE.description))
    try:
        return (NAME, *map(column, given))
    except jsonpath.BadPath:
        return (NAME,)


def column(given: Object) -> Column:
    find, kind = jsonpath.compiled(given["jsonPath"]), given["type"]

    def cell(obj: Object, now: Time) -> Any:
        try:
            found = find(obj)
        except jsonpath.NotFound:
            return None
        return shown(kind, found[0], now) if found else None
    return Column(given["name"], cell, kind, given.get("format", ""), given.get("priority", 0),
                  given.get("description") or DESCRIBED.format(given["jsonPath"]))


def shown(kind: str, value: Any, now: Time) -> Any:
    """A value as a cell of a type; none where it is of another."""
    match kind, value:
        case "string", _:
            return text(value)
        case _, None:
            return None
        case "boolean", bool():
            return value
        case ("integer" | "number"), bool():
            return None
        case "integer", int() | float():
            return int(value)
        case "number", int() | float():
            return float(value)
        case "date", str():
            try:
                return since(value, now)
            except ValueError:
                return "<invalid>"
    return None


def text(value: Any) -> str:
    """A value as kubectl prints it: compounds as JSON, the rest as Go does."""
    match value:
        case str():
            return value
        case None:
            return "<nil>"
        case bool():
            return str(value).lower()
        case float():
            return go_number(value)
        case dict() | list():
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return str(value)
