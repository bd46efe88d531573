"""Expectations: a controller does not plan from mirrors that do not yet show what it wrote itself.

Without this, a mirror that lags by a moment would have it create twice. Revisions are compared as numbers, which the
API promises to mean something within one kind (KEP-5504).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from timonier.client.wire import Object
from timonier.kit.clock import Clock, Seconds, Time
from timonier.reconcile.plan import Delete, Outcome

PATIENCE: Seconds = 300.0
"""After so long a mirror is believed whatever it shows, as in Kubernetes."""


class Following(Protocol):
    """The part of an informer that tells how far it is."""

    @property
    def resourceVersion(self) -> str: ...
    def get(self, key: str) -> Any: ...


@dataclass(slots=True)
class Expected:
    """Writes whose echo has not been seen: a revision to reach for each type, and deletions to notice."""

    until: Time
    revisions: dict[type[Object], int] = field(default_factory=dict)
    deletions: list[tuple[type[Object], str, str]] = field(default_factory=list)


class Expectations:
    """What each key's own writes will look like, once they come back."""

    def __init__(self, mirrors: Mapping[Any, Following], clock: Clock) -> None:
        self._mirrors, self._clock = mirrors, clock
        self._expected: dict[str, Expected] = {}

    def expect(self, key: str, outcome: Outcome) -> None:
        expected = self._expected.get(key) or Expected(0.0)
        expected.until = self._clock.monotonic() + PATIENCE
        for obj in (*outcome.created, *outcome.updated):
            if type(obj) in self._mirrors and obj.metadata.resourceVersion.isdigit():
                revision = int(obj.metadata.resourceVersion)
                expected.revisions[type(obj)] = max(revision, expected.revisions.get(type(obj), 0))
        for deletion in outcome.deleted:
            if deletion.cls in self._mirrors:
                expected.deletions.append((deletion.cls, place(deletion), deletion.uid))
        if expected.revisions or expected.deletions:
            self._expected[key] = expected

    def met(self, key: str) -> bool:
        """Whether the mirrors show all that was written for this key."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        if self._clock.monotonic() < expected.until and not self._visible(expected):
            return False
        del self._expected[key]
        return True

    def _visible(self, expected: Expected) -> bool:
        for cls, revision in expected.revisions.items():
            shown = self._mirrors[cls].resourceVersion
            if shown.isdigit() and int(shown) < revision:
                return False
        for cls, key, uid in expected.deletions:
            obj = self._mirrors[cls].get(key)
            if obj is not None and obj.metadata.uid == uid and not obj.metadata.deletionTimestamp:
                return False
        return True


def place(deletion: Delete) -> str:
    return f"{deletion.namespace}/{deletion.name}" if deletion.namespace else deletion.name


