"""What a step is, and what steps share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from timonier.cluster.spec import ClusterSpec


@dataclass(slots=True)
class Context:
    """One start or deletion. Steps add to `notes` what the user should know at the end."""

    spec: ClusterSpec
    timeout: float = 60.0
    """Seconds that a step may wait for the cluster."""
    notes: list[str] = field(default_factory=list)


class Step(Protocol):
    """`title` is shown while it works; both methods raise ClusterError where the user must do something."""

    title: str

    def do(self, context: Context) -> None: ...

    def undo(self, context: Context) -> None: ...
