"""The types of the language, and when one may stand for another.

A type is a name and parameters. Objects with fields are types too: their `declaration` (see `declarations`) says which
fields there are. Type variables (`T`) occur in the signatures of functions; `Substitutions` finds out what they stand
for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Type:
    name: str
    parameters: tuple[Type, ...] = ()
    variable: bool = False
    declaration: Any = field(default=None, compare=False, hash=False, repr=False)

    def __str__(self) -> str:
        if not self.parameters:
            return SHOWN.get(self.name, self.name)
        return f"{self.name}({', '.join(map(str, self.parameters))})"

    @property
    def declared(self) -> str:
        """The type by its full name, without the short ones that messages of the checker have."""
        inner = ", ".join(kind.declared for kind in self.parameters)
        return f"{self.name}({inner})" if inner else self.name


SHOWN = {"google.protobuf.Duration": "duration", "google.protobuf.Timestamp": "timestamp", "null_type": "null"}

ERROR, DYN, ANY, NULL = Type("!error!"), Type("dyn"), Type("any"), Type("null_type")
BOOL, INT, UINT, DOUBLE, STRING, BYTES = (
    Type("bool"), Type("int"), Type("uint"), Type("double"), Type("string"), Type("bytes"))
DURATION, TIMESTAMP = Type("google.protobuf.Duration"), Type("google.protobuf.Timestamp")
TYPE = Type("type")
SIMPLE = frozenset({BOOL, INT, UINT, DOUBLE, STRING, BYTES, DURATION, TIMESTAMP})
UNKNOWN = frozenset({"dyn", "any", "!error!"})
CONTAINERS = frozenset({"list", "map", "optional_type"})


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of a type."""
    return Type("type", (value,))


def variable(name: str) -> Type:
    return Type(name, variable=True)


def is_object(kind: Type) -> bool:
    """Whether a type is neither of the language itself nor a variable: an object of a schema or of a library."""
    return not (kind.variable or kind in SIMPLE or kind.name in UNKNOWN or kind.name in CONTAINERS
                or kind.name in ("type", "null_type"))


def unwrapped(kind: Type) -> tuple[Type, bool]:
    """What an optional is about, and whether it is one."""
    return (kind.parameters[0], True) if kind.name == "optional_type" and kind.parameters else (kind, False)


class Substitutions:
    """What type variables stand for, as far as is known. Attempts that fail leave no trace."""

    def __init__(self) -> None:
        self.known: dict[str, Type] = {}
        self.made = 0

    def fresh(self) -> Type:
        self.made += 1
        return variable(f"_var{self.made - 1}")

    def instance(self, signature: tuple[Type, ...]) -> tuple[Type, ...]:
        """A signature with fresh variables in place of its own."""
        fresh: dict[str, Type] = {}

        def renew(kind: Type) -> Type:
            if kind.variable:
                if kind.name not in fresh:
                    fresh[kind.name] = self.fresh()
                return fresh[kind.name]
            if not kind.parameters:
                return kind
            return Type(kind.name, tuple(map(renew, kind.parameters)), False, kind.declaration)
        return tuple(map(renew, signature))

    def of(self, kind: Type, *, free: Type | None = None) -> Type:
        """A type with everything that is known put in; `free` takes the place of variables that stand for nothing."""
        if kind.variable:
            known = self.known.get(kind.name)
            if known is not None:
                return self.of(known, free=free)
            return kind if free is None else free
        if not kind.parameters:
            return kind
        return Type(kind.name, tuple(self.of(one, free=free) for one in kind.parameters), False, kind.declaration)

    def assignable(self, *pairs: tuple[Type, Type]) -> bool:
        """Whether in every pair the first may stand where the second is asked for; if so, remember what that takes."""
        before = dict(self.known)
        if all(self._assignable(one, other) for one, other in pairs):
            return True
        self.known = before
        return False

    def _assignable(self, one: Type, other: Type) -> bool:
        if other.variable:
            fits, bound = self._bind(other, one)
            if fits or bound:
                return fits
        if one.variable:
            return self._bind(one, other)[0]
        if one.name in UNKNOWN or other.name in UNKNOWN:
            return True
        if one == NULL or other == NULL:
            return nullable(other if one == NULL else one) or one == other
        if one.name == "type":
            return other.name == "type"
        if one.name in CONTAINERS:
            return (one.name == other.name and len(one.parameters) == len(other.parameters)
                    and all(map(self._assignable, one.parameters, other.parameters)))
        return one == other

    def _bind(self, wanted: Type, kind: Type) -> tuple[bool, bool]:
        """Whether a variable may stand for a type, and whether it stood for something already."""
        if kind == wanted:
            return True, True
        known = self.known.get(wanted.name)
        if known is None:
            if self._occurs(wanted, kind):
                return False, False
            self.known[wanted.name] = kind
            return True, False
        if kind == known:
            return True, True
        if not self._assignable(kind, known):
            return False, True
        general = more_general(kind, known)
        if not self._occurs(wanted, general):
            self.known[wanted.name] = general
        return True, True

    def _occurs(self, wanted: Type, kind: Type) -> bool:
        if kind == wanted:
            return True
        if kind.variable:
            return kind.name in self.known and self._occurs(wanted, self.known[kind.name])
        return any(self._occurs(wanted, one) for one in kind.parameters)


def nullable(kind: Type) -> bool:
    return kind in (DURATION, TIMESTAMP) or kind.name == "optional_type" or is_object(kind)


def more_general(one: Type, other: Type) -> Type:
    """The one of two types that may stand for each other which says less."""
    return one if says_less(one, other) else other


def says_less(one: Type, other: Type) -> bool:
    if one.name in ("dyn", "any") or one.variable:
        return True
    if other.name in ("dyn", "any") or other.variable:
        return False
    if one.name == other.name == "type":
        return True
    if one.name in CONTAINERS:
        return one.name == other.name and all(map(says_less, one.parameters, other.parameters))
    return one == other
