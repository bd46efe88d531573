"""What the parts of a node ask of an informer, so that a test can hand them a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Mirror(Protocol[T]):
    """The present objects of one kind, and word of what changes among them; `timonier.client.informer.Informer` is one.
    """

    synced: asyncio.Event

    def get(self, key: str) -> T | None:
        """The object at `namespace/name`, or `name`; None if there is none."""

    def list(self) -> list[T]:
        """All objects."""

    def on_change(self, handler: Callable[[T | None, T | None], None]) -> None:
        """Call `handler(old, new)` for what is there and on every change; it must not block."""
