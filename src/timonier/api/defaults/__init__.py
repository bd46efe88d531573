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
from timonier.api.schema import definition
from timonier.api.schema.walk import holders, reach

Defaulter = Callable[[dict[str, Any]], None]

FUNCTIONS: dict[str, Defaulter] = PODS | WORKLOADS | OTHERS


def default(kind: Kind, obj: dict[str, Any]) -> None:
    """Write the defaults into an object of that kind, in place. It has been through `api.check`."""
    default_as(obj, kind.definition)


def default_as(obj: dict[str, Any], name: str) -> None:
    """The same by name of the definition, for what is no kind."""
    defaulter = defaulter_of(name)
    if defaulter:
        defaulter(obj)


@cache
def defaulter_of(name: str) -> Defaulter | None:
    """What writes the defaults of a definition and of all that it holds; None where there are none."""
    if name not in having():
        return None
    own = FUNCTIONS.get(name)
    scalars = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if not isinstance(value, dict | list)]
    objects = [(field, value) for field, value in CONSTANTS.get(name, {}).items() if isinstance(value, dict | list)]
    below = [(field, descend) for field, child in definition(name).get("properties", {}).items()
             if (descend := reach(child, default_as, having()))]

    def defaulter(obj: dict[str, Any]) -> None:
        if own:
            own(obj)
        for field, value in scalars:
            if field not in obj:
                obj[field] = value
        for field, value in objects:
            if field not in obj:
                obj[field] = clone(value)
        for field, descend in below:
            if field in obj:
                descend(obj[field])
            elif field == "spec":
                descend(obj.setdefault(field, {}))  # never a pointer in Go: an empty one has defaults too
    return defaulter


@cache
def having() -> frozenset[str]:
    """The definitions in which there is anything to default, directly or below."""
    return holders([*FUNCTIONS, *CONSTANTS])
