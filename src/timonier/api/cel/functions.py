"""Functions: a name, and overloads that each say what they take, what they give, what they cost and what they do.

Libraries register theirs here as tables. An overload runs on values of the types that it names and on nothing else; it
raises `Failure` in the words of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from timonier.api.cel.costs import ONE, Cost
from timonier.api.cel.types import Type

LIBRARIES = ("operators", "standard", "moments", "optionals", "strings", "lists", "sets", "regex", "urls", "quantities",
             "networks", "semver", "formats", "authorizer", "jsonpatch")
"""Modules of `timonier.api.cel.library`, each with a table FUNCTIONS and, where it brings types, TYPES."""


@dataclass(frozen=True, slots=True)
class Overload:
    function: str
    id: str
    parameters: tuple[Type, ...]
    result: Type
    run: Callable[..., Any]
    member: bool = False
    """Written as a method of its first argument."""
    cost: Cost = ONE
    since: int = 0
    """The minor version of Kubernetes that brought it."""


def function(name: str, identity: str, parameters: Iterable[Type], result: Type, run: Callable[..., Any],
             cost: Cost = ONE, since: int = 0) -> Overload:
    return Overload(name, identity, tuple(parameters), result, run, False, cost, since)


def method(name: str, identity: str, parameters: Iterable[Type], result: Type, run: Callable[..., Any],
           cost: Cost = ONE, since: int = 0) -> Overload:
    return Overload(name, identity, tuple(parameters), result, run, True, cost, since)


@cache
def functions(version: int) -> dict[str, tuple[Overload, ...]]:
    """All overloads that a minor version of Kubernetes knows, by name, in the order in which they are tried."""
    found: dict[str, list[Overload]] = {}
    for library in LIBRARIES:
        for overload in import_module(f"timonier.api.cel.library.{library}").FUNCTIONS:
            if overload.since <= version:
                found.setdefault(overload.function, []).append(overload)
    return {name: tuple(overloads) for name, overloads in found.items()}


@cache
def type_names() -> dict[str, Type]:
    """The types that an expression can name, by the name."""
    found: dict[str, Type] = {}
    for library in LIBRARIES:
        module = import_module(f"timonier.api.cel.library.{library}")
        found |= {kind.name: kind for kind in getattr(module, "TYPES", ())}
    return found
