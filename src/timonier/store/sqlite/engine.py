"""The Store on SQLite: what callers await. Decisions and commits are the writer's; here are reading and watching.

Rows are read on the event loop, a few at a time: reading one takes microseconds, and a thread of its own would fight
over the interpreter lock for every row.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from timonier.store.contract import ABSENT, Absent, Conflict, Entry, Event, Expired, Page, Revision, Unavailable
from timonier.store.hub import BUFFER, Hub
from timonier.store.index import Index
from timonier.store.sqlite import checkpoint, file
from timonier.store.sqlite.checkpoint import Checkpointer
from timonier.store.sqlite.writer import Compact, Outcome, Stop, Write, Writer

CHUNK = 64
"""Rows read before other tasks get a turn."""
SCAN = 512
"""Revisions of the log that a watch looks through before other tasks get a turn."""


class SqliteStore:
    """A Store in one file. `await SqliteStore.open(path)`; raises Unusable."""

    def __init__(self, lock: file.Lock, index: Index, connections: Sequence[sqlite3.Connection],
                 watch_buffer: int, checkpoint_bytes: int) -> None:
        self._lock, self._index = lock, index
        self._reader, writing, checkpointing = self._connections = connections
        self._hub = Hub(self._replay, index.latest, watch_buffer)
        self._writer = Writer(writing, index, asyncio.get_running_loop(), self._deliver, self._written)
        self._checkpointer = Checkpointer(checkpointing, self._writer.gate, checkpoint_bytes)
        self._closed = False
        self._checkpointer.start()
        self._writer.start()

    @classmethod
    async def open(cls, path: Path | str, *, watch_buffer: int = BUFFER,
                   checkpoint_bytes: int = checkpoint.SOON) -> SqliteStore:
        """Create or recover the store in a file; takes time in proportion to the log."""
        lock, index, connections = await asyncio.to_thread(open_file, Path(path))
        return cls(lock, index, connections, watch_buffer, checkpoint_bytes)

    async def revision(self) -> Revision:
        self._check_open()
        return self._index.latest

    async def get(self, key: str) -> Entry | None:
        while (head := self._head(key)) is not None:
            if found := self._read([head]):
                return found[0]
            await asyncio.sleep(0)  # replaced and compacted in between: look again
        return None

    async def list(self, prefix: str, *, at: Revision | None = None, after: str | None = None,
                   limit: int | None = None) -> Page:
        while True:
            self._check_open()
            revisions, snapshot, remaining = self._index.page(prefix, at, after, limit)
            entries: list[Entry] = []
            for start in range(0, len(revisions), CHUNK):
                found = self._read(revisions[start:start + CHUNK])
                if found is None:
                    break
                entries += found
                await asyncio.sleep(0)
            else:
                return Page(entries, snapshot, remaining)
            if at is not None:
                raise Expired(at, self._index.oldest)

    async def write(self, key: str, value: bytes, *, expect: Revision | Absent) -> Revision:
        return await self._submit(key, value, 0 if expect is ABSENT else expect)

    async def delete(self, key: str, *, expect: Revision) -> Revision:
        if expect <= 0:
            raise Conflict(key, await self.get(key))
        return await self._submit(key, None, expect)

    def watch(self, prefix: str, *, after: Revision) -> AsyncIterator[Event]:
        self._check_open()
        return self._hub.follow(prefix, after)

    async def compact(self, before: Revision) -> None:
        self._check_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.submit(Compact(before, done))
        await done

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.submit(Stop())
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._checkpointer.stop)
        await asyncio.sleep(0)  # what the writer delivered last reaches its callers
        self._hub.close()
        for connection in self._connections:
            connection.close()
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    def _head(self, key: str) -> Revision | None:
        self._check_open()
        return self._index.head(key)

    async def _submit(self, key: str, value: bytes | None, expect: Revision) -> Revision:
        self._check_open()
        if not key.isascii():
            raise ValueError(f"keys are ASCII: {key!r}")
        base = self._base(key, expect) if 0 < expect <= self._index.latest else None
        done: asyncio.Future[Revision | None] = asyncio.get_running_loop().create_future()
        self._writer.submit(Write(key, value, expect, base, done))
        revision = await done
        if revision is None:
            raise Conflict(key, await self.get(key))
        return revision

    def _base(self, key: str, revision: Revision) -> file.Row | None:
        """The row that a write replaces, read here so that the writer need not."""
        try:
            row = file.read_row(self._reader, revision)
        except sqlite3.Error as error:
            raise Unavailable(f"the store cannot read: {error}") from error
        return row if row and row.key == key and row.value is not None else None

    def _read(self, revisions: Sequence[Revision]) -> Sequence[Entry] | None:
        self._check_open()
        try:
            return file.read_entries(self._reader, revisions)
        except sqlite3.Error as error:
            raise Unavailable(f"the store cannot read: {error}") from error

    async def _replay(self, prefix: str, after: Revision, until: Revision) -> AsyncIterator[Event]:
        while after < until and not self._closed:
            end = min(after + SCAN, until)
            try:
                events = file.read_events(self._reader, prefix, after, end)
            except sqlite3.Error as error:
                raise Unavailable(f"the store cannot read: {error}") from error
            if after < self._index.oldest:  # asked after reading, since compaction goes on meanwhile
                raise Expired(after, self._index.oldest)
            for event in events:
                yield event
            after = end
            await asyncio.sleep(0)

    def _deliver(self, outcomes: Sequence[Outcome], events: Sequence[Event]) -> None:
        self._hub.publish(events)  # first, so that who wrote finds that watchers have it, mostly
        for future, revision in outcomes:
            if not future.done():
                future.set_result(revision)

    def _written(self, size: int) -> None:
        self._checkpointer.written(size)


def open_file(path: Path) -> tuple[file.Lock, Index, list[sqlite3.Connection]]:
    """Lock, check and read a file; the connections are for reading, writing and checkpoints."""
    lock = file.Lock(path)
    try:
        first = file.prepare(path)
        return lock, file.load_index(first), [first, file.connect(path), file.connect(path)]
    except sqlite3.Error as error:
        lock.release()
        raise file.Unusable(f"{path} cannot be read: {error}") from error
    except BaseException:
        lock.release()
        raise
