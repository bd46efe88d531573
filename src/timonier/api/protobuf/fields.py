"""The table of messages: how their fields are numbered, and what each holds. `scripts/protobuf_fields.py` writes it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

SCALARS = frozenset({"string", "bytes", "bool", "int", "double"})
ONE, POINTER, LIST, MAP = "", "*", "[]", "{}"
"""How many: one; one whose presence means something even where it is zero; a list; a map from text."""


class Field(NamedTuple):
    """A field: its name in JSON, number, how many of it there are, and what: a scalar or the name of a message.

    Without a name it is an embedded struct, whose fields belong to the parent; or, as the only field and a list, all
    that its message is.
    """

    name: str
    number: int
    shape: str
    type: str


@cache
def lines() -> dict[str, tuple[str, str]]:
    """Of each message, by full name: its package, and its fields as the table has them."""
    found, package = {}, ""
    for line in (files(__package__) / "fields.txt").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if "." in name:
            package = name
        else:
            found[f"{package}.{name}"] = package, rest
    return found


def known(name: str) -> bool:
    return name in lines()


@cache
def fields(name: str) -> tuple[Field, ...]:
    """The fields of a message (`io.k8s.api.core.v1.Pod`). Raises KeyError where there is none of that name."""
    package, text = lines()[name]
    return tuple(read(package, word) for word in text.split())


def is_list(name: str) -> bool:
    """Whether a message is a list of text and nothing else."""
    found = fields(name)
    return len(found) == 1 and not found[0].name and found[0].shape == LIST


def read(package: str, word: str) -> Field:
    """A field of its word in the table, such as `containers=2:[]Container`."""
    name, _, rest = word.rpartition("=")
    number, _, kind = rest.partition(":")
    shape = next((mark for mark in (LIST, MAP, POINTER) if kind.startswith(mark)), ONE)
    kind = kind[len(shape):]
    return Field(name, int(number), shape, kind if kind in SCALARS or "." in kind else f"{package}.{kind}")
