"""The key index: which revision of which key is where in history. Engines keep the values.

A key has a head (its latest revision) and, until they are compacted, the older revisions that it supersedes. A deletion
is a revision too; it is kept with a negative sign. What compaction may drop is queued in the order in which it became
superseded, so that collecting garbage costs what it collects and nothing else.

One thread may write while others read.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable

from timonier.store.contract import Expired, Future, Revision

FIRST = 1
"""The revision of a store in which nothing was ever written: positive, as 0 means "any" to Kubernetes."""

BEHIND_ALL = "\U0010ffff"
"""Sorts behind every ASCII key, so `prefix + BEHIND_ALL` ends a prefix's range."""


class Index:
    """Heads and history of every key, and the bounds of history: `oldest` (compacted before) and `latest`."""

    def __init__(self) -> None:
        self.oldest: Revision = 0
        self.latest: Revision = FIRST
        self._keys: list[str] = []
        self._heads: dict[str, int] = {}
        self._older: dict[str, list[int]] = {}
        self._garbage: deque[tuple[Revision, str]] = deque()
        self._lock = threading.Lock()

    @classmethod
    def restore(cls, changes: Iterable[tuple[Revision, str, bool]], oldest: Revision) -> Index:
        """The index of a log, given in order as (revision, key, whether deleted); linear but for one sort."""
        index = cls()
        index.oldest = oldest
        for revision, key, deleted in changes:
            index._record(revision, key, deleted)
        index._keys = sorted(index._heads)
        index.latest = max(index.latest, oldest)
        return index

    def apply(self, changes: Iterable[tuple[Revision, str, bool]]) -> None:
        """Make committed changes visible, all at once."""
        with self._lock:
            for revision, key, deleted in changes:
                if key not in self._heads:
                    insort(self._keys, key)
                self._record(revision, key, deleted)

    def _record(self, revision: Revision, key: str, deleted: bool) -> None:
        before = self._heads.get(key)
        if before is not None:
            self._older.setdefault(key, []).append(before)
            if before > 0:  # a deletion was queued when it happened
                self._garbage.append((revision, key))
        if deleted:
            self._garbage.append((revision, key))
        self._heads[key] = -revision if deleted else revision
        self.latest = revision

    def head(self, key: str) -> Revision | None:
        """The revision at which a key stands now; None where it does not exist."""
        head = self._heads.get(key, 0)
        return head if head > 0 else None

    def check(self, revision: Revision) -> None:
        """Raise Expired or Future where history does not hold the state as of a revision."""
        if revision < self.oldest:
            raise Expired(revision, self.oldest)
        if revision > self.latest:
            raise Future(revision, self.latest)

    def page(self, prefix: str, at: Revision | None, after: str | None,
             limit: int | None) -> tuple[list[Revision], Revision, int]:
        """The revisions of a listing in key order, the revision of its snapshot, and how many entries follow."""
        with self._lock:
            if at is not None:
                self.check(at)
            snapshot = self.latest if at is None else at
            start = bisect_left(self._keys, prefix)
            if after is not None:
                start = max(start, bisect_right(self._keys, after))
            keys = self._keys[start:bisect_left(self._keys, prefix + BEHIND_ALL)]
            if snapshot == self.latest:
                found = [head for key in keys if (head := self._heads[key]) > 0]
            else:
                found = [head for key in keys if (head := self._as_of(key, snapshot)) > 0]
        page = found if limit is None else found[:limit]
        return page, snapshot, len(found) - len(page)

    def _as_of(self, key: str, revision: Revision) -> int:
        """The signed revision of a key in an older snapshot, 0 where it was not there yet."""
        head = self._heads[key]
        if abs(head) <= revision:
            return head
        return next((older for older in reversed(self._older.get(key, ())) if abs(older) <= revision), 0)

    def forget_before(self, revision: Revision) -> None:
        """Move `oldest` up. What this makes superfluous is handed out by `collect`."""
        self.check(max(revision, self.oldest))
        self.oldest = max(revision, self.oldest)

    def collect(self, limit: int) -> list[Revision]:
        """Drop up to `limit` revisions that no snapshot from `oldest` on can see, and say which."""
        dropped: list[Revision] = []
        with self._lock:
            while self._garbage and self._garbage[0][0] <= self.oldest and len(dropped) < limit:
                _, key = self._garbage.popleft()
                if older := self._older.get(key):
                    dropped.append(abs(older.pop(0)))
                    if not older:
                        del self._older[key]
                else:  # the head itself: a deletion
                    dropped.append(abs(self._heads.pop(key)))
                    del self._keys[bisect_left(self._keys, key)]
        return dropped
