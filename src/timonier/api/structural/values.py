"""Whether the values of an object are as its schema wants them.

A schema is compiled into closures that append what is wrong and count what they looked at: of the failed branches of an
`anyOf` or `oneOf`, the one that looked at most is the one that is explained. Messages are those of kube-openapi's
validation, which Kubernetes uses. With an old object to compare with, what is wrong may stay wrong where it is as it
was (KEP-4008).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from timonier.api import patterns
from timonier.api.check import Where, field_path
from timonier.api.errors import Cause
from timonier.api.structural import formats
from timonier.api.structural.listtypes import by_key, identity
from timonier.api.structural.nodes import (
    INT_OR_STRING,
    LIST_KEYS,
    LIST_TYPE,
    Lazily,
    Schema,
    additional,
    items,
    properties,
)
from timonier.api.structural.words import (
    NOWHERE,
    bound,
    composite,
    invalid,
    mistyped,
    plural,
    shown_value,
    too_many,
)

NEW = object()
"""Stands for an old value where there is none to compare with."""
Check = Callable[[Any, Where, Any, list[Cause]], int]
"""Takes a value, how it was reached, its old value and what is wrong so far; counts what it looked at."""

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object",
         type(None): "null"}
TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float),
                                      "array": (list,), "object": (dict,)}
INTEGER_LIMITS = {"int32": 2**31}
NEVER_RATCHETED = ("apiVersion", "kind")
BASE = 4
"""What every node counts for its junctors and its enum, whatever the value."""


def judge(check: Check, value: Any, old: Any = NEW, path: str = "") -> list[Cause]:
    """Everything that is wrong with a value; `path` is where it lies in its object."""
    wrong: list[Cause] = []
    check(value, None, old, wrong)
    unique = dict.fromkeys(wrong)
    return [Cause(cause.reason, placed(path, cause.field), cause.message) for cause in unique] if wrong else wrong


def placed(path: str, field: str) -> str:
    if field == NOWHERE or not field:
        return path or NOWHERE
    return f"{path}.{field}" if path else field


def compiled(schema: Schema) -> Check:
    """The check of values by a schema, whatever is asked of it."""
    first = [check for check in (type_check(schema), junctors(schema)) if check]
    enum = [check for check in (enum_check(schema),) if check]
    number = numbers(schema)
    steps = {str: [*first, strings(schema), *enum], int: [*first, number, *enum], float: [*first, number, *enum],
             list: [*first, lists(schema), *enum], dict: [*first, *enum, objects(schema)], bool: [*first, *enum],
             type(None): [check for check in (type_check(schema), *enum) if check]}
    steps_of = steps.__getitem__

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        before, count = len(wrong), BASE
        for step in steps_of(value.__class__):
            count += step(value, where, old, wrong)
        if len(wrong) > before and old is not NEW and identical(value, old):
            del wrong[before:]
        return count
    return check


def identical(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, `1` and `true` being different."""
    return bool(one == other) and identity(one) == identity(other)


def type_check(schema: Schema) -> Check | None:
    names = ("integer", "string") if schema.get(INT_OR_STRING) else (schema["type"],) if schema.get("type") else ()
    if not names:
        return None
    wanted, nullable = ",".join(names), schema.get("nullable", False)
    classes = {kind for name in names for kind in TYPES.get(name, ())}
    whole = "integer" in names
    form = schema.get("format", "")
    form = form if len(names) == 1 and formats.known(names[0], form) else ""

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        kind = value.__class__
        if kind in classes or (whole and kind is float and value.is_integer()):
            return 2
        if value is None:
            if nullable:
                return 2
        elif form and kind not in (str, list):
            mistyped(where, form, {int: "int64", float: "float64"}.get(kind, ""), wrong)
            return 1
        mistyped(where, wanted, NAMES[kind], wrong)
        return 1
    return check


def enum_check(schema: Schema) -> Check | None:
    if not schema.get("enum"):
        return None
    values = schema["enum"]
    supported = ", ".join(json.dumps(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
                                     ensure_ascii=False) for value in values)

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        if not any(value == one and (value.__class__ is bool) is (one.__class__ is bool) for one in values):
            wrong.append(Cause("FieldValueNotSupported", field_path(where) or NOWHERE,
                               f"Unsupported value: {shown_value(value)}: supported values: {supported}"))
        return 0
    return check


def strings(schema: Schema) -> Check:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    form = schema.get("format", "")
    right = formats.check_of(form) if form and schema.get("type", "") in ("", "string") else None
    if most is None and least is None and not pattern and not right:
        return lambda value, where, old, wrong: 1

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        size = len(value)
        if most is not None and size > most:
            wrong.append(Cause("FieldValueTooLong", field_path(where) or NOWHERE,
                               f"Too long: may not be more than {most} bytes"))
        elif least is not None and size < least:
            invalid(where, value, f" in body should be at least {least} chars long", wrong)
        elif pattern and not patterns.found(pattern, value):
            invalid(where, value, f" in body should match '{pattern}'", wrong)
        if right and not right(value):
            mistyped(where, form, value, wrong)
        return 2 if right else 1
    return check


