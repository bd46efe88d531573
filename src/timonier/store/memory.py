"""The store in memory: for tests, and for clusters that may vanish. The index, a dict of rows, and the watch hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from timonier.store.contract import (
    ABSENT,
    Absent,
    Change,
    Conflict,
    Entry,
    Event,
    Expired,
    Page,
    Revision,
    Unavailable,
)
from timonier.store.hub import BUFFER, Hub
from timonier.store.index import Index


class Row(NamedTuple):
    """A change as it is kept: the entry that it made, or None where it deleted, and the entry that it replaced."""

    key: str
    entry: Entry | None
    before: Entry | None


class MemoryStore:
    """A Store that lasts as long as its process."""

    def __init__(self, *, watch_buffer: int = BUFFER) -> None:
        self._index = Index()
        self._rows: dict[Revision, Row] = {}
        self._hub = Hub(self._replay, self._index.latest, watch_buffer)
        self._closed = False

    async def revision(self) -> Revision:
        self._check_open()
        return self._index.latest

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        head = self._index.head(key)
        return None if head is None else self._rows[head].entry

    async def list(self, prefix: str, *, at: Revision | None = None, after: str | None = None,
                   limit: int | None = None) -> Page:
        self._check_open()
        revisions, snapshot, remaining = self._index.page(prefix, at, after, limit)
        entries = [entry for revision in revisions if (entry := self._rows[revision].entry)]
        return Page(entries, snapshot, remaining)

    async def write(self, key: str, value: bytes, *, expect: Revision | Absent) -> Revision:
        before = await self._expect(key, expect)
        revision = self._index.latest + 1
        entry = Entry(key, value, revision, before.created if before else revision)
        return self._commit(revision, Row(key, entry, before))

    async def delete(self, key: str, *, expect: Revision) -> Revision:
        before = await self._expect(key, expect)
        return self._commit(self._index.latest + 1, Row(key, None, before))

    def watch(self, prefix: str, *, after: Revision) -> AsyncIterator[Event]:
        self._check_open()
        return self._hub.follow(prefix, after)

    async def compact(self, before: Revision) -> None:
        self._check_open()
        self._index.forget_before(before)
        while dropped := self._index.collect(1000):
            for revision in dropped:
                del self._rows[revision]
            await asyncio.sleep(0)

    async def close(self) -> None:
        self._closed = True
        self._hub.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    async def _expect(self, key: str, expect: Revision | Absent) -> Entry | None:
        current = await self.get(key)
        if (current.revision if current else ABSENT) != expect:
            raise Conflict(key, current)
        return current

    def _commit(self, revision: Revision, row: Row) -> Revision:
        self._rows[revision] = row
        self._index.apply([(revision, row.key, row.entry is None)])
        self._hub.publish([event_of(revision, row)])
        return revision

    async def _replay(self, prefix: str, after: Revision, until: Revision) -> AsyncIterator[Event]:
        for revision in range(after + 1, until + 1):
            if revision <= self._index.oldest:
                raise Expired(revision - 1, self._index.oldest)
            row = self._rows.get(revision)
            if row and row.key.startswith(prefix):
                yield event_of(revision, row)


def event_of(revision: Revision, row: Row) -> Event:
    before = row.before.value if row.before else None
    if row.entry is None:
        return Event(Change.DELETE, row.key, before or b"", revision)
    return Event(Change.PUT, row.key, row.entry.value, revision, before)
