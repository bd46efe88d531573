"""What a manifest leaves unsaid: `default(kind, obj)` writes the values that Kubernetes v1.37 would.

Defaults belong to definitions, not to kinds: a container gets its `imagePullPolicy` wherever one occurs. Those that are
plain values stand in `constants`, those that look at the object are functions in `pods`, `workloads` and `others`. An
object's own defaults come before those of what is in it.

What needs more than the object is not here: allocated addresses, names, moments, and what admission adds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from timonier.api.defaults.constants import CONSTANTS
from timonier.api.defaults.others import OTHERS
from timonier.api.defaults.pods import PODS
from timonier.api.defaults.workloads import WORKLOADS
from timonier.api.kinds import Kind
from timonier.api.patches.clone import clone
from timonier.api.schema.walk import Visit, below, holders

Defaulter = Callable[[dict[str, Any]], None]

FUNCTIONS: dict[str, Defaulter] = PODS | WORKLOADS | OTHERS
DEFAULTERS: dict[str, Visit] = {}
"""By definition; an entry is made before what it holds is looked at."""


def default(kind: Kind, obj: dict[str, Any]) -> None:
    """Write the defaults into an object of that kind, in place. It has been through `api.check`."""
    default_as(obj, kind.definition)


def default_as(obj: dict[str, Any], name: str) -> None:
    """The same by name of the definition, for what is no kind."""
    if name in having():
        defaulter_of(name)(obj)


def defaulter_of(name: str) -> Visit:
    """What writes the defaults of a definition in which there are any, and of all that it holds."""
    if name in DEFAULTERS:
        return DEFAULTERS[name]
    own = FUNCTIONS.get(name)
    scalars = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if not isinstance(value, dict | list)]
    objects = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if isinstance(value, dict | list)]
    inner: list[tuple[str, Visit]] = []

    def defaulter(obj: dict[str, Any]) -> None:
        if own:
            own(obj)
        for field, value in scalars:
            if field not in obj:
                obj[field] = value
        for field, value in objects:
            if field not in obj:
                obj[field] = clone(value)
        for field, visit in inner:
            if field in obj:
                visit(obj[field])
            elif field == "spec":
                visit(obj.setdefault(field, {}))  # never a pointer in Go: an empty one has defaults too

    DEFAULTERS[name] = defaulter
    inner += below(name, defaulter_of, having())
    return defaulter


@cache
def having() -> frozenset[str]:
    """The definitions in which there is anything to default, directly or below."""
    return holders([*FUNCTIONS, *CONSTANTS])
