"""Expressions as they lie in objects: named, not empty, none twice, not too many. What they say is judged by CEL."""

from __future__ import annotations

import re
from collections.abc import Sequence

from timonier.api import names
from timonier.api.validation.causes import Causes, Obj

MOST_CONDITIONS = 64
IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
RESERVED = frozenset({"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
                      "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"})


def match_conditions(listed: Sequence[Obj], path: str, causes: Causes) -> None:
    """Under which conditions a webhook or a policy is asked at all."""
    if len(listed) > MOST_CONDITIONS:
        causes.too_many(path, len(listed), MOST_CONDITIONS)
    taken: set[str] = set()
    for index, condition in enumerate(listed):
        at, name = f"{path}[{index}]", condition.get("name", "")
        if not condition.get("expression", "").strip():
            causes.required(f"{at}.expression")
        if not name:
            causes.required(f"{at}.name")
        else:
            causes.each_invalid(f"{at}.name", name, names.qualified_name(name))
            if name in taken:
                causes.duplicate(f"{at}.name", name)
            taken.add(name)


def expression(given: Obj, field: str, path: str, causes: Causes) -> None:
    """One that must be there."""
    if not given.get(field, "").strip():
        causes.required(f"{path}.{field}", f"{field} is not specified")


def identifier(given: Obj, path: str, causes: Causes) -> None:
    """A name that expressions can use."""
    name = given.get("name", "")
    if not name.strip():
        causes.required(f"{path}.name", "name is not specified")
    elif not IDENTIFIER.fullmatch(name) or name in RESERVED:
        causes.invalid(f"{path}.name", name, "name is not a valid CEL identifier")
