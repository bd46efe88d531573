"""What an expression may speak of: its variables with their declarations, its version of the language, its objects.

An environment is made once for each place in the API where expressions stand (`self` and `oldSelf` of a rule, `object`
and `request` of a policy) and shared by all expressions there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from timonier.api.cel.declarations import Declared
from timonier.api.cel.functions import Overload, functions, type_names
from timonier.api.cel.types import Type

NEW = 36
"""The minor version for expressions being written: what the release before this one can read, so that going back works.
"""
STORED = 37
"""For expressions that are there already: everything that any version may have let in."""

FOR_PATCHES = frozenset({"jsonpatch.escapeKey"})


@dataclass(frozen=True, eq=False)
class Environment:
    variables: Mapping[str, Declared]
    version: int = NEW
    objects: Mapping[str, Declared] = field(default_factory=dict)
    """Types that expressions may make objects of (`Object.spec{…}`), by their names."""
    patches: bool = False
    """Whether expressions make patches, and know what helps with that."""

    def overloads(self, name: str) -> tuple[Overload, ...]:
        """Those of a function, none where there is no such function."""
        name = name.removeprefix(".")
        return () if name in FOR_PATCHES and not self.patches else functions(self.version).get(name, ())

    def named_type(self, name: str) -> Type | None:
        """The type that a name stands for."""
        name = name.removeprefix(".")
        if name in self.objects:
            return self.objects[name].type
        return type_names().get(name)
