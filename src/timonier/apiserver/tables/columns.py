"""What a column is, and the small functions that many kinds' columns share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timonier.api.quantity import canonical
from timonier.apiserver.request import Object
from timonier.apiserver.tables.durations import since
from timonier.kit.clock import Time

NONE = "<none>"
UNSET = "<unset>"
Cell = Callable[[Object, Time], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and the function that fills its cells. `priority` 1 columns are shown by `-o wide` alone."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""

    def definition(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "format": self.format, "description": self.description,
                "priority": self.priority}


def column(name: str, cell: Callable[[Object], Any], kind: str = "string") -> Column:
    """A column whose cells need no clock."""
    return Column(name, lambda obj, now: cell(obj), kind)


def number(name: str, cell: Callable[[Object], Any]) -> Column:
    return column(name, cell, "integer")


def wide(name: str, cell: Callable[[Object], Any]) -> Column:
    return Column(name, lambda obj, now: cell(obj), priority=1)


def timed(name: str, cell: Cell, priority: int = 0) -> Column:
    return Column(name, cell, priority=priority)


def at(obj: Object, path: str, default: Any = None) -> Any:
    """The value at `spec.template.spec`, or the default where something on the way is absent or null."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return default
    return value


def path(name: str, where: str, default: Any = NONE, kind: str = "string") -> Column:
    """A column that shows a field as it is."""
    return column(name, lambda obj: value if (value := at(obj, where)) not in (None, "") else default, kind)


def count(name: str, where: str) -> Column:
    """A column that shows a number, 0 where it is absent."""
    return number(name, lambda obj: at(obj, where, 0))


def length(name: str, *where: str) -> Column:
    """A column that counts the entries of lists or maps."""
    return number(name, lambda obj: sum(len(at(obj, place, ())) for place in where))


NAME = Column("Name", lambda obj, now: obj["metadata"]["name"], format="name",
              description="Name of the object, unique within its namespace.")
AGE = Column("Age", lambda obj, now: since(obj["metadata"].get("creationTimestamp"), now),
             description="Time since the object was created.")
CREATED_AT = Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"), "date",
                    description="When the object was created.")


def labels(pairs: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, sorted, or `<none>`."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or NONE


OPERATORS = {"In": "in", "NotIn": "notin"}


def label_selector(selector: Object | None) -> str:
    """A LabelSelector in its text form; `<none>` where it selects everything, `<error>` where it makes no sense."""
    terms = [f"{key}={value}" for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    for requirement in (selector or {}).get("matchExpressions") or ():
        key, operator = requirement.get("key", ""), requirement.get("operator")
        if operator in OPERATORS:
            terms.append(f"{key} {OPERATORS[operator]} ({','.join(sorted(requirement.get('values') or ()))})")
        elif operator in ("Exists", "DoesNotExist"):
            terms.append(key if operator == "Exists" else f"!{key}")
        else:
            return "<error>"
    return ",".join(sorted(terms)) or NONE


def containers(where: str) -> tuple[Column, Column]:
    """The wide columns with names and images of a pod template's containers."""
    def each(obj: Object, part: str) -> str:
        return ",".join(container.get(part, "") for container in at(obj, where, ()))

    return wide("Containers", lambda obj: each(obj, "name")), wide("Images", lambda obj: each(obj, "image"))


def selector(where: str = "spec.selector") -> Column:
    return wide("Selector", lambda obj: label_selector(at(obj, where)))


def boolean(value: bool | None) -> str:
    """`true` and `false` as Go prints a pointer to them; `<unset>` for nil."""
    return UNSET if value is None else str(bool(value)).lower()


MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(modes: Sequence[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for mode, short in MODES.items() if mode in given)


def quantity(text: str | None) -> str:
    return canonical(text) if text else ""


def some(parts: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    listed = list(parts)
    if len(listed) <= most:
        return ",".join(listed)
    return f"{','.join(listed[:most])} + {len(listed) - most} more..."


def condition(obj: Object, kind: str) -> Object | None:
    """A condition of an object's status."""
    return next((found for found in at(obj, "status.conditions", ()) if found.get("type") == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    return (condition(obj, kind) or {}).get("status") == "True"
