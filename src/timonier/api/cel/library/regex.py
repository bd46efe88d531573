"""`find` and `findAll`: what a regular expression matches."""

from __future__ import annotations

from timonier.api.cel import types
from timonier.api.cel.costs import Match
from timonier.api.cel.functions import method
from timonier.api.cel.types import INT, STRING
from timonier.api.cel.values import Failure
from timonier.api.patterns import BadPattern, Pattern, compiled

STRINGS = types.list_of(STRING)


def legal(regex: str) -> Pattern:
    try:
        return compiled(regex)
    except BadPattern as error:
        raise Failure(f"Illegal regex: {error}") from None


def find(text: str, regex: str) -> str:
    return next(iter(legal(regex).find_all(text, 1)), "")


def find_all(text: str, regex: str, limit: int = -1) -> list[str]:
    return legal(regex).find_all(text, limit)


FUNCTIONS = [
    method("find", "string_find_string", [STRING, STRING], STRING, find, Match(finds=True)),
    method("findAll", "string_find_all_string", [STRING, STRING], STRINGS, find_all, Match(finds=True)),
    method("findAll", "string_find_all_string_int", [STRING, STRING, INT], STRINGS, find_all, Match(finds=True)),
]
