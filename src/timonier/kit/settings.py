"""Settings are frozen dataclasses; their flags, defaults and help derive from them.

A field `bind_address: str = "127.0.0.1"` followed by a docstring becomes `--bind-address`, with that docstring as help.
A class that checks its values raises ValueError in `__post_init__`; the user sees the message and exit code 2.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

HELP = frozenset({"-h", "--help"})
"""Only these need the fields' docstrings, for which the sources are parsed."""


def parse(settings: type[T], arguments: Sequence[str], *, program: str) -> T:
    """The settings that a command line gives; exits with 2 and a message where it gives none that are valid."""
    parser = argparse.ArgumentParser(prog=program, description=inspect.getdoc(settings), allow_abbrev=False)
    add_flags(parser, settings, field_docs(settings) if HELP & {*arguments} else {})
    chosen = vars(parser.parse_args(arguments))
    try:
        return settings(**chosen)
    except ValueError as error:
        parser.error(str(error))


def to_arguments(settings: Any) -> list[str]:
    """The flags that give these settings again; fields at their defaults are left out."""
    arguments: list[str] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value == default_of(field):
            continue
        flag = flag_of(field.name)
        if isinstance(value, bool):
            arguments.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, tuple):
            arguments += [f"{flag}={item}" for item in value]
        else:
            arguments.append(f"{flag}={value}")  # one word, so that a value may begin with a dash
    return arguments


def add_flags(parser: argparse.ArgumentParser, settings: type, help_of: Mapping[str, str]) -> None:
    """One flag a field: booleans as `--x/--no-x`, tuples repeatable, everything else by calling its type."""
    types = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        kind, default = types[field.name], default_of(field)
        required = default is dataclasses.MISSING
        options: dict[str, Any] = {"help": help_of.get(field.name, ""), "dest": field.name, "required": required}
        if not required:
            options["default"] = default
        options |= reader(kind)
        parser.add_argument(flag_of(field.name), **options)


def reader(kind: Any) -> dict[str, Any]:
    """How argparse reads a field of this type."""
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if typing.get_origin(kind) is tuple:
        return {"action": AppendTuple, "type": typing.get_args(kind)[0]}
    choices = [option for option in typing.get_args(kind) if option is not type(None)]
    plain = choices[0] if choices else kind
    return {"type": Path if plain is Path else plain}


class AppendTuple(argparse.Action):
    """A repeatable flag whose values gather in a tuple; the first use replaces the default."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, (values,) if before is self.default else (*before, values))


def default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def field_docs(settings: type) -> dict[str, str]:
    """The docstring below each field, by the field's name; inherited fields included."""
    docs: dict[str, str] = {}
    for owner in reversed(settings.__mro__):
        if dataclasses.is_dataclass(owner):
            docs |= own_field_docs(owner)
    return docs


def own_field_docs(settings: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs = {}
    for field, after in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr) \
                and isinstance(after.value, ast.Constant):
            docs[field.target.id] = " ".join(str(after.value.value).split()).replace("%", "%%")
    return docs
