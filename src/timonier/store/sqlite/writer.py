"""The writer thread: group commit, compare-and-swap, and compaction in small bites between commits.

What callers submit in one turn of the event loop reaches the thread together: waking it for each write would cost more
than the write, as the two fight over the interpreter lock. Whatever came while the last commit was on its way to the
disk is the next one; there is no delay to gather more. A write is decided against the index and against what the same
commit holds already, so of two writers that expect the same revision exactly one wins. The index moves only after the
commit; watchers and callers are told after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from timonier.store.contract import Event, Revision, StoreError, Unavailable
from timonier.store.index import Index
from timonier.store.sqlite import file
from timonier.store.sqlite.file import Parameters, Row

BATCH = 1024
"""Writes from which on a commit waits for no more."""
BITE = 128
"""Rows or pages that compaction frees in one commit."""


@dataclass(slots=True, frozen=True)
class Write:
    """A request. `value` None deletes; `expect` 0 creates. `base` is the row at `expect`, where the caller read it."""

    key: str
    value: bytes | None
    expect: Revision
    base: Row | None
    done: asyncio.Future[Revision | None]
    """Gets the revision; None where the key is not at the expected one."""


@dataclass(slots=True, frozen=True)
class Compact:
    """A request to forget what `Index.collect` gives out."""

    before: Revision
    done: asyncio.Future[None]


@dataclass(slots=True, frozen=True)
class Stop:
    """Commit what was accepted, then end."""


Request = Write | Compact | Stop
Outcome = tuple[asyncio.Future[Revision | None], Revision | None]


class Commit:
    """One commit being put together: decides each write against the index and the writes before it."""

    def __init__(self, index: Index, connection: sqlite3.Connection) -> None:
        self._index, self._connection = index, connection
        self._latest = index.latest
        self._staged: dict[str, tuple[Revision, Row]] = {}
        self.rows: list[Parameters] = []
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []

    def add(self, write: Write) -> None:
        current = self._current(write)
        if current[0] != write.expect:
            self.outcomes.append((write.done, None))
            return
        self._latest = revision = self._latest + 1
        _, before = current
        row = Row(write.key, before.created if before else revision, write.value)
        self._staged[write.key] = (revision, row)
        self.rows.append((revision, row.key, row.created, write.expect, row.value))
        self.events.append(file.event(revision, row.key, row.value, before.value if before else None))
        self.outcomes.append((write.done, revision))

    def _current(self, write: Write) -> tuple[Revision, Row | None]:
        """Where the key stands: its revision, 0 where it does not exist, and its row."""
        if staged := self._staged.get(write.key):
            return staged if staged[1].value is not None else (0, None)
        head = self._index.head(write.key)
        if head is None:
            return 0, None
        if head != write.expect:
            return head, None
        return head, write.base or file.read_row(self._connection, head)


class Writer:
    """Owns the connection that writes. `deliver` and `report` are called on the event loop."""

    def __init__(self, connection: sqlite3.Connection, index: Index, loop: asyncio.AbstractEventLoop,
                 deliver: Callable[[Sequence[Outcome], Sequence[Event]], None],
                 written: Callable[[int], None]) -> None:
        self._connection, self._index, self._loop = connection, index, loop
        self._deliver, self._written = deliver, written
        self._gathered: list[Request] = []
        self._queue: queue.SimpleQueue[list[Request]] = queue.SimpleQueue()
        self._compacting: list[Compact] = []
        self._dirty = True
        self._ended = False
        self.gate = threading.Lock()
        """Held during each commit; who holds it otherwise keeps the log still."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Call on the event loop."""
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(request)

    def _hand_over(self) -> None:
        self._queue.put(self._gathered)
        self._gathered = []
        if self._ended:
            self._refuse_all()

    def join(self) -> None:
        """Wait for the thread, to which Stop was submitted."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._ended = True
            self._refuse_all()

    def _turn(self) -> bool:
        """Serve what is queued and one bite of compaction; whether to go on."""
        going_on = True
        writes: list[Write] = []
        for request in self._take():
            match request:
                case Write():
                    writes.append(request)
                case Compact():
                    self._begin_compaction(request)
                case Stop():
                    going_on = False
        if writes:
            self._commit(writes)
        if self._dirty:
            self._bite()
        return going_on

    def _refuse_all(self) -> None:
        """Nobody may wait for a thread that has ended, whatever it ended of."""
        while True:
            try:
                requests = self._queue.get_nowait()
            except queue.Empty:
                break
            for request in requests:
                if not isinstance(request, Stop):
                    self._fail(request.done, Unavailable("the store is closed"))
        self._finish_compaction(Unavailable("the store was closed during compaction"))

    def _take(self) -> list[Request]:
        """What is queued; waits for something where there is nothing else to do."""
        taken: list[Request] = []
        with contextlib.suppress(queue.Empty):
            taken += self._queue.get(block=not self._dirty)
            while len(taken) < BATCH:
                taken += self._queue.get_nowait()
        return taken

    def _commit(self, writes: list[Write]) -> None:
        try:
            with self.gate:
                commit = Commit(self._index, self._connection)
                for write in writes:
                    commit.add(write)
                if commit.rows:
                    file.append(self._connection, commit.rows)
        except sqlite3.Error as error:
            for write in writes:
                self._fail(write.done, Unavailable(f"the store cannot write: {error}"))
            return
        self._index.apply([(revision, key, value is None) for revision, key, _, _, value in commit.rows])
        self._tell(self._deliver, commit.outcomes, commit.events)
        self._written(sum(len(row[4] or b"") + 100 for row in commit.rows))

    def _begin_compaction(self, request: Compact) -> None:
        try:
            self._index.check(max(request.before, self._index.oldest))
            if request.before > self._index.oldest:
                with self.gate:
                    self._connection.execute("UPDATE bounds SET oldest = ?", (request.before,))
                self._index.forget_before(request.before)
        except sqlite3.Error as error:
            self._fail(request.done, Unavailable(f"the store cannot compact: {error}"))
        except StoreError as error:
            self._fail(request.done, error)
        else:
            self._dirty = True
            self._compacting.append(request)

    def _bite(self) -> None:
        """Free a little more; done once there is neither a superseded row nor a free page left.

        Where the disk refuses, rows that the index forgot stay behind; the next start collects them.
        """
        try:
            with self.gate:
                if dropped := self._index.collect(BITE):
                    file.delete_rows(self._connection, dropped)
                    more = True
                else:
                    more = file.shrink(self._connection, BITE)
        except sqlite3.Error as error:
            self._finish_compaction(Unavailable(f"the store cannot compact: {error}"))
            return
        if more:
            self._written(BITE * 4096)
        else:
            self._finish_compaction(None)

    def _finish_compaction(self, error: StoreError | None) -> None:
        self._dirty = False
        for compact in self._compacting:
            if error:
                self._fail(compact.done, error)
            else:
                self._tell(settle, compact.done)
        self._compacting.clear()

    def _fail(self, future: asyncio.Future[Revision | None] | asyncio.Future[None], error: StoreError) -> None:
        self._tell(refuse, future, error)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it everyone who waited
            self._loop.call_soon_threadsafe(call, *arguments)


def settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def refuse(future: asyncio.Future[Revision | None], error: StoreError) -> None:
    if not future.done():
        future.set_exception(error)
