"""What a process has to show: its parts add what they count, how they are set, and whether they are ready.

Nothing here serves it: a process without an endpoint fills this all the same, at no cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timonier.client.counts import Requests
from timonier.kit.settings import flag_of


@dataclass
class Shown:
    """Filled by the parts of a process as they start, read when somebody asks."""

    metrics: dict[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    """By part: the lines of Prometheus's text format."""
    clients: list[Requests] = field(default_factory=list)
    """What the process's clients of the API server count."""
    unready: dict[str, str] = field(default_factory=dict)
    """By the name of the check: what keeps the process from its work; empty where nothing does."""
    configuration: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By part: the settings in force."""


def configuration(settings: Any) -> dict[str, Any]:
    """Settings by their flags' names, as JSON has them."""
    values = ((flag_of(each.name)[2:], getattr(settings, each.name)) for each in dataclasses.fields(settings))
    return {name: value if isinstance(value, bool | int | float | None) else str(value) for name, value in values}
