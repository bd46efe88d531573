"""What is said of values that are not as their schema wants them: kube-openapi's words, Go's spelling of numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from timonier.api.check import Where, field_path
from timonier.api.errors import Cause
from timonier.api.validation.causes import shown

NOWHERE = "<nil>"
"""The path that Go prints for what concerns the whole object."""


def go_number(value: float) -> str:
    """A number as Go prints it: `1e+06` rather than `1000000.0`."""
    if isinstance(value, int):
        return str(value)
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    exponent = Decimal(repr(value)).adjusted()
    if value and not -4 <= exponent < 6:
        text = "".join(map(str, digits))
        return f"{'-' * sign}{text[0]}{'.' * (len(text) > 1)}{text[1:]}e{exponent:+03d}"
    return str(int(value)) if value.is_integer() else repr(value)


def shown_value(value: Any) -> str:
    return go_number(value) if value.__class__ is float else shown(value)


def invalid(where: Where, value: Any, detail: str, wrong: list[Cause]) -> None:
    """`detail` is about the value's name, which comes before it."""
    name = field_path(where)
    wrong.append(Cause("FieldValueInvalid", name or NOWHERE, f"Invalid value: {shown_value(value)}: {name}{detail}"))


def composite(where: Where, detail: str, wrong: list[Cause]) -> None:
    """What Kubernetes cannot say the field of."""
    name = json.dumps(field_path(where))
    wrong.append(Cause("FieldValueInvalid", NOWHERE, f'Invalid value: "": {detail.format(name)}'))


def mistyped(where: Where, wanted: str, found: Any, wrong: list[Cause]) -> None:
    name = field_path(where)
    wrong.append(Cause("FieldValueTypeInvalid", name or NOWHERE,
                       f"Invalid value: {shown(found)}: {name} in body must be of type {wanted}: {shown(found)}"))


def plural(count: int, noun: str) -> str:
    return f"{count} {'properties' if noun == 'property' else noun + 's'}"


def too_many(where: Where, size: int, most: int, wrong: list[Cause]) -> None:
    wrong.append(Cause("FieldValueTooMany", field_path(where) or NOWHERE,
                       f"Too many: {size}: must have at most {most} item{'' if most == 1 else 's'}"))


def bound(limit: float, value: Any) -> str:
    """A limit as it is compared with a value: as an integer with integers."""
    return str(int(limit)) if value.__class__ is int and float(limit).is_integer() else go_number(float(limit))