def numbers(schema: Schema) -> Check:
    kind, form = schema.get("type", ""), schema.get("format", "")
    most, least, factor = schema.get("maximum"), schema.get("minimum"), schema.get("multipleOf")
    over, under = schema.get("exclusiveMaximum", False), schema.get("exclusiveMinimum", False)
    limit = INTEGER_LIMITS.get(form, 2**63) if kind == "integer" else 0
    largest = 3.4028234663852886e38 if (kind, form) == ("number", "float") else 0.0
    if most is None and least is None and not factor and not limit and not largest:
        return lambda value, where, old, wrong: 2
    described = f"{kind} with format {form}" if formats.known(kind, form) and form else f"{kind} (default format)"

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        if (limit and not -limit <= value < limit) or (largest and abs(value) > largest):
            composite(None, f"Checked value must be of type {described} in {field_path(where)}", wrong)
        if factor and not multiple(value, factor):
            invalid(where, value, f" in body should be a multiple of {bound(factor, value)}", wrong)
        if least is not None and (value < least or (under and value == least)):
            word = "greater than" if under else "greater than or equal to"
            invalid(where, value, f" in body should be {word} {bound(least, value)}", wrong)
        if most is not None and (value > most or (over and value == most)):
            word = "less than" if over else "less than or equal to"
            invalid(where, value, f" in body should be {word} {bound(most, value)}", wrong)
        return 2
    return check


def multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and float(factor).is_integer():
        return value % int(factor) == 0
    ratio = value / factor
    return abs(ratio - round(ratio)) <= 1e-9 * max(1.0, abs(ratio))


def lists(schema: Schema) -> Check:
    element = items(schema)
    each = compiled(element) if element is not None else None
    most, least = schema.get("maxItems"), schema.get("minItems")
    keys = tuple(schema.get(LIST_KEYS) or ()) if schema.get(LIST_TYPE) == "map" else ()

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        count = 2
        if each:
            before = by_key(old, keys) if keys and old.__class__ is list else None
            for index, one in enumerate(value):
                count += each(one, (where, index), before(one, NEW) if before else NEW, wrong)
        size = len(value)
        if least is not None and size < least:
            invalid(where, size, f" in body should have at least {plural(least, 'item')}", wrong)
        if most is not None and size > most:
            too_many(where, size, most, wrong)
        return count
    return check


def objects(schema: Schema) -> Check:
    named = Lazily(properties(schema), compiled)
    inner = additional(schema)
    values = compiled(inner) if inner is not None else None
    closed = schema.get("additionalProperties") is False
    most, least, required = schema.get("maxProperties"), schema.get("minProperties"), schema.get("required") or ()
    check_of: Callable[[str], Check | None] = named.__getitem__

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        count, size = 1, len(value)
        if least is not None and size < least:
            invalid(where, size, f" in body should have at least {plural(least, 'property')}", wrong)
        if most is not None and size > most:
            too_many(where, size, most, wrong)
        comparable = old.__class__ is dict
        for key, child in value.items():
            below = check_of(key) or values
            if below:
                then = old.get(key, NEW) if comparable and not (where is None and key in NEVER_RATCHETED) else NEW
                count += below(child, (where, key), then, wrong)
            elif closed:
                invalid(where, key, f".{key} in body is a forbidden property", wrong)
        for key in required:
            if key not in value:
                wrong.append(Cause("FieldValueRequired", field_path((where, key)), "Required value"))
        return count
    return check


def junctors(schema: Schema) -> Check | None:
    """allOf, anyOf, oneOf and not."""
    checks = [check for check in (any_of(schema), one_of(schema), all_of(schema), none_of(schema)) if check]
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        return sum(one(value, where, old, wrong) for one in checks)
    return check


def branches(schema: Schema, name: str) -> list[Check]:
    return [compiled(child) for child in schema.get(name) or ()]


def tried(choices: list[Check], value: Any, where: Where, old: Any, enough: int) -> tuple[list[int], int, list[Cause]]:
    """What the valid branches looked at, up to so many of them; else what the best of the others did, and what is
    wrong by it.
    """
    valid: list[int] = []
    best, explained = -1, list[Cause]()
    for choice in choices:
        found: list[Cause] = []
        count = choice(value, where, old, found)
        if not found:
            valid.append(count)
            if len(valid) == enough:
                break
        elif count > best:
            best, explained = count, found
    return valid, best, explained


def any_of(schema: Schema) -> Check | None:
    choices = branches(schema, "anyOf")
    if not choices:
        return None

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        valid, best, explained = tried(choices, value, where, old, 1)
        if valid:
            return valid[0]
        composite(where, "{} must validate at least one schema (anyOf)", wrong)
        wrong.extend(explained)
        return best
    return check


def one_of(schema: Schema) -> Check | None:
    choices = branches(schema, "oneOf")
    if not choices:
        return None

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        valid, best, explained = tried(choices, value, where, old, len(choices))
        if len(valid) == 1:
            return valid[0]
        why = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
        composite(where, "{} must validate one and only one schema (oneOf). " + why, wrong)
        wrong.extend(() if valid else explained)
        return 0 if valid else best
    return check


def all_of(schema: Schema) -> Check | None:
    demands = branches(schema, "allOf")
    if not demands:
        return None

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        count, failed = 0, 0
        for demand in demands:
            before = len(wrong)
            count += demand(value, where, old, wrong)
            failed += len(wrong) > before
        if failed:
            composite(where, "{} must validate all the schemas (allOf)"
                      + (". None validated" if failed == len(demands) else ""), wrong)
        return count
    return check


def none_of(schema: Schema) -> Check | None:
    if "not" not in schema:
        return None
    banned = compiled(schema["not"])

    def check(value: Any, where: Where, old: Any, wrong: list[Cause]) -> int:
        found: list[Cause] = []
        banned(value, where, old, found)
        if not found:
            composite(where, "{} must not validate the schema (not)", wrong)
        return 0
    return check
