"""What a store is: a key-value log in which every change has a revision.

Revisions are positive integers that only grow; each change of any key takes the next one. A write returns once it is
durable. Watching sees every change after a revision, once, in order, none of a revision before all of the earlier ones.
Every engine passes `tests/store/test_store_contract.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

Revision = int


class Absent(Enum):
    """The expectation that a key does not exist."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class StoreError(Exception):
    """A store could not do what it was asked; the subclasses say why."""


class Conflict(StoreError):
    """The key is not at the expected revision. Nothing was written.

    `current` is the entry that is there, or None where there is none.
    """

    def __init__(self, key: str, current: Entry | None) -> None:
        super().__init__(f"{key} is not at the expected revision")
        self.key, self.current = key, current


class Expired(StoreError):
    """The revision was compacted: history before `oldest` is gone."""

    def __init__(self, asked: Revision, oldest: Revision) -> None:
        super().__init__(f"revision {asked} was compacted; the oldest is {oldest}")
        self.asked, self.oldest = asked, oldest


class Future(StoreError):
    """The revision has not happened yet."""

    def __init__(self, asked: Revision, latest: Revision) -> None:
        super().__init__(f"revision {asked} is in the future; the latest is {latest}")
        self.asked, self.latest = asked, latest


class Unavailable(StoreError):
    """The engine cannot be reached, or its disk refuses; the same call may succeed later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as of its latest change. `revision` is that change's, `created` that of the write that made the key."""

    key: str
    value: bytes
    revision: Revision
    created: Revision


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing. `revision` is that of the snapshot; `remaining` counts the entries after this page."""

    entries: list[Entry]
    revision: Revision
    remaining: int


class Change(Enum):
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Event:
    """One change. For DELETE, `value` is what was deleted and `revision` that of the deletion.

    `previous` is the value before a PUT, None where the key was new; watchers that select by content need it.
    """

    change: Change
    key: str
    value: bytes
    revision: Revision
    previous: bytes | None = None


class Store(Protocol):
    """A revisioned key-value log. Keys are ASCII, ordered by bytes."""

    async def revision(self) -> Revision:
        """The latest revision, as of some moment during the call (linearizable)."""

    async def get(self, key: str) -> Entry | None:
        """The entry as it is now."""

    async def list(self, prefix: str, *, at: Revision | None = None, after: str | None = None,
                   limit: int | None = None) -> Page:
        """Entries whose key starts with `prefix`, in key order, beginning behind key `after`, at most `limit`.

        `at` lists an older snapshot. Raises Expired where it is compacted, Future where it has not happened.
        """

    async def write(self, key: str, value: bytes, *, expect: Revision | Absent) -> Revision:
        """Create the key (expect ABSENT) or replace it; durable on return. Raises Conflict."""

    async def delete(self, key: str, *, expect: Revision) -> Revision:
        """Delete the key; durable on return. The revision returned is the deletion's. Raises Conflict."""

    def watch(self, prefix: str, *, after: Revision) -> AsyncIterator[Event]:
        """Every change after a revision, in order, for ever. Raises Expired, at the start or when too far behind."""

    async def compact(self, before: Revision) -> None:
        """Forget superseded history before a revision; what is current stays."""

    async def close(self) -> None:
        """Finish what was accepted and let go of files and connections. Watches end."""
