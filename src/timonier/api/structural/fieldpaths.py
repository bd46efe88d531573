"""Paths to fields of a schema (`.spec.ports['http'].name`), as rules and selectable fields name them."""

from __future__ import annotations

import re

from timonier.api.structural.nodes import Schema, additional, at, is_map, properties

TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]']+|'.*", re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


class BadPath(ValueError):
    """A path that leads nowhere; the message says why, in upstream's words."""


def resolve(path: str, schema: Schema, *, brackets: bool = True) -> tuple[str, Schema]:
    """A path as messages write it (`spec.ports[http].name`), and the schema that it leads to. Raises BadPath."""
    tokens = TOKEN.findall(path)
    written = ""
    position = 0

    def following() -> str:
        nonlocal position
        if position == len(tokens):
            raise BadPath("unexpected end of JSON path")
        position += 1
        return str(tokens[position - 1])

    while position < len(tokens):
        token = following()
        if token == ".":
            written, schema = step(written, following(), schema)
        elif token == "[":
            if not brackets:
                raise BadPath("array notation is not allowed")
            name = following()
            if len(name) < 2 or not (name[0] == name[-1] == "'"):
                raise BadPath(f"expected single quoted string but got {name}")
            written, schema = step(written, unescaped(name[1:-1]), schema)
            if (end := following()) != "]":
                raise BadPath(f"expected ] but got {end}")
        else:
            raise BadPath(f"expected [ or . but got: {token}")
    return written, schema


def step(written: str, name: str, schema: Schema) -> tuple[str, Schema]:
    if properties(schema):
        if name not in properties(schema):
            raise BadPath("does not refer to a valid field")
        return at(written, name), properties(schema)[name]
    if not is_map(schema):
        raise BadPath("does not refer to a valid field")
    return f"{written}[{name}]", additional(schema) or {}


def unescaped(text: str) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1] not in ESCAPES:
            raise BadPath(f"invalid string literal: invalid escape char {found[0]}")
        return ESCAPES[found[1]]
    return re.sub(r"\\(.)", replace, text, flags=re.DOTALL)
